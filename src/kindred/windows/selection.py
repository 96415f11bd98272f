"""The best windows of many features by each criterion, equal to a brute force over every window, ties included.

Source: docs/methods.md, section 3. All windows are put in order: by the criterion, then (`max` only) the better
centred on its peak, then density (for `density`: mean), then the earlier. Each in turn is chosen unless it overlaps
a chosen one. So a `max` window has its peak in the middle, unless its run ends or a chosen window lies too near.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.windows import CRITERIA
from kindred.errors import KindredError
from kindred.mapped import readonly, release
from kindred.windows.runs import Runs, narrowest_windows
from kindred.windows.search import (
    BLOCK_BITS,
    FINE,
    NOT_ASCENDING,
    NOT_POSITIVE,
    OUTSIDE,
    count_outside,
    search,
)

PART_ENTRIES = 1 << 24  # after so many activations the pages read are given back (8 bytes each)

_FAULTS = {NOT_POSITIVE: "activations must be positive and finite", NOT_ASCENDING: "tokens must ascend"}


@dataclass(frozen=True, eq=False)
class BestWindows:
    """Windows of some features, best first; arrays are [feature, criterion, rank] unless stated otherwise.

    Of what lies beyond ``count`` nothing is to be read.

    Attributes:
        count: Windows found, fewer than asked for where the feature fires in no more, [feature, criterion].
        start: Flat index of a window's first token.
        length: Number of its tokens.
        first: First entry of the index inside it.
        stop: One past the last entry inside it.
        run_start: Flat index of the first token of the run it lies in.
        run_stop: One past the run's last token.
        mean: Mean activation over all its tokens: the exact sum, rounded, over their number.
        density: Share of its tokens that activate the feature.
        max: Largest activation.
    """

    count: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    run_start: NDArray[np.int64]
    run_stop: NDArray[np.int64]
    mean: NDArray[np.float64]
    density: NDArray[np.float64]
    max: NDArray[np.float64]


def best_windows(
    index: FeatureIndex, features: Sequence[int], runs: Runs, *, length: int, min_length: int, n_top: int
) -> BestWindows:
    """Choose the best windows of each feature that do not overlap, in one pass over its activations.

    A run shorter than ``length`` has one window, all of it, unless it is shorter than ``min_length``, too. Memory is
    that of the result, of the runs, and of what is read of the index at once.

    Args:
        index: Activations of an SAE.
        features: Rows of the result.
        runs: The runs of the corpus.
        length: Tokens of a window.
        min_length: Tokens that a window has at least: a run of fewer has none.
        n_top: Windows for each criterion.

    Raises:
        ValueError: If an activation is not positive and finite, or the tokens of a feature do not ascend.
        KindredError: If there is no such feature, or one of the windows is not of this corpus (`refuse_outside`
            looks at every activation).
    """
    rows = np.asarray(features, dtype=np.int64)
    for feature in rows[(rows < 0) | (rows >= index.d_sae)]:
        index.of(int(feature))  # which says that there is none
    entries = np.stack([index.offsets[rows], index.offsets[rows + 1]], axis=1)
    chosen = np.zeros((len(rows), len(CRITERIA), n_top, 6), dtype=np.int64)
    scores = np.zeros((len(rows), len(CRITERIA), n_top, 3))
    count = np.zeros((len(rows), len(CRITERIA)), dtype=np.int64)
    first_run = _first_runs(index, runs)
    holds_windows = runs.length >= min_length
    narrowest = narrowest_windows(
        Runs(runs.start[holds_windows], runs.length[holds_windows]),
        index.n_contexts * index.context_length,
        length,
        BLOCK_BITS,
    )
    for part in _parts(entries) if n_top else ():
        fault, row = search(
            readonly(index.token),
            readonly(index.value),
            entries[part],
            runs.start,
            runs.length,
            first_run,
            narrowest,
            index.context_length,
            length,
            min_length,
            n_top,
            chosen[part],
            scores[part],
            count[part],
        )
        release(index.token)
        release(index.value)
        if fault == OUTSIDE:
            refuse_outside(index, [int(rows[part][row])], runs)
        if fault != FINE:
            raise ValueError(_FAULTS[fault])
    return BestWindows(count, *np.moveaxis(chosen, -1, 0), *np.moveaxis(scores, -1, 0))


def fires_in_short_run(index: FeatureIndex, feature: int, runs: Runs, min_length: int) -> bool:
    """Tell whether a feature fires in a run of fewer tokens than a window must have."""
    token, _ = index.of(feature)
    run = np.searchsorted(runs.start, token, side="right") - 1
    return bool((runs.length[run] < min_length).any())


def _parts(entries: NDArray[np.int64]) -> Iterator[slice]:
    """Yield features that follow one another, as many as have ``PART_ENTRIES`` activations, at least one."""
    part = np.cumsum(entries[:, 1] - entries[:, 0]) // PART_ENTRIES
    bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(part)]
    return (slice(first, stop) for first, stop in pairwise(bounds))


def refuse_outside(index: FeatureIndex, features: Sequence[int], runs: Runs) -> None:
    """Raise if a feature fires at a special position of the corpus, and so was made from another.

    The search looks closely at few activations, and would not notice the others.

    Raises:
        KindredError: If it does.
    """
    first_run = _first_runs(index, runs)
    for feature in features:
        n_outside = count_outside(
            readonly(index.token),
            index.offsets[feature : feature + 2].astype(np.int64),
            runs.start,
            runs.length,
            first_run,
            index.context_length,
        )
        if n_outside:
            raise KindredError(
                f"there are activations at {n_outside} special positions (BOS, EOS or padding) of this "
                "corpus; make the activations and features anew from it"
            )


def _first_runs(index: FeatureIndex, runs: Runs) -> NDArray[np.int64]:
    """Return the first run of each context, and the number of runs, [context + 1]."""
    starts = np.arange(index.n_contexts + 1) * index.context_length
    return np.searchsorted(runs.start, starts).astype(np.int64, copy=False)
