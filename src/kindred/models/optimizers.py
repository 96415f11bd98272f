"""Muon for hidden matrices and AdamW for the rest, under a warm-up, constant, linear decay schedule.

Muon: Jordan et al. 2024, scaled as in 'Muon is Scalable for LLM Training' (Liu et al. 2025), so that both
optimizers share one learning rate. Schedule: 'warmup-stable-decay' of MiniCPM (Hu et al. 2024).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer


def build_optimizers(
    model: nn.Module, learning_rate: float, weight_decay: float
) -> tuple[Optimizer, Optimizer]:
    """Build Muon for the matrices inside the blocks, and AdamW for embeddings and norms, undecayed.

    A matrix is hidden if it is two-dimensional and neither an embedding nor tied to one.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_hidden = parameter.ndim == 2 and id(parameter) not in embeddings and "lm_head" not in name
        (hidden if is_hidden else rest).append(parameter)
    muon = Muon(hidden, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    adamw = AdamW(rest, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return muon, adamw


def learning_rate_factor(step: int, n_steps: int, n_warmup: int, decay_share: float) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, constant, linear decay to zero.

    >>> [learning_rate_factor(step, 8, 2, 0.5) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warmup = (step + 1) / n_warmup if n_warmup else 1.0
    n_decay = round(n_steps * decay_share)
    decay = (n_steps - step) / n_decay if n_decay else 1.0
    return min(1.0, warmup, decay)


def set_learning_rate(optimizers: Sequence[Optimizer], learning_rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate


def optimizer_states(optimizers: Sequence[Optimizer]) -> list[dict[str, torch.Tensor]]:
    """Return the states of optimizers, for a checkpoint."""
    return [optimizer.state_dict() for optimizer in optimizers]
