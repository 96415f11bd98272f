"""How faithful an SAE is to its model: the metrics of FaithfulSAE (2506.17673), each named apart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from kindred.models.attention import attended_positions
from kindred.models.hooks import HookPoint, hooked_module, run_to_hook_points
from kindred.saes.interface import Sae

Replacement = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SaeEvaluation:
    """Metrics of one SAE over the non-special tokens of some contexts.

    Attributes:
        n_tokens: Tokens that were encoded.
        l0: Mean number of firing features at a token.
        explained_variance: 1 - sum of squared errors / sum of squared deviations from the mean of each dimension.
        explained_variance_flattened: 1 - var(error) / var(x) over the flattened tensor (the paper's script).
        l2: Mean squared error over tokens and dimensions.
        ce_nats: The model's cross-entropy on the next token.
        ce_sae_nats: The same with the site replaced by its reconstruction.
        ce_zero_nats: The same with the site set to zero.
        n_silent: Features that fired at no token.
    """

    n_tokens: int
    l0: float
    explained_variance: float
    explained_variance_flattened: float
    l2: float
    ce_nats: float
    ce_sae_nats: float
    ce_zero_nats: float
    n_silent: int

    @property
    def ce_difference_nats(self) -> float:
        """How much worse the model predicts through the SAE."""
        return self.ce_sae_nats - self.ce_nats

    @property
    def ce_recovered(self) -> float:
        """1 - (CE_sae - CE) / (CE_zero - CE): one if nothing is lost, zero if no better than nothing."""
        return 1 - self.ce_difference_nats / (self.ce_zero_nats - self.ce_nats)


@torch.no_grad()
def evaluate_sae(
    model: PreTrainedModel,
    sae: Sae,
    tokens: NDArray[np.int32],
    is_special: NDArray[np.bool_],
    *,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> SaeEvaluation:
    """Evaluate an SAE on contexts [context, position]; special positions are left as the model has them."""
    moments = _Moments(sae.d_model)
    fired = torch.zeros(sae.d_sae, dtype=torch.int64)
    losses: list[tuple[float, float, float, int]] = []
    for batch, special in _batches(tokens, is_special, batch_size):
        mask = torch.from_numpy(attended_positions(special.numpy())).long()
        x = run_to_hook_points(model, batch, mask, [sae.hook_point])[sae.hook_point][~special].float()
        acts = sae.encode(x)
        moments.add(x, sae.decode(acts, x))
        fired += (acts > 0).sum(dim=0)
        replaced = (None, sae.reconstruct, torch.zeros_like)
        sums = [_loss_sum(model, batch, special, mask, sae.hook_point, how) for how in replaced]
        losses.append((*(loss for loss, _ in sums), sums[0][1]))  # type: ignore[arg-type]
        progress(len(losses) * batch_size, len(tokens))
    total = np.array(losses).sum(axis=0)
    return SaeEvaluation(
        n_tokens=moments.n,
        l0=float(fired.sum()) / moments.n,
        explained_variance=moments.explained_variance(),
        explained_variance_flattened=moments.explained_variance_flattened(),
        l2=moments.mean_squared_error(),
        ce_nats=total[0] / total[3],
        ce_sae_nats=total[1] / total[3],
        ce_zero_nats=total[2] / total[3],
        n_silent=int((fired == 0).sum()),
    )


class _Moments:
    """Running sums in float64 from which the variances follow."""

    def __init__(self, d_model: int) -> None:
        self.n = 0
        self.x = torch.zeros(d_model, dtype=torch.float64)
        self.x_squared = torch.zeros(d_model, dtype=torch.float64)
        self.error = torch.zeros(d_model, dtype=torch.float64)
        self.error_squared = torch.zeros(d_model, dtype=torch.float64)

    def add(self, x: Tensor, reconstruction: Tensor) -> None:
        error = (x - reconstruction).double()
        x = x.double()
        self.n += len(x)
        self.x += x.sum(dim=0)
        self.x_squared += x.square().sum(dim=0)
        self.error += error.sum(dim=0)
        self.error_squared += error.square().sum(dim=0)

    def explained_variance(self) -> float:
        deviation = self.x_squared - self.x.square() / self.n
        return float(1 - self.error_squared.sum() / deviation.sum())

    def explained_variance_flattened(self) -> float:
        size = self.n * len(self.x)
        x_variance = self.x_squared.sum() / size - (self.x.sum() / size).square()
        error_variance = self.error_squared.sum() / size - (self.error.sum() / size).square()
        return float(1 - error_variance / x_variance)

    def mean_squared_error(self) -> float:
        return float(self.error_squared.sum() / (self.n * len(self.x)))


def _batches(
    tokens: NDArray[np.int32], is_special: NDArray[np.bool_], batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(tokens), batch_size):
        rows = slice(start, start + batch_size)
        yield torch.from_numpy(tokens[rows].astype(np.int64)), torch.from_numpy(np.array(is_special[rows]))


def _loss_sum(
    model: PreTrainedModel,
    tokens: Tensor,
    special: Tensor,
    attention_mask: Tensor,
    hook_point: HookPoint,
    replacement: Replacement | None,
) -> tuple[float, int]:
    """Summed cross-entropy in nats of the next non-special tokens, and their number, with the site replaced."""
    handles = [] if replacement is None else [_replace(model, hook_point, special, replacement)]
    try:
        logits = model(input_ids=tokens, attention_mask=attention_mask, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    counted = ~special[:, 1:]
    loss = nn.functional.cross_entropy(
        logits[:, :-1][counted].float(), tokens[:, 1:][counted], reduction="sum"
    )
    return float(loss), int(counted.sum())


def _replace(
    model: PreTrainedModel, hook_point: HookPoint, special: Tensor, replacement: Replacement
) -> torch.utils.hooks.RemovableHandle:
    """Hook the site so that its non-special positions read `replacement(x)`."""
    site = hook_point.site
    module = hooked_module(model, site)

    def replaced(x: Tensor) -> Tensor:
        out = x.clone()
        out[~special] = replacement(x[~special].float()).to(x.dtype)
        return out

    if site.kind == "resid_pre":

        def before(_: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (replaced(args[0]), *args[1:]), kwargs
            return tuple(args), {**kwargs, "hidden_states": replaced(kwargs["hidden_states"])}

        return module.register_forward_pre_hook(before, with_kwargs=True)

    def after(_: nn.Module, __: Any, output: Any) -> Any:
        return (replaced(output[0]), *output[1:]) if isinstance(output, tuple) else replaced(output)

    return module.register_forward_hook(after)
