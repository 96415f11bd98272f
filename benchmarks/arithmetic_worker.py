"""What the steps spend their time on, in one arithmetic: `python arithmetic_worker.py '{"variables": {...}, ...}'`.

A line of standard input that names a piece of work has it done once; the seconds it took are printed as a line. How a
library computes is settled once for a process, hence a process for each arithmetic.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETUP: dict[str, Any] = json.loads(sys.argv[1])
os.environ |= SETUP["variables"]

import numpy as np  # noqa: E402  (after the variables are set)
import torch  # noqa: E402

from kindred.activations.encoding import encode_contexts  # noqa: E402
from kindred.arithmetic import settle  # noqa: E402
from kindred.explanation.injection import Steering  # noqa: E402
from kindred.explanation.prompt_pass import SteeredPrompt  # noqa: E402
from kindred.explanation.row_cache import RowCache  # noqa: E402
from kindred.explanation.sweep import scale_grid, sweep  # noqa: E402
from kindred.explanation.template import build_prompt  # noqa: E402
from kindred.models.loading import load_model  # noqa: E402
from kindred.params.saes import FolderSae  # noqa: E402
from kindred.saes.loading import load_sae  # noqa: E402
from kindred.scoring.embedding import load_embedder  # noqa: E402

MODELS = Path(__file__).resolve().parents[1] / "models"
CONTEXT_LENGTH = 128
N_SCALES = 8


def works() -> dict[str, Callable[[], object]]:
    """Return each piece of work by the name of its step."""
    size = SETUP["size"]
    draws = np.random.default_rng(0)
    model = load_model(str(MODELS / "docs-lm"), revision=None, dtype=torch.float32, device="cpu")
    saes = [
        load_sae(name, FolderSae(loader="folder", path=str(MODELS / "saes" / name)), device="cpu")
        for name in ("docs-0", "docs-1")
    ]
    tokens = draws.integers(3, len(model.tokenizer), (size, CONTEXT_LENGTH)).astype(np.int32)
    special = np.zeros(tokens.shape, dtype=bool)
    special[:, 0] = True
    embedder = load_embedder("all-MiniLM-L6-v2", device="cpu", batch_size=16)
    texts = [
        model.tokenizer.decode(row[1 : 1 + draws.integers(8, 33)], clean_up_tokenization_spaces=False)
        for row in np.tile(tokens, (4, 1))
    ]
    prompt = build_prompt(model.tokenizer, "meaning")
    steering = Steering(boundary=0, unit=1.0, kind="add", mean=torch.zeros(model.d_model))
    directions = torch.nn.functional.normalize(saes[0].W_dec[:size])
    cache = RowCache(model.model.config, 256, len(prompt.token_ids))

    def explain() -> None:
        steered = SteeredPrompt(model.model, prompt, steering, model.n_layers - 1, cache)
        scales = scale_grid(N_SCALES, 4.0)
        sweep(steered, directions, scales, metric="entropy", batch_size=256, advance=lambda done: None)

    return {
        "activations": lambda: list(encode_contexts(model, saes, tokens, special, batch_size=32)),
        "self-explanation": explain,
        "scoring": lambda: embedder(texts),
    }


def main() -> None:
    """Do the works that standard input names."""
    torch.set_num_threads(SETUP["threads"])
    settle(SETUP["arithmetic"])
    found = works()
    for line in sys.stdin:
        started = time.perf_counter()
        with torch.inference_mode():
            found[line.strip()]()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
