"""Directions added to, or put in place of, the residual stream at the input of a block.

Sources: Kharlapenko et al. 2024 (replace), Karvonen et al. 2512.15674 (norm-matched addition).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kindred.errors import KindredError
from kindred.models.hooks import blocks

InjectionKind = Literal["add", "replace", "mean_plus"]


@dataclass(frozen=True)
class Steering:
    """How a direction and a scale become a change of the residual stream.

    Attributes:
        boundary: Where: 0 is the embedding's output, b the output of block b - 1 and the input of block b.
        unit: Residual norm that scale 1 stands for.
        kind: ``add`` the scaled direction, ``replace`` the residual by it, or by the mean residual plus it.
        mean: Mean residual at the boundary over neutral text, float32 [d_model].
    """

    boundary: int
    unit: float
    kind: InjectionKind
    mean: Tensor

    @property
    def replaces(self) -> bool:
        """Whether the residual that was there is thrown away."""
        return self.kind != "add"

    def vectors(self, directions: Tensor, scales: Tensor) -> Tensor:
        """Return what is injected in rows of a unit vector, [row, d_model], and a scale, [row]."""
        scaled = directions * (scales * self.unit)[:, None]
        return scaled + self.mean if self.kind == "mean_plus" else scaled


def unit_directions(directions: Tensor, features: Sequence[int]) -> Tensor:
    """Return the directions at norm 1, float32 [feature, d_model].

    Raises:
        KindredError: If a direction is zero or not finite, so that it points nowhere.
    """
    directions = directions.float()
    norms = torch.linalg.vector_norm(directions, dim=-1)
    for feature, norm in zip(features, norms.tolist(), strict=True):
        if not 0 < norm < float("inf"):
            raise KindredError(
                f"the decoder row of feature {feature} has norm {norm}; it has no direction to inject"
            )
    unit: Tensor = directions / norms[:, None]
    return unit


@contextmanager
def injected(
    model: PreTrainedModel, boundary: int, vectors: Tensor, positions: Sequence[int] | None, *, replaces: bool
) -> Iterator[None]:
    """Change the residual stream in every forward pass inside the context.

    Args:
        model: The model; its hooks are removed on leaving.
        boundary: As in ``Steering``.
        vectors: One for each row of the batch, [row, d_model].
        positions: Positions within the pass that are changed; None for all.
        replaces: Whether a vector takes the residual's place or is added to it.
    """

    def edit(residual: Tensor) -> Tensor:
        changed = residual.clone()
        added = vectors.to(residual.dtype)[:, None]
        where = slice(None) if positions is None else list(positions)
        changed[:, where] = added if replaces else changed[:, where] + added
        return changed

    def before(_block: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (edit(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": edit(kwargs["hidden_states"])}

    def after(_block: torch.nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        return (edit(output[0]), *output[1:]) if isinstance(output, tuple) else edit(output)

    layers = blocks(model)
    if boundary < len(layers):
        handle = layers[boundary].register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = layers[-1].register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def last_residual(model: PreTrainedModel, layer: int) -> Iterator[list[Tensor]]:
    """Collect a block's output at the last position, [row, d_model], one tensor for each pass."""
    collected: list[Tensor] = []

    def collect(_block: torch.nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        residual = output[0] if isinstance(output, tuple) else output
        collected.append(residual[:, -1].float())

    handle = blocks(model)[layer].register_forward_hook(collect)
    try:
        yield collected
    finally:
        handle.remove()
