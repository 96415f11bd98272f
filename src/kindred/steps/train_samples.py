"""Let the language model write the text that the faithful SAEs are trained on, from BOS alone (2506.17673)."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from kindred.corpus.packing import NO_DOCUMENT, PackedContexts
from kindred.models.loading import load_model
from kindred.models.sampling import sample_contexts
from kindred.models.tokenizer import special_tokens
from kindred.steps.train_progress import progress_printer

ARRAYS = ("tokens", "is_special", "document")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SamplesSettings:
    """Settings of the sampled text: temperature 1, no truncation."""

    n_contexts: int
    context_length: int
    batch_size: int
    seed: int
    threads: int


def main(arguments: list[str] | None = None) -> None:
    """Read the model, sample, write a folder of packed contexts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--out", type=Path, required=True, help="folder of packed contexts")
    parser.add_argument("--settings", required=True, help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(SamplesSettings).validate_python(json.loads(options.settings))
    torch.set_num_threads(settings.threads)
    # bfloat16 samples 1.7 times as fast as float32 on a CPU that has it; the shipped weights are bfloat16 anyway.
    loaded = load_model(str(options.model), revision=None, dtype=torch.bfloat16, device="cpu")
    special = special_tokens(loaded.tokenizer)
    tokens = sample_contexts(
        loaded.model,
        settings.n_contexts,
        settings.context_length,
        torch.Generator().manual_seed(settings.seed),
        settings.batch_size,
        special=special,
        progress=progress_printer("samples"),
    )
    is_special = special.among(tokens)
    document = np.where(is_special, NO_DOCUMENT, np.arange(len(tokens))[:, None]).astype(np.int32)
    write_contexts(options.out, PackedContexts(tokens, is_special, document))


def write_contexts(folder: Path, contexts: PackedContexts) -> None:
    """Write one .npy file for each array."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(contexts, name), allow_pickle=False)


def read_contexts(folder: Path) -> PackedContexts:
    """Open packed contexts, memory-mapped."""
    return PackedContexts(
        *(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS)
    )


if __name__ == "__main__":
    main()
