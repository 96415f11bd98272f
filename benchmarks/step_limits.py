"""The least seconds in which the work of a finished run could be done, step by step, on one of several cores.

`python benchmarks/step_limits.py PROJECT SHARE OF EVERY` does its share of each step, with everything loaded before it
is timed, and prints the seconds as JSON; as many of these processes run at once as there are cores. Where a step is
long, one batch in EVERY is done and its time multiplied. What only draws, lays out or writes down (case study, tables,
figures, report) counts as nothing.
"""

import ast
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import DynamicCache

from kindred.artefacts import corpus, explanation, scoring, tokens, windows
from kindred.artefacts.features import load as load_features
from kindred.artefacts.windows import CRITERIA
from kindred.corpus.pydocs import DEFAULT_PACKAGES, python_files
from kindred.explanation.template import build_prompt
from kindred.models.hooks import run_to_hook_points
from kindred.models.loading import LoadedModel, load_tokenizer
from kindred.models.tokenizer import encode_documents
from kindred.params import Params
from kindred.scoring.embedding import load_embedder
from kindred.steps.loading import open_model, open_sae, open_saes
from kindred.workflow import SNAPSHOT


@dataclass(frozen=True)
class Share:
    """What one process does: items SHARE, SHARE + OF, ... of each step, and of long ones every so many batches."""

    project: Path
    params: Params
    number: int
    of: int
    every: int

    @property
    def cache(self) -> Path:
        """The artefacts of the run."""
        return self.project / "cache"

    @property
    def saes(self) -> list[str]:
        """Of the SAEs, this share's."""
        return sorted({sae for pair in self.params.pairs.values() for sae in pair})[self.number :: self.of]


def corpus_seconds(share: Share) -> float:
    """Read and parse the sources of the packages: one job, so no share of it."""
    paths = [
        path
        for package in share.params.corpus.packages or DEFAULT_PACKAGES
        for _, path in python_files(package)
    ]

    def read() -> None:
        for path in paths[:: share.every]:
            try:
                ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):  # templates, and files of Python 2
                continue

    return _seconds(read) * share.every


def tokens_seconds(share: Share) -> float:
    """Tokenize as many documents as are used: one job, so no share of it."""
    used = {source for source, _ in tokens.load(share.cache / "tokens").documents}
    texts = [document.text for document in corpus.load(share.cache / "corpus") if document.source in used]
    tokenizer = load_tokenizer(share.params.model.source, revision=share.params.model.revision)
    return _seconds(lambda: encode_documents(tokenizer, texts))


def activations_seconds(share: Share) -> float:
    """Run the model up to the hook points, and one matmul and top-k for each SAE."""
    contexts = tokens.load(share.cache / "tokens").contexts
    model = open_model(share.params)
    saes = open_saes(share.params, model)
    hook_points = sorted({sae.hook_point for sae in saes})
    n_rows = share.params.activations.batch_size
    starts = range(share.number * n_rows, contexts.n_contexts, share.of * n_rows)

    def encode() -> None:
        for start in starts[:: share.every]:
            batch = torch.from_numpy(contexts.tokens[start : start + n_rows].astype(np.int64))
            hidden = run_to_hook_points(model.model, batch, None, hook_points)
            for sae in saes:
                rows = hidden[sae.hook_point].flatten(0, 1).float()
                (rows @ sae.W_enc).topk(getattr(sae, "k", 32), dim=-1, sorted=False)

    return _seconds(encode) * len(starts) / len(starts[:: share.every])


def features_seconds(share: Share) -> float:
    """Read and write the bytes of the indices once."""
    with TemporaryDirectory(dir=share.project) as directory:

        def copy() -> None:
            for sae in share.saes:
                shutil.copytree(share.cache / "features" / sae, Path(directory, sae))

        return _seconds(copy)


def matching_seconds(share: Share) -> float:
    """Multiply the two decoders of each pair."""
    names = sorted(share.params.pairs)[share.number :: share.of]
    pairs = [[open_sae(share.params, sae).W_dec for sae in share.params.pairs[name]] for name in names]
    return _seconds(lambda: [left @ right.T for left, right in pairs])


def windows_seconds(share: Share) -> float:
    """Read the indices once."""
    indices = [load_features(share.cache / "features" / sae).index for sae in share.saes]
    return _seconds(lambda: [float(array.sum()) for index in indices for array in (index.token, index.value)])


def explanation_seconds(share: Share) -> float:
    """One pass over the prompt for each feature and scale, and greedy texts of equal length without injection."""
    model = open_model(share.params)
    params = share.params.explanation
    prompt = build_prompt(model.tokenizer, params.template).token_ids
    counts = [len(explanation.load(share.cache / "explanation" / sae).features) for sae in share.saes]

    def explain() -> None:
        for n_features in counts:
            _continue_prompt(model, prompt, n_features * params.n_scales, 0, params.batch_size)
            n_texts = n_features * (params.n_explanations + 1)  # and the steered continuation
            _continue_prompt(model, prompt, n_texts, params.max_new_tokens, params.batch_size)

    return _seconds(explain)


def scoring_seconds(share: Share) -> float:
    """Embed each text of an SAE once, in batches of like length; random passages are left out."""
    params = share.params.scoring
    embedder = load_embedder(params.embedder, device=share.params.model.device, batch_size=params.batch_size)
    batches = []
    for sae in share.saes:
        scores = scoring.load(share.cache / "scoring" / sae)
        shown = windows.load(share.cache / "windows" / sae).by_feature.values()
        examples = [example for own in shown for name in CRITERIA for example in getattr(own, name)]
        texts = {*scores.contexts.text, *scores.explanations.text, *("".join(one.texts) for one in examples)}
        ordered = sorted(texts, key=lambda text: len(embedder.model.tokenizer.encode(text)))
        batches += [
            ordered[start : start + params.batch_size] for start in range(0, len(ordered), params.batch_size)
        ]
    chosen = batches[:: share.every]
    seconds = _seconds(
        lambda: [
            embedder.model.encode(batch, show_progress_bar=False, batch_size=len(batch)) for batch in chosen
        ]
    )
    return seconds * len(batches) / len(chosen)


STEPS = {
    "corpus": corpus_seconds,
    "tokens": tokens_seconds,
    "activations": activations_seconds,
    "features": features_seconds,
    "matching": matching_seconds,
    "windows": windows_seconds,
    "explanation": explanation_seconds,
    "scoring": scoring_seconds,
}


def _continue_prompt(
    model: LoadedModel, prompt: tuple[int, ...], n_rows: int, n_tokens: int, at_once: int
) -> None:
    """Call the model once for the prompt and once for each further token."""
    for start in range(0, n_rows, at_once):
        rows = torch.tensor([prompt]).expand(min(at_once, n_rows - start), -1)
        cache = DynamicCache(config=model.model.config)
        for _ in range(1 + n_tokens):
            logits = model.model(rows, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            rows = torch.from_numpy(logits[:, -1].numpy().argmax(-1))[:, None]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        work()
    return time.perf_counter() - start


def main() -> None:
    """Time every step, and print the seconds by step."""
    project, number, of, every = Path(sys.argv[1]), *map(int, sys.argv[2:])
    params = Params.model_validate_json((project / SNAPSHOT).read_bytes())
    torch.set_num_threads(params.model.threads)
    share = Share(project, params, number, of, every)
    print(json.dumps({name: seconds(share) for name, seconds in STEPS.items()}))


if __name__ == "__main__":
    main()
