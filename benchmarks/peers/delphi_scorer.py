"""Rounds of eai-delphi's EmbeddingScorer, in an environment of its own: one for each line that comes in.

`.venv-delphi/bin/python benchmarks/peers/delphi_scorer.py SETUP.json`. Imports, loading and making the records happen
before it answers `ready`; each round answers with its seconds, and at the end it writes the similarities. Unlike ours
it embeds the contexts feature by feature, each as often as it is drawn, in the library's order (of like numbers of
characters, not tokens). The package's `scorers` cannot be imported without vllm, which no embedding needs, so its
folder is entered without its __init__.
"""

import importlib.util
import json
import random
import sys
import time
import types
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer


def _enter(package: str) -> None:
    """Make the modules of a package importable without what the package itself imports."""
    spec = importlib.util.find_spec(package)
    entered = types.ModuleType(package)
    entered.__path__ = list(spec.submodule_search_locations)
    sys.modules[package] = entered


_enter("delphi.scorers")
_enter("delphi.scorers.embedding")

from delphi.latents.latents import ActivatingExample, Latent, LatentRecord, NonActivatingExample  # noqa: E402
from delphi.scorers.embedding.embedding import EmbeddingScorer  # noqa: E402


def main() -> None:
    """Load what the setup names, then score all features for each line."""
    setup = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(setup["threads"])
    scorer = EmbeddingScorer(SentenceTransformer(setup["embedder"], device=setup["device"]).eval())
    records = [_record(**feature) for feature in setup["features"]]
    print("ready", flush=True)
    for _ in sys.stdin:
        random.seed(0)
        start = time.perf_counter()
        results = [scorer.call_sync(record).score for record in records]
        print("done", time.perf_counter() - start, flush=True)
    similarities = [{output.text: output.similarity for output in outputs} for outputs in results]
    Path(setup["out"]).write_text(json.dumps(similarities))


def _record(explanation: str, positives: list[str], negatives: list[str]) -> LatentRecord:
    """A feature; all that the scorer reads of an example is its text."""
    nothing = torch.zeros(1)
    return LatentRecord(
        Latent("benchmark", 0),
        explanation=explanation,
        test=[ActivatingExample(nothing, nothing, str_tokens=[text]) for text in positives],
        not_active=[NonActivatingExample(nothing, nothing, str_tokens=[text]) for text in negatives],
    )


if __name__ == "__main__":
    main()
