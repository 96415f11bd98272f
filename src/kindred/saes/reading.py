"""Reading the files of an SAE: JSON configs, safetensors, and torch checkpoints with weights_only=True.

Whatever is wrong with a file becomes one KindredError that names it.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from kindred.errors import KindredError


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        KindredError: if there is no such file, or it does not hold a JSON object.
    """
    _require(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise KindredError(f"{path} is not valid JSON ({error}): fetch or copy it again") from error
    if not isinstance(value, dict):
        raise KindredError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        KindredError: if there is no such file, or it is corrupt or truncated.
    """
    _require(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise KindredError(f"{path} is corrupt or truncated ({error}): fetch or copy it again") from error
    return tensors


def read_torch(path: Path) -> dict[str, Tensor]:
    """The tensors of a file written by torch.save, on the CPU; code in the pickle is refused, never run.

    Raises:
        KindredError: if there is no such file, it is corrupt, holds anything but tensors, or would run code.
    """
    _require(path)
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise KindredError(
            f"{path} is not a plain checkpoint of tensors; it may carry code, so it was not loaded. "
            "Ask its author for the weights alone (torch.save of a state_dict, or safetensors)"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise KindredError(f"{path} is corrupt or truncated ({error}): fetch or copy it again") from error
    if not isinstance(value, dict) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise KindredError(f"{path} must hold a state_dict of tensors and nothing else")
    return value


def check_weights(
    weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], path: Path | str
) -> None:
    """Refuse weights that are not those that the config promises.

    Args:
        weights: tensors by name.
        shapes: the expected shape of each needed tensor.
        path: for messages.

    Raises:
        KindredError: naming the tensor that is missing, has another shape, or holds NaN or infinity.
    """
    for key, shape in shapes.items():
        if key not in weights:
            raise KindredError(f"{path}: the weights lack {key!r}; they hold {', '.join(sorted(weights))}")
        if tuple(weights[key].shape) != shape:
            raise KindredError(
                f"{path}: {key} has shape {list(weights[key].shape)}, but the config says {list(shape)}"
            )
        # An infinite threshold is a feature that never fires; anything else infinite is damage.
        damaged = torch.isnan if key == "threshold" else _is_not_finite
        if damaged(weights[key]).any():
            raise KindredError(f"{path}: {key} holds NaN or infinite values; the SAE is damaged")


def required(config: Mapping[str, Any], key: str, path: Path | str) -> Any:
    """A config's value.

    Raises:
        KindredError: if the config does not have the key.
    """
    if config.get(key) is None:
        raise KindredError(f"{path}: the config has no {key!r}")
    return config[key]


def _is_not_finite(tensor: Tensor) -> Tensor:
    return ~torch.isfinite(tensor)


def _require(path: Path) -> None:
    if not path.is_file():
        where = "the folder does not exist" if not path.parent.is_dir() else "the folder has no such file"
        raise KindredError(f"{path} not found: {where}")
