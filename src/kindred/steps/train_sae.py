"""Train one TopK SAE on cached activations and write it in SAELens's folder format."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from kindred.saes.training import SaeRecipe, train_topk_sae
from kindred.steps.train_progress import progress_printer


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SaeSettings(SaeRecipe):
    """The recipe of an SAE, what its cfg.json says of the model it reads, and the threads to train with."""

    threads: int
    model_name: str
    hook_point: str
    context_length: int
    dataset: str


def main(arguments: list[str] | None = None) -> None:
    """Read activations, train, write the folder with cfg.json and sae_weights.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--residuals", type=Path, required=True, help="array of activations (.npy)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the SAE")
    parser.add_argument("--settings", required=True, help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(SaeSettings).validate_python(json.loads(options.settings))
    torch.set_num_threads(settings.threads)
    residuals = np.load(options.residuals, mmap_mode="r", allow_pickle=False)
    sae = train_topk_sae(residuals, settings, metadata(settings), progress_printer(options.out.name))
    partial = options.out.with_name(f".{options.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    sae.save_inference_model(partial)
    shutil.rmtree(options.out, ignore_errors=True)
    partial.rename(options.out)


def metadata(settings: SaeSettings) -> dict[str, Any]:
    """What a reader of the SAE has to obey."""
    return {
        "model_name": settings.model_name,
        "hook_name": settings.hook_point,
        "context_size": settings.context_length,
        "prepend_bos": True,
        "dataset_path": settings.dataset,
        "seed": settings.seed,
        "training_tokens": settings.n_samples,
    }


if __name__ == "__main__":
    main()
