"""Measure a trained SAE on contexts it was not trained on, and write its card."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from kindred.models.loading import load_model
from kindred.params import FolderSae
from kindred.saes.evaluation import evaluate_sae
from kindred.saes.loading import load_sae
from kindred.steps.train_progress import progress_printer
from kindred.steps.train_samples import read_contexts


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EvaluationSettings:
    """How much text the SAE is measured on."""

    n_contexts: int
    batch_size: int
    threads: int


def main(arguments: list[str] | None = None) -> None:
    """Read the SAE, its model and contexts, write card.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sae", type=Path, required=True, help="folder of the SAE")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument(
        "--contexts", type=Path, required=True, help="folder of packed contexts; the last are used"
    )
    parser.add_argument("--out", type=Path, required=True, help="the card (JSON)")
    parser.add_argument("--settings", required=True, help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(EvaluationSettings).validate_json(options.settings)
    torch.set_num_threads(settings.threads)
    sae = load_sae(options.sae.name, FolderSae(loader="folder", path=str(options.sae)), device="cpu")
    contexts = read_contexts(options.contexts)
    evaluation = evaluate_sae(
        load_model(str(options.model), revision=None, dtype=torch.float32, device="cpu").model,
        sae,
        np.asarray(contexts.tokens[-settings.n_contexts :]),
        np.asarray(contexts.is_special[-settings.n_contexts :]),
        batch_size=settings.batch_size,
        progress=progress_printer(f"card of {sae.name}"),
    )
    card = {
        **asdict(evaluation),
        "ce_difference_nats": evaluation.ce_difference_nats,
        "ce_recovered": evaluation.ce_recovered,
        "d_sae": sae.d_sae,
        "silent_share": evaluation.n_silent / sae.d_sae,
        "hook_point": str(sae.hook_point),
    }
    options.out.write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
