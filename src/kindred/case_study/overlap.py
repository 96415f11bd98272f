"""Whether two features fire in the same places: overlap of contexts and correlation of activations.

Source: docs/methods.md, section 6.
"""

import math

import numpy as np

from kindred.artefacts.features import FeatureIndex
from kindred.errors import KindredError


def context_jaccard(left: FeatureIndex, right: FeatureIndex, features: tuple[int, int]) -> float:
    """Return the contexts in which both features fire over those in which either does; 0 if neither fires.

    Args:
        left: Activations of one SAE.
        right: Activations of another on the same corpus.
        features: A feature of each.
    """
    _check_same_corpus(left, right)
    ours = np.unique(left.of(features[0])[0] // left.context_length)
    theirs = np.unique(right.of(features[1])[0] // right.context_length)
    n_both = len(np.intersect1d(ours, theirs, assume_unique=True))
    n_either = len(ours) + len(theirs) - n_both
    return n_both / n_either if n_either else 0.0


def activation_correlation(
    left: FeatureIndex, right: FeatureIndex, features: tuple[int, int]
) -> float | None:
    """Return the Pearson correlation of two features over all tokens that are not special.

    Tokens where a feature is silent count as 0 and enter through their number alone, so the cost is that of the
    activations that are there. None if a feature does not vary, such as one that never fires.

    Args:
        left: Activations of one SAE.
        right: Activations of another on the same corpus.
        features: A feature of each.
    """
    _check_same_corpus(left, right)
    left_token, left_value = left.of(features[0])
    right_token, right_value = right.of(features[1])
    a, b = left_value.astype(np.float64), right_value.astype(np.float64)
    _, in_left, in_right = np.intersect1d(left_token, right_token, assume_unique=True, return_indices=True)
    n = left.n_tokens
    covariance = n * float(a[in_left] @ b[in_right]) - float(a.sum()) * float(b.sum())
    variances = [n * float(value @ value) - float(value.sum()) ** 2 for value in (a, b)]
    if min(variances) <= 0:
        return None
    return max(-1.0, min(1.0, covariance / math.sqrt(variances[0] * variances[1])))


def _check_same_corpus(left: FeatureIndex, right: FeatureIndex) -> None:
    """Refuse indexes of two corpora, whose tokens have nothing to do with each other."""
    sizes = [(index.n_contexts, index.context_length, index.n_tokens) for index in (left, right)]
    if sizes[0] != sizes[1]:
        raise KindredError(
            f"the two SAEs' features are of different corpora (contexts, context length, tokens: {sizes[0]} and "
            f"{sizes[1]}); make both anew from one"
        )
