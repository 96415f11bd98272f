"""AUROC with an interval: the share of pairs of a positive and a negative that a score puts in the right order.

Sources: DeLong, DeLong & Clarke-Pearson 1988 (the variance); Sun & Xu 2014 (its computation from midranks);
the interval is on the logit scale, so it stays within 0 and 1 and holds its level near them (Qin & Hotilovac
2008).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


@dataclass(frozen=True, eq=False)
class AurocInterval:
    """AUROC of each row of scores with its interval, float64 [row]; nan where it is not defined."""

    auroc: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def auroc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the AUROC of each row; ties count one half. Nan if there are no positives or no negatives.

    Args:
        positive: Scores of the positives, [row, positive].
        negative: Scores of the negatives, [row, negative].

    Example:
        Of the four pairs, three are in order and one is a tie:

        >>> auroc(np.array([[2.0, 3.0]]), np.array([[1.0, 2.0]]))
        array([0.875])
    """
    n_positive, n_negative = positive.shape[1], negative.shape[1]
    if not n_positive or not n_negative:
        return np.full(len(positive), np.nan)
    ranks = rankdata(np.concatenate([positive, negative], axis=1), axis=1)[:, :n_positive]
    pairs = ranks.sum(axis=1) - n_positive * (n_positive + 1) / 2
    return np.asarray(pairs / (n_positive * n_negative), dtype=np.float64)


def delong_variance(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return DeLong's variance of the AUROC of each row; nan with fewer than two positives or negatives.

    A positive's placement is the share of negatives below it, which is its midrank among all minus its midrank
    among the positives, over their number; the reverse holds for a negative.
    """
    n_positive, n_negative = positive.shape[1], negative.shape[1]
    if n_positive < 2 or n_negative < 2:
        return np.full(len(positive), np.nan)
    together = rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    above = (together[:, :n_positive] - rankdata(positive, axis=1)) / n_negative
    below = 1 - (together[:, n_positive:] - rankdata(negative, axis=1)) / n_positive
    variance = above.var(axis=1, ddof=1) / n_positive + below.var(axis=1, ddof=1) / n_negative
    return np.asarray(variance, dtype=np.float64)


def auroc_interval(
    positive: NDArray[np.floating], negative: NDArray[np.floating], confidence: float
) -> AurocInterval:
    """Return the AUROC of each row with its interval.

    Where all pairs are in order (or none is), DeLong's variance is 0 and the logit infinite. There the limit is
    that of Clopper & Pearson for as many successes in a row as there are disjoint pairs: with 100 and 100, an
    AUROC of 1 has a lower limit of 0.964. With fewer than two positives or negatives the limits are nan.

    Args:
        positive: Scores of the positives, [row, positive].
        negative: Scores of the negatives, [row, negative].
        confidence: Level of the interval, such as 0.95.
    """
    area = auroc(positive, negative)
    variance = delong_variance(positive, negative)
    inner = (area > 0) & (area < 1)
    safe = np.where(inner, area, 0.5)
    logit = np.log(safe / (1 - safe))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * np.sqrt(variance) / (safe * (1 - safe))
    low, high = _logistic(logit - half), _logistic(logit + half)
    n_pairs = min(positive.shape[1], negative.shape[1])
    if n_pairs >= 2:
        limit = ((1 - confidence) / 2) ** (1 / n_pairs)
        low = np.where(inner, low, np.where(area == 1, limit, 0.0))
        high = np.where(inner, high, np.where(area == 0, 1 - limit, 1.0))
    undefined = np.isnan(area) | (n_pairs < 2)
    low, high = (np.where(undefined, np.nan, bound) for bound in (low, high))
    return AurocInterval(area, low, high)


def _logistic(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-value)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(value / 2)), dtype=np.float64)
