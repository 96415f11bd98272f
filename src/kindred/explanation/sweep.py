"""Self-similarity and entropy over the grid of scales (Kharlapenko et al. 2024), in batches of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax

from kindred.explanation.prompt_pass import SteeredPrompt, row_batches

Metric = Literal["entropy", "crossent"]


@dataclass(frozen=True, eq=False)
class Curves:
    """What the model does at each scale, float32 [feature, scale].

    Attributes:
        self_similarity: Cosine between the residual at the last prompt token and the injected direction.
        entropy: Of the first answer token's distribution, or its cross-entropy to that of scale 0, in nats.
    """

    self_similarity: NDArray[np.float32]
    entropy: NDArray[np.float32]


def scale_grid(n_scales: int, max_scale: float) -> NDArray[np.float32]:
    """Return evenly spaced scales from 0 to ``max_scale``, both included."""
    return np.linspace(0.0, max_scale, n_scales, dtype=np.float32)


def sweep(
    prompt: SteeredPrompt,
    directions: Tensor,
    scales: NDArray[np.float32],
    *,
    metric: Metric,
    batch_size: int,
    advance: Callable[[int], None],
) -> Curves:
    """Measure both curves. Scale 0 is the same for all features, so it is run once.

    Args:
        prompt: The prompt to steer.
        directions: Unit vectors, float32 [feature, d_model].
        scales: The grid; 0 first.
        metric: ``entropy`` of the distribution p_s at scale s, or ``crossent``: minus the sum of p_s log p_0,
            the cross-entropy of the source's published code with scale 0 as its base run.
        batch_size: Rows (features x scales) in one forward pass.
        advance: Told the number of rows after each pass.
    """
    n_features, n_scales = len(directions), len(scales)
    base = prompt.run(directions.new_zeros(1, directions.shape[1]), directions.new_zeros(1))
    reference = None if metric == "entropy" else log_softmax(base.logits, dim=-1)
    advance(1)
    self_similarity = np.empty((n_features, n_scales), dtype=np.float32)
    entropy = np.empty((n_features, n_scales), dtype=np.float32)
    self_similarity[:, 0] = cosine_similarity(base.residual, directions, dim=-1).cpu().numpy()
    entropy[:, 0] = entropy_nats(base.logits, reference).cpu().numpy()
    row_features, row_scales = np.divmod(np.arange(n_features * (n_scales - 1)), n_scales - 1)
    for rows in row_batches(len(row_features), batch_size):
        feature, scale = row_features[rows], row_scales[rows] + 1
        injected = directions[torch.from_numpy(feature)]
        state = prompt.run(injected, torch.from_numpy(scales[scale]).to(directions.device))
        cosine = cosine_similarity(state.residual, injected, dim=-1)
        self_similarity[feature, scale] = cosine.cpu().numpy()
        entropy[feature, scale] = entropy_nats(state.logits, reference).cpu().numpy()
        advance(len(feature))
    return Curves(self_similarity, entropy)


def entropy_nats(logits: Tensor, reference: Tensor | None = None) -> Tensor:
    """Return the entropy of each row's distribution p in nats, [row]; logits may be minus infinity.

    Args:
        logits: [row, vocabulary].
        reference: Log-probabilities, [row or 1, vocabulary], for the cross-entropy: minus the sum of p times them.
    """
    log_probabilities = log_softmax(logits, dim=-1)
    probabilities = log_probabilities.exp()
    products = probabilities * (log_probabilities if reference is None else reference)
    # What has no probability adds nothing; an id that is hidden has a logarithm of minus infinity, too.
    nats: Tensor = -products.masked_fill_(probabilities == 0, 0).sum(-1)
    return nats
