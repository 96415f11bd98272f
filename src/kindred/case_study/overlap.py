"""Whether two features fire in the same places: overlap of contexts and correlation of activations.

Source: docs/methods.md, section 6.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.errors import KindredError

# Activations of a feature that are held together.
BLOCK_ENTRIES = 1 << 20


def context_jaccard(left: FeatureIndex, right: FeatureIndex, features: tuple[int, int]) -> float:
    """Return the contexts in which both features fire over those in which either does; 0 if neither fires.

    Args:
        left: Activations of one SAE.
        right: Activations of another on the same corpus.
        features: A feature of each.
    """
    _check_same_corpus(left, right)
    ours, theirs = _contexts(left, features[0]), _contexts(right, features[1])
    n_both = len(np.intersect1d(ours, theirs, assume_unique=True))
    n_either = len(ours) + len(theirs) - n_both
    return n_both / n_either if n_either else 0.0


def activation_correlation(
    left: FeatureIndex, right: FeatureIndex, features: tuple[int, int]
) -> float | None:
    """Return the Pearson correlation of two features over all tokens that are not special.

    Tokens where a feature is silent count as 0 and enter through their number alone, so the cost is that of the
    activations that are there, of which some are held at a time. None if a feature does not vary, such as one that
    never fires.

    Args:
        left: Activations of one SAE.
        right: Activations of another on the same corpus.
        features: A feature of each.
    """
    _check_same_corpus(left, right)
    ours, theirs = left.of(features[0]), right.of(features[1])
    (sum_left, square_left), (sum_right, square_right) = _moments(ours[1]), _moments(theirs[1])
    n = left.n_tokens
    covariance = n * _product(*ours, *theirs) - sum_left * sum_right
    variances = [n * square_left - sum_left**2, n * square_right - sum_right**2]
    if min(variances) <= 0:
        return None
    return max(-1.0, min(1.0, covariance / math.sqrt(variances[0] * variances[1])))


def _blocks(n_entries: int) -> Iterator[slice]:
    """Yield the blocks in which a feature's activations are read."""
    for start in range(0, n_entries, BLOCK_ENTRIES):
        yield slice(start, start + BLOCK_ENTRIES)


def _contexts(index: FeatureIndex, feature: int) -> NDArray[np.integer]:
    """Return the contexts in which a feature fires, ascending."""
    token, _ = index.of(feature)
    parts = [np.unique(token[block] // index.context_length) for block in _blocks(len(token))]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))


def _moments(value: NDArray[np.float32]) -> tuple[float, float]:
    """Return the sum of activations and the sum of their squares."""
    total = square = 0.0
    for block in _blocks(len(value)):
        part = value[block].astype(np.float64)
        total += float(part.sum())
        square += float(part @ part)
    return total, square


def _product(
    left_token: NDArray[np.integer],
    left_value: NDArray[np.float32],
    right_token: NDArray[np.integer],
    right_value: NDArray[np.float32],
) -> float:
    """Return the sum of products of two features' activations over the tokens where both fire."""
    total = 0.0
    for block in _blocks(len(left_token)):
        token, a = left_token[block], left_value[block].astype(np.float64)
        for low, high in _same_range(right_token, int(token[0]), int(token[-1])):
            b = right_value[low:high].astype(np.float64)
            _, in_left, in_right = np.intersect1d(
                token, right_token[low:high], assume_unique=True, return_indices=True
            )
            total += float(a[in_left] @ b[in_right])
    return total


def _same_range(token: NDArray[np.integer], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the blocks of entries whose tokens lie between two tokens, both included."""
    kind = token.dtype.type  # keys of another type would have NumPy copy all tokens
    low = int(np.searchsorted(token, kind(first)))
    high = int(np.searchsorted(token, kind(last), side="right"))
    for start in range(low, high, BLOCK_ENTRIES):
        yield start, min(start + BLOCK_ENTRIES, high)


def _check_same_corpus(left: FeatureIndex, right: FeatureIndex) -> None:
    """Refuse indexes of two corpora, whose tokens have nothing to do with each other."""
    sizes = [(index.n_contexts, index.context_length, index.n_tokens) for index in (left, right)]
    if sizes[0] != sizes[1]:
        raise KindredError(
            f"the two SAEs' features are of different corpora (contexts, context length, tokens: {sizes[0]} and "
            f"{sizes[1]}); make both anew from one"
        )
