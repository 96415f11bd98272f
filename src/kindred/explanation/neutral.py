"""The mean and the mean norm of the residual stream over neutral text: the natural unit of an injection."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint, run_to_hook_points
from kindred.models.loading import LoadedModel


@dataclass(frozen=True)
class NeutralResidual:
    """The residual stream at one boundary between blocks.

    Attributes:
        mean: Mean over positions, float32 [d_model].
        mean_norm: Mean of the norms over positions.
    """

    mean: Tensor
    mean_norm: float


def boundary_hook_point(boundary: int) -> HookPoint:
    """Return the hook point at a boundary: 0 is the embedding's output, b the output of block b - 1."""
    return HookPoint("resid_pre", 0) if boundary == 0 else HookPoint("resid_post", boundary - 1)


def steering_boundary(hook_point: HookPoint) -> int:
    """Return where a direction of an SAE enters the residual stream.

    What attention or the MLP writes is in the residual stream when it leaves the block, so that is the place
    for SAEs on their outputs.
    """
    return hook_point.layer if hook_point.kind == "resid_pre" else hook_point.layer + 1


def neutral_residuals(
    loaded: LoadedModel, tokens: Tensor, is_special: Tensor, boundaries: Sequence[int], batch_size: int
) -> dict[int, NeutralResidual]:
    """Measure the residual stream at several boundaries in one pass over the text.

    Args:
        loaded: The model.
        tokens: Token ids of neutral text, long [context, position]; padding only at the end of a context.
        is_special: True at BOS, EOS and padding, which are left out, bool [context, position].
        boundaries: Boundaries between blocks, from 0 (the embedding's output) to the number of blocks.
        batch_size: Contexts in one forward pass.

    Raises:
        KindredError: If no position remains.
    """
    n_positions = int((~is_special).sum())
    if n_positions == 0:
        raise KindredError("the neutral text holds no token that is not special; give more text")
    hook_points = {boundary: boundary_hook_point(boundary) for boundary in boundaries}
    total = {boundary: torch.zeros(loaded.d_model, dtype=torch.float64) for boundary in boundaries}
    total_norm = dict.fromkeys(boundaries, 0.0)
    for start in range(0, tokens.shape[0], batch_size):
        batch = tokens[start : start + batch_size].to(loaded.model.device)
        kept = ~is_special[start : start + batch_size]
        residuals = run_to_hook_points(
            loaded.model, batch, torch.ones_like(batch), list(dict.fromkeys(hook_points.values()))
        )
        for boundary, hook_point in hook_points.items():
            residual = residuals[hook_point].cpu()[kept].double()
            total[boundary] += residual.sum(0)
            total_norm[boundary] += float(torch.linalg.vector_norm(residual, dim=-1).sum())
    return {
        boundary: NeutralResidual(
            (total[boundary] / n_positions).float().to(loaded.model.device),
            total_norm[boundary] / n_positions,
        )
        for boundary in boundaries
    }
