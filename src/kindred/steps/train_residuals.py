"""Cache a model's activations at one hook point over a text, for the training of SAEs."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from kindred.corpus.packing import PackedContexts
from kindred.models.hooks import HookPoint, run_to_hook_points
from kindred.models.loading import load_model
from kindred.steps.train_progress import progress_printer
from kindred.steps.train_samples import read_contexts


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ResidualsSettings:
    """Settings of the cached activations."""

    hook_point: str
    n_tokens: int
    batch_size: int
    threads: int


def main(arguments: list[str] | None = None) -> None:
    """Read contexts and model, write a float16 array [token, d_model] of the non-special positions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=Path, required=True, help="folder of packed contexts")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--out", type=Path, required=True, help="array of activations (.npy)")
    parser.add_argument("--settings", required=True, help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(ResidualsSettings).validate_python(json.loads(options.settings))
    torch.set_num_threads(settings.threads)
    model = load_model(str(options.model), revision=None, dtype=torch.float32, device="cpu").model
    cache_residuals(model, read_contexts(options.contexts), settings, options.out)


def cache_residuals(
    model: PreTrainedModel, contexts: PackedContexts, settings: ResidualsSettings, out: Path
) -> None:
    """Write activations of the first `n_tokens` non-special tokens (or all there are) in the contexts' order."""
    hook_point = HookPoint.parse(settings.hook_point)
    n_tokens = min(settings.n_tokens, contexts.n_document_tokens)
    partial = out.with_name(f".{out.name}.partial")
    d_model = model.config.get_text_config().hidden_size
    array = open_memmap(partial, mode="w+", dtype=np.float16, shape=(n_tokens, d_model))
    report = progress_printer("residuals")
    filled = row = 0
    while filled < n_tokens:
        rows = slice(row, row + settings.batch_size)
        tokens = torch.from_numpy(contexts.tokens[rows].astype(np.int64))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = run_to_hook_points(model, tokens, None, [hook_point])[hook_point]
        kept = x[torch.from_numpy(~contexts.is_special[rows])][: n_tokens - filled]
        array[filled : filled + len(kept)] = kept.to(torch.float16).numpy()
        filled += len(kept)
        row += settings.batch_size
        report(filled, n_tokens)
    array.flush()
    partial.replace(out)


if __name__ == "__main__":
    main()
