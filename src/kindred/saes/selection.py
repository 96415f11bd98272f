"""The activations that an SAE keeps of a row of pre-activations, found in two passes that read but never write it.

The k largest are those above a bound that k of the row's columns reach for certain: columns are dealt into classes,
and the k-th largest of the classes' maxima is such a bound, which few other columns reach (the first step of a
bucketed selection, as in approximate top-k by Chern et al. 2022, 2206.14286, made exact by the second pass).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled

_BLOCK = 128  # columns that are looked at one by one if any of them passes
_LEAST_CLASSES = 64

Floats = NDArray[np.float32]
Result = TypeVar("Result")


class Selected(NamedTuple):
    """What was kept of each row, one row after the other, by ascending column."""

    counts: NDArray[np.int64]  # [row]
    column: NDArray[np.int32]  # [kept]
    value: Floats  # [kept]


def largest(pre: Floats, bias: Floats, k: int, threads: int) -> Selected | None:
    """Keep the positive ones of the k largest ``pre + bias`` of each row; NaN is kept as infinity.

    Args:
        pre: [row, d_sae].
        bias: [d_sae].
        k: Columns kept of a row, at most.
        threads: That share the rows; the result does not depend on it.

    Returns:
        None if the choice among equal values would matter.
    """
    counts = np.empty(len(pre), np.int64)
    column, value = np.empty(len(pre) * k, np.int32), np.empty(len(pre) * k, np.float32)
    classes = _n_classes(pre.shape[1], k)

    def select(start: int, stop: int) -> tuple[int, int]:
        room = slice(start * k, stop * k)
        used = _largest(pre[start:stop], bias, k, classes, counts[start:stop], column[room], value[room])
        return start * k, used

    parts = _share_rows(len(pre), threads, select)
    if any(used < 0 for _, used in parts):
        return None
    kept = [slice(start, start + used) for start, used in parts]
    return Selected(counts, _joined(column, kept), _joined(value, kept))


def above(pre: Floats, bias: Floats, floor: Floats, threads: int) -> Selected:
    """Keep of each row the columns whose ``pre + bias`` lies above their floor; NaN is kept.

    Args:
        pre: [row, d_sae].
        bias: [d_sae].
        floor: [d_sae].
        threads: As in `largest`.
    """
    counts = np.empty(len(pre), np.int64)
    _share_rows(
        len(pre), threads, lambda start, stop: _count_above(pre[start:stop], bias, floor, counts[start:stop])
    )
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    column, value = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)

    def fill(start: int, stop: int) -> None:
        room = slice(ends[start], ends[stop])
        _fill_above(pre[start:stop], bias, floor, column[room], value[room])

    _share_rows(len(pre), threads, fill)
    return Selected(counts, column, value)


def _n_classes(d_sae: int, k: int) -> int:
    """Classes that the columns of a row are dealt into; with no more than k there is no bound."""
    return min(max(8 * k, _LEAST_CLASSES), d_sae // 4)


def _joined(array: NDArray[Any], parts: list[slice]) -> NDArray[Any]:
    return array[parts[0]] if len(parts) == 1 else np.concatenate([array[part] for part in parts])


def _share_rows(n_rows: int, threads: int, work: Callable[[int, int], Result]) -> list[Result]:
    """Do the work on equal runs of rows, the first in this thread; compiled loops run side by side."""
    ends = [n_rows * part // threads for part in range(threads + 1)]
    others = [_pool(threads - 1).submit(work, *run) for run in pairwise(ends[1:])]
    return [work(0, ends[1]), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="selection")


@compiled
def _largest(
    pre: Floats,
    bias: Floats,
    k: int,
    n_classes: int,
    counts: NDArray[np.int64],
    feature: NDArray[np.int32],
    value: Floats,
) -> int:
    """Fill the counts, columns and values of `largest`, and return how many there are, or -1 for a choice."""
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
        counts[row] = used - before
    return used


@compiled
def _count_above(pre: Floats, bias: Floats, floor: Floats, count: NDArray[np.int64]) -> None:
    """Count of each row the columns that are not at or below their floor (NaN is not)."""
    for row in range(pre.shape[0]):
        part = pre[row]
        n_above = np.int32(0)
        for column in range(len(part)):
            n_above += np.int32(0) if part[column] + bias[column] <= floor[column] else np.int32(1)
        count[row] = n_above


@compiled
def _fill_above(pre: Floats, bias: Floats, floor: Floats, feature: NDArray[np.int32], value: Floats) -> None:
    """Write down the columns that `_count_above` has counted, by row and then by column, and their values."""
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
