"""Do two groups differ, and by how much: bootstrap intervals and permutation tests (Efron & Tibshirani 1993)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Values = NDArray[np.float64]
Outcome = Literal["higher", "lower", "undecided", "unmeasured"]
N_RESAMPLES = 4000
_DECIMALS = 12  # beyond these a difference of scores is rounding noise, which must not break ties


@dataclass(frozen=True)
class Comparison:
    """One question put to the numbers: is `quantity` of `first` above that of `second`?

    `difference` is that of the medians (two groups) or the median of the paired differences. `p_value` is two-sided,
    of the rank sum with labels permuted within each pair of SAEs (two groups; Mann & Whitney 1947), or of the signed
    ranks with signs flipped (paired; Wilcoxon 1945): a median would be blind where values repeat.
    """

    scope: str
    quantity: str
    first: str
    second: str
    paired: bool
    n_first: int
    n_second: int
    median_first: float
    median_second: float
    difference: float
    low: float
    high: float
    p_value: float
    outcome: Outcome


@dataclass(frozen=True)
class Question:
    """The names of what is compared; see Comparison."""

    scope: str
    quantity: str
    first: str
    second: str


def compare_groups(
    question: Question,
    first: Sequence[Values],
    second: Sequence[Values],
    *,
    confidence: float,
    generator: np.random.Generator,
) -> Comparison:
    """Compare two groups of independent values, given as one array per stratum (pair of SAEs); nan is left out.

    Resampling and permuting keep within each stratum, so a difference between strata cannot pass for one between
    groups.
    """
    kept = [(_finite(a), _finite(b)) for a, b in zip(first, second, strict=True)]
    all_first = np.concatenate([a for a, _ in kept])
    all_second = np.concatenate([b for _, b in kept])
    if min(len(all_first), len(all_second)) < 2:
        return _unmeasured(question, False, all_first, all_second)
    difference = float(np.median(all_first) - np.median(all_second))
    resampled_first = np.concatenate([_resample(a, generator) for a, _ in kept], axis=1)
    resampled_second = np.concatenate([_resample(b, generator) for _, b in kept], axis=1)
    bootstrap = np.median(resampled_first, axis=1) - np.median(resampled_second, axis=1)
    observed, null = 0.0, np.zeros(N_RESAMPLES)
    for a, b in kept:
        ranks = rankdata(np.concatenate([a, b]))
        centred = ranks - ranks.mean() if len(ranks) else ranks
        observed += float(centred[: len(a)].sum())
        null += _shuffle(centred, generator)[:, : len(a)].sum(axis=1)
    p_value = _p_value(observed, null)
    return _conclude(question, False, all_first, all_second, difference, bootstrap, p_value, confidence)


def compare_paired(
    question: Question,
    first: Values,
    second: Values,
    *,
    confidence: float,
    generator: np.random.Generator,
) -> Comparison:
    """Compare two values of each feature; features that lack either are left out."""
    both = np.isfinite(first) & np.isfinite(second)
    a, b = first[both], second[both]
    if len(a) < 2:
        return _unmeasured(question, True, a, b)
    differences = np.round(a - b, _DECIMALS)
    bootstrap = np.median(_resample(differences, generator), axis=1)
    signs = generator.integers(0, 2, size=(N_RESAMPLES, len(differences))) * 2 - 1
    # Equal pairs have no sign and so no say (Wilcoxon 1945).
    signed_ranks = np.sign(differences) * rankdata(np.abs(differences))
    p_value = _p_value(float(signed_ranks.sum()), (signs * signed_ranks).sum(axis=1))
    return _conclude(question, True, a, b, float(np.median(differences)), bootstrap, p_value, confidence)


def median_interval(
    values: Values, *, confidence: float, generator: np.random.Generator
) -> tuple[float, float, float]:
    """The median of the finite values with its percentile bootstrap interval; nan where there is none."""
    kept = _finite(values)
    if len(kept) == 0:
        return (float("nan"),) * 3
    bootstrap = np.median(_resample(kept, generator), axis=1)
    low, high = np.quantile(bootstrap, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(np.median(kept)), float(low), float(high)


def _conclude(
    question: Question,
    paired: bool,
    first: Values,
    second: Values,
    difference: float,
    bootstrap: Values,
    p_value: float,
    confidence: float,
) -> Comparison:
    low, high = np.round(np.quantile(bootstrap, [(1 - confidence) / 2, (1 + confidence) / 2]), _DECIMALS)
    outcome: Outcome = "undecided"
    # Both the interval and the test must agree before a difference is called one.
    if p_value < 1 - confidence and low > 0:
        outcome = "higher"
    elif p_value < 1 - confidence and high < 0:
        outcome = "lower"
    return Comparison(
        **vars(question),
        paired=paired,
        n_first=len(first),
        n_second=len(second),
        median_first=float(np.median(first)),
        median_second=float(np.median(second)),
        difference=round(difference, _DECIMALS),
        low=float(low),
        high=float(high),
        p_value=p_value,
        outcome=outcome,
    )


def _p_value(observed: float, null: Values) -> float:
    """Two-sided share of permutations that reach the observed statistic, itself counted among them."""
    reached = int(np.count_nonzero(np.abs(null) >= abs(observed) - 1e-9))
    return (1 + reached) / (1 + len(null))


def _unmeasured(question: Question, paired: bool, first: Values, second: Values) -> Comparison:
    nan = float("nan")
    medians = [float(np.median(values)) if len(values) else nan for values in (first, second)]
    return Comparison(
        **vars(question),
        paired=paired,
        n_first=len(first),
        n_second=len(second),
        median_first=medians[0],
        median_second=medians[1],
        difference=nan,
        low=nan,
        high=nan,
        p_value=nan,
        outcome="unmeasured",
    )


def _finite(values: Values) -> Values:
    return values[np.isfinite(values)]


def _resample(values: Values, generator: np.random.Generator) -> Values:
    """Draws with replacement, [N_RESAMPLES, n]."""
    if len(values) == 0:
        return np.empty((N_RESAMPLES, 0))
    return values[generator.integers(0, len(values), size=(N_RESAMPLES, len(values)))]


def _shuffle(values: Values, generator: np.random.Generator) -> Values:
    """Permutations of the values, [N_RESAMPLES, n]."""
    return generator.permuted(np.tile(values, (N_RESAMPLES, 1)), axis=1)
