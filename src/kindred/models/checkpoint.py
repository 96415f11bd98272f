"""Private checkpoints of a training in progress: written whole or not at all, read as weights only."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch

from kindred.errors import KindredError
from kindred.models.training import TrainingState


def checkpoint_writer(path: Path, recipe: str) -> Callable[[TrainingState], None]:
    """Return a function that writes a state under a temporary name and renames it.

    Args:
        path: The checkpoint's file.
        recipe: A hash of data and settings; a checkpoint goes on with the same recipe only.
    """

    def write(state: TrainingState) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        content = {"recipe": recipe, "step": state.step, "model": state.model, "optimizers": state.optimizers}
        torch.save(content, temporary)
        temporary.replace(path)

    return write


def read_checkpoint(path: Path, recipe: str) -> TrainingState | None:
    """Read the state to go on from, or None if no checkpoint has been written yet.

    Raises:
        KindredError: If the checkpoint is damaged, or was written under another recipe.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise KindredError(f"{path}: damaged, or no checkpoint; delete it to train anew") from error
    if content["recipe"] != recipe:
        raise KindredError(
            f"{path}: belongs to a training with other data or settings; delete it to train anew"
        )
    return TrainingState(content["step"], content["model"], content["optimizers"])
