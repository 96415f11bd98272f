"""The best windows of many features by each criterion, equal to a brute force over every window, ties included.

Source: docs/methods.md, section 3. All windows are put in order: by the criterion, then (`max` only) the better
centred on its peak, then density (for `density`: mean), then the earlier. Each in turn is chosen unless it overlaps
a chosen one. So a `max` window has its peak in the middle, unless its run ends or a chosen window lies too near.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.windows import CRITERIA
from kindred.errors import KindredError
from kindred.mapped import readonly
from kindred.windows.runs import Runs
from kindred.windows.search import FINE, NOT_ASCENDING, NOT_POSITIVE, search

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
    index: FeatureIndex, features: Sequence[int], runs: Runs, *, length: int, n_top: int
) -> BestWindows:
    """Choose the best windows of each feature that do not overlap, in one pass over its activations.

    A run shorter than ``length`` has one window, all of it. Memory is that of the result, of the runs, and of what
    is read of the index at once.

    Args:
        index: Activations of an SAE.
        features: Rows of the result.
        runs: The runs of the corpus.
        length: Tokens of a window.
        n_top: Windows for each criterion.

    Raises:
        ValueError: If an activation is not positive and finite, or the tokens of a feature do not ascend.
        KindredError: If there is no such feature, or the activations are not of this corpus.
    """
    rows = np.asarray(features, dtype=np.int64)
    for feature in rows[(rows < 0) | (rows >= index.d_sae)]:
        index.of(int(feature))  # which says that there is none
    entries = np.stack([index.offsets[rows], index.offsets[rows + 1]], axis=1)
    chosen = np.zeros((len(rows), len(CRITERIA), n_top, 6), dtype=np.int64)
    scores = np.zeros((len(rows), len(CRITERIA), n_top, 3))
    count = np.zeros((len(rows), len(CRITERIA)), dtype=np.int64)
    context_starts = np.arange(index.n_contexts + 1) * index.context_length
    if n_top:
        fault, row = search(
            readonly(index.token),
            readonly(index.value),
            entries,
            runs.start,
            runs.length,
            np.searchsorted(runs.start, context_starts),
            index.context_length,
            length,
            n_top,
            chosen,
            scores,
            count,
        )
        if fault != FINE:
            _refuse(fault, index.of(int(rows[row]))[0], runs)
    return BestWindows(count, *np.moveaxis(chosen, -1, 0), *np.moveaxis(scores, -1, 0))


def _refuse(fault: int, token: NDArray[np.integer], runs: Runs) -> None:
    """Raise what a fault of a feature's activations calls for."""
    if fault in _FAULTS:
        raise ValueError(_FAULTS[fault])
    run = np.searchsorted(runs.start, token.astype(np.int64), side="right") - 1
    stop = np.append(runs.start + runs.length, 0)  # the last for tokens before any run, whose run is -1
    raise KindredError(
        f"there are activations at {int((token >= stop[run]).sum())} special positions (BOS, EOS or padding) of this "
        "corpus; make the activations and features anew from it"
    )
