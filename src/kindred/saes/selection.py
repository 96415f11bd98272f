"""The activations that an SAE keeps of a row of pre-activations, found in two passes that read but never write it.

The k largest are those above a bound that k of the row's columns reach for certain: columns are dealt into classes,
and the k-th largest of the classes' maxima is such a bound, which few other columns reach (the first step of a
bucketed selection, as in approximate top-k by Chern et al. 2022, 2206.14286, made exact by the second pass).
"""

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled

_BLOCK = 128  # columns that are looked at one by one if any of them passes
_LEAST_CLASSES = 64

Floats = NDArray[np.float32]


def n_classes(d_sae: int, k: int) -> int:
    """Classes that the columns of a row are dealt into; with no more than k there is no bound.

    >>> n_classes(16384, 32), n_classes(2048, 16), n_classes(40, 3)
    (256, 128, 10)
    """
    return min(max(8 * k, _LEAST_CLASSES), d_sae // 4)


@compiled
def largest(
    pre: Floats,
    bias: Floats,
    k: int,
    n_classes: int,
    count: NDArray[np.int64],
    feature: NDArray[np.int32],
    value: Floats,
) -> int:
    """Keep the positive ones of the k largest ``pre + bias`` of each row, by ascending column.

    NaN is kept, for the caller to refuse.

    Args:
        pre: [row, d_sae].
        bias: [d_sae].
        k: Columns kept of a row, at most.
        n_classes: As given by `n_classes`.
        count: Filled with the number kept of each row.
        feature: Filled with their columns, one row after the other; [row * k] has room for all.
        value: Filled with their values.

    Returns:
        How many were kept in all, or -1 if it depends on the choice among equal values.
    """
    zero = np.float32(0)
    d_sae = pre.shape[1]
    maxima = np.empty(n_classes, np.float32)
    scratch = np.empty(d_sae, np.float32)
    candidate = np.empty(d_sae, np.float32)
    column = np.empty(d_sae, np.int32)
    used = 0
    for row in range(pre.shape[0]):
        bound = zero
        if n_classes > k:
            maxima[:] = zero
            for start in range(0, d_sae - n_classes + 1, n_classes):
                _raise_maxima(maxima, pre[row, start : start + n_classes], bias[start : start + n_classes])
            bound = _kth_largest(maxima, n_classes, k)
        found = 0
        for start in range(0, d_sae, _BLOCK):
            part, bias_part = pre[row, start : start + _BLOCK], bias[start : start + _BLOCK]
            if _any_reaches(part, bias_part, bound):
                for offset in range(len(part)):
                    one = part[offset] + bias_part[offset]
                    if not (one < bound or one <= zero):
                        candidate[found] = np.float32(np.inf) if np.isnan(one) else one
                        column[found] = start + offset
                        found += 1
        least = zero
        if found > k:
            scratch[:found] = candidate[:found]
            least = _kth_largest(scratch, found, k)
        before = used
        for slot in range(found):
            if candidate[slot] >= least:
                if used - before == k:
                    return -1
                feature[used] = column[slot]
                value[used] = candidate[slot]
                used += 1
        count[row] = used - before
    return used


@compiled
def count_above(pre: Floats, bias: Floats, floor: Floats, count: NDArray[np.int64]) -> None:
    """Count of each row the columns whose ``pre + bias`` is not at or below their floor (NaN is not).

    Args:
        pre: [row, d_sae].
        bias: [d_sae].
        floor: [d_sae].
        count: Filled with the numbers, [row].
    """
    for row in range(pre.shape[0]):
        part = pre[row]
        n_above = np.int32(0)
        for column in range(len(part)):
            n_above += np.int32(0) if part[column] + bias[column] <= floor[column] else np.int32(1)
        count[row] = n_above


@compiled
def fill_above(pre: Floats, bias: Floats, floor: Floats, feature: NDArray[np.int32], value: Floats) -> None:
    """Write down the columns that `count_above` has counted, by row and then by column, and their values."""
    used = 0
    for row in range(pre.shape[0]):
        for start in range(0, pre.shape[1], _BLOCK):
            part, bias_part = pre[row, start : start + _BLOCK], bias[start : start + _BLOCK]
            floor_part = floor[start : start + _BLOCK]
            n_above = np.int32(0)
            for offset in range(len(part)):
                n_above += (
                    np.int32(0) if part[offset] + bias_part[offset] <= floor_part[offset] else np.int32(1)
                )
            if n_above > 0:
                for offset in range(len(part)):
                    one = part[offset] + bias_part[offset]
                    if not one <= floor_part[offset]:
                        feature[used] = start + offset
                        value[used] = one
                        used += 1


@compiled
def _raise_maxima(maxima: Floats, part: Floats, bias: Floats) -> None:
    """Take the larger of each pair, NaN above all; without a branch, so that the compiler takes many at once."""
    for column in range(len(maxima)):
        one = part[column] + bias[column]
        maxima[column] = maxima[column] if one <= maxima[column] else one


@compiled
def _any_reaches(part: Floats, bias: Floats, bound: np.float32) -> bool:
    reaching = np.int32(0)
    for column in range(len(part)):
        reaching += np.int32(0) if part[column] + bias[column] < bound else np.int32(1)
    return bool(reaching > 0)


@compiled
def _kth_largest(values: Floats, n: int, k: int) -> np.float32:
    """Return the k-th largest of the first n values, which are reordered (Hoare 1961, quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if k - 1 <= right:
            high = right
        elif k - 1 >= left:
            low = left
        else:
            break
    return np.float32(values[k - 1])
