"""Which scales explain a feature: the composite of self-similarity and entropy (Kharlapenko et al. 2024)."""

import numpy as np
from numpy.typing import NDArray

# The composite lies in [-1, 1]; rounding makes scales that differ by floating-point noise alone a tie.
_DECIMALS = 4


def min_max_normalised(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scale each row to [0, 1]; a constant row becomes 0.

    As in the source, a row is first taken as its difference to scale 0.

    Args:
        curves: [feature, scale].
    """
    wide = curves.astype(np.float64)
    wide = wide - wide[:, :1]
    low = wide.min(axis=1, keepdims=True)
    span = wide.max(axis=1, keepdims=True) - low
    normalised: NDArray[np.float64] = np.divide(wide - low, span, out=np.zeros_like(wide), where=span > 0)
    return normalised


def composite(
    self_similarity: NDArray[np.float32], entropy: NDArray[np.float32], alpha: float
) -> NDArray[np.float32]:
    """Weigh similarity against entropy: ``alpha * self_similarity - (1 - alpha) * entropy``, both normalised.

    Args:
        self_similarity: Raw cosines, [feature, scale]; scale 0 first.
        entropy: Entropy or cross-entropy in nats, [feature, scale].
        alpha: Weight of self-similarity, from 0 to 1.

    Returns:
        Composite rounded to 4 decimals, [feature, scale].
    """
    weighed = alpha * min_max_normalised(self_similarity) - (1 - alpha) * min_max_normalised(entropy)
    return weighed.round(_DECIMALS).astype(np.float32)


def best_scales(values: NDArray[np.float32], n_best: int) -> NDArray[np.int64]:
    """Return the indices of the scales of largest composite, best first.

    Among equals the smaller scale comes first. Scale 0 is never chosen: nothing is injected there, so what is
    said there is said of every feature.

    Args:
        values: Composite, [feature, scale]; scale 0 first.
        n_best: Number of scales for each feature.

    Returns:
        Indices into the grid, [feature, rank].

    Example:
        >>> best_scales(np.array([[0.9, 0.1, 0.5, 0.5]], dtype=np.float32), 2)
        array([[2, 3]])
    """
    return np.argsort(-values[:, 1:], axis=1, kind="stable")[:, :n_best] + 1


def is_self_explainable(self_similarity: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Say whether raw self-similarity reaches the threshold at any scale above 0, [feature]."""
    return np.asarray(self_similarity[:, 1:].max(axis=1) >= np.float32(threshold), dtype=np.bool_)
