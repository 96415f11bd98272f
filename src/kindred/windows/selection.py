"""The best windows of one feature by one criterion, equal to a brute force over every window, ties included.

Source: docs/methods.md, section 3. All windows are put in order: by the criterion, then (`max` only) the better
centred on its peak, then density (for `density`: mean), then the earlier. Each in turn is chosen unless it overlaps
a chosen one. So a `max` window has its peak in the middle, unless its run ends or a chosen window lies too near.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.windows import Criterion
from kindred.windows.runs import Runs
from kindred.windows.scores import Firing, Windows, off_centre, windows_of_runs


def best_windows(fires: Firing, runs: Runs, criterion: Criterion, *, length: int, n_top: int) -> Windows:
    """Choose the best windows that do not overlap, best first.

    Only ``n_top`` runs are looked at, those whose best windows are the foremost: as long as fewer windows are chosen,
    one of these runs has none chosen from it, and its best window comes before all windows of other runs. Fewer
    windows come back where there are no more in which the feature fires.

    Args:
        fires: The feature's activations.
        runs: All runs of the corpus.
        criterion: What a window is chosen by.
        length: Tokens of a window.
        n_top: Windows to choose.
    """
    if criterion == "max":
        scores = _best_of_runs_by_max(fires, runs, length)
    else:
        scores = _best_of_runs_by_content(fires, runs, criterion, length)
    foremost = np.lexsort((fires.run, -scores[1], -scores[0]))[:n_top]
    windows = windows_of_runs(fires, runs, fires.run[foremost], length)
    keys: tuple[NDArray[Any], ...]
    if criterion == "density":
        keys = (windows.start, -windows.mean, -windows.density)
    elif criterion == "mean":
        keys = (windows.start, -windows.density, -windows.mean)
    else:
        keys = (windows.start, -windows.density, off_centre(fires, runs, windows), -windows.max)
    ordered = windows.take(np.lexsort(keys))
    return ordered.take(_without_overlap(ordered, n_top))


def _best_of_runs_by_content(
    fires: Firing, runs: Runs, criterion: Criterion, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return criterion and tie-break (mean and density, or density and mean) of each run's foremost window.

    No window holds more than what lies within its length of its own first activation, and some window of the run
    holds all of that; so the stretches that begin with an activation decide.
    """
    n_entries = fires.stop - fires.first
    tokens = np.repeat(np.minimum(runs.length[fires.run], length), n_entries)
    first = np.arange(len(fires.token))
    stop = np.minimum(np.searchsorted(fires.token, fires.token + tokens), np.repeat(fires.stop, n_entries))
    mean, density = fires.mean(first, stop, tokens), (stop - first) / tokens
    scores, ties = (mean, density) if criterion == "mean" else (density, mean)
    best = _largest_of_runs(scores, fires)
    return best, _largest_of_runs(np.where(scores == np.repeat(best, n_entries), ties, 0.0), fires)


def _best_of_runs_by_max(
    fires: Firing, runs: Runs, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the peak of each run and the density of the densest window that is centred on such a peak."""
    n_entries = fires.stop - fires.first
    value = fires.value.astype(np.float64)
    peak = _largest_of_runs(value, fires)
    tokens = np.minimum(runs.length[fires.run], length)
    last_start = runs.start[fires.run] + runs.length[fires.run] - tokens
    at_peak = value == np.repeat(peak, n_entries)
    member = np.repeat(np.arange(len(fires.run)), n_entries)[at_peak]
    centred = fires.token[at_peak] - tokens[member] // 2
    start = np.clip(centred, runs.start[fires.run][member], last_start[member])
    held = np.searchsorted(fires.token, start + tokens[member]) - np.searchsorted(fires.token, start)
    density = np.zeros(len(value))
    density[at_peak] = held / tokens[member]
    return peak, _largest_of_runs(density, fires)


def _largest_of_runs(values: NDArray[np.float64], fires: Firing) -> NDArray[np.float64]:
    """Return the largest of the entries' values in each run."""
    if not len(values):
        return np.zeros(0)
    largest: NDArray[np.float64] = np.maximum.reduceat(values, fires.first)
    return largest


def _without_overlap(ordered: Windows, n_top: int) -> NDArray[np.intp]:
    """Choose windows in their order, leaving out those that overlap a chosen one."""
    chosen: list[int] = []
    free = np.ones(len(ordered), dtype=np.bool_)
    stop = ordered.start + ordered.length
    while len(chosen) < n_top and free.any():
        best = int(np.argmax(free))
        chosen.append(best)
        free &= (stop <= ordered.start[best]) | (ordered.start >= stop[best])
    return np.array(chosen, dtype=np.intp)
