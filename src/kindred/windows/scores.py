"""Mean, density and maximum of one feature over windows, exact and independent of the order of summation.

Source: docs/methods.md, section 3. Activations are held as integers in units of a power of two, so that
sums over windows are differences of one cumulative sum without any rounding, and equal windows tie.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.errors import KindredError
from kindred.windows.runs import Runs

FLOAT32_DIGITS = 24  # of the significand
INT64_DIGITS = 62  # that a sum may have


@dataclass(frozen=True, eq=False)
class Firing:
    """Where one feature fires.

    Attributes:
        token: Flat indices of the tokens, ascending, int64 [n].
        value: Activations there, positive float32 [n].
        cumulative: Sum of the first n activations in units of 2**-scale, [n + 1]. int64, which may wrap round but
            whose differences within a run are exact; Python integers where a run's sum would not fit.
        scale: Binary places of the unit.
        run: Indices of the runs in which it fires, ascending [n_firing_runs].
        first: First entry in each of those runs, [n_firing_runs].
        stop: One past the last entry in each, [n_firing_runs].
    """

    token: NDArray[np.int64]
    value: NDArray[np.float32]
    cumulative: NDArray[np.int64] | NDArray[np.object_]
    scale: int
    run: NDArray[np.int64]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]

    def mean(
        self, first: NDArray[np.intp], stop: NDArray[np.intp], length: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the mean over windows of the entries first to stop: the exact sum, rounded, over length."""
        total = (self.cumulative[stop] - self.cumulative[first]).astype(np.float64)
        mean: NDArray[np.float64] = np.ldexp(total, -self.scale) / length
        return mean


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one feature, all arrays [n_windows].

    Attributes:
        run: Index of the run a window lies in.
        start: Flat index of its first token.
        length: Number of its tokens.
        first: First entry of the feature's firing inside it.
        stop: One past the last entry inside it.
        mean: Mean activation over all its tokens.
        density: Share of its tokens that activate the feature.
        max: Largest activation.
    """

    run: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]
    mean: NDArray[np.float64]
    density: NDArray[np.float64]
    max: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "Windows":
        """Return some of the windows."""
        columns: dict[str, NDArray[Any]] = vars(self)
        return Windows(**{name: column[index] for name, column in columns.items()})


def firing(token: NDArray[np.integer], value: NDArray[np.float32], runs: Runs) -> Firing:
    """Prepare a feature's activations for exact sums over parts of runs.

    Args:
        token: Flat indices of the tokens at which it fires, ascending [n].
        value: Its activations there, [n].
        runs: All runs of the corpus.

    Raises:
        ValueError: If an activation is not positive and finite, or the tokens do not ascend.
        KindredError: If a token is in no run, so that the activations are not of this corpus.
    """
    if not np.all((value > 0) & np.isfinite(value)):
        raise ValueError("activations must be positive and finite")
    if np.any(token[1:] <= token[:-1]):
        raise ValueError("tokens must ascend")
    exponents = np.frexp(value)[1]
    smallest, largest = (int(exponents.min()), int(exponents.max())) if len(value) else (0, 0)
    scale = FLOAT32_DIGITS - smallest
    integers = np.ldexp(value.astype(np.float64), scale)
    digits = largest - smallest + FLOAT32_DIGITS + int(runs.length.max(initial=0)).bit_length()
    if digits <= INT64_DIGITS:
        amounts: NDArray[np.int64] | NDArray[np.object_] = integers.astype(np.int64)
    else:
        amounts = np.array([int(integer) for integer in integers], dtype=object)
    cumulative = np.concatenate([np.zeros(1, dtype=amounts.dtype), np.cumsum(amounts)])
    entry_run = _run_of(token.astype(np.int64), runs)
    first = np.flatnonzero(np.diff(entry_run, prepend=-1))
    stop = np.append(first, len(token))[1:]
    return Firing(token.astype(np.int64), value, cumulative, scale, entry_run[first], first, stop)


def windows_of_runs(fires: Firing, runs: Runs, chosen: NDArray[np.int64], length: int) -> Windows:
    """Score every window of some runs in which the feature is not silent.

    A run shorter than ``length`` has one window, all of it.

    Args:
        fires: The feature's activations.
        runs: All runs of the corpus.
        chosen: Indices of the runs to look at.
        length: Tokens of a window.
    """
    n_starts = np.maximum(runs.length[chosen] - length, 0) + 1
    run = np.repeat(chosen, n_starts)
    before = np.cumsum(n_starts) - n_starts
    start = runs.start[run] + np.arange(len(run)) - np.repeat(before, n_starts)
    tokens = np.minimum(runs.length[run], length)
    first = np.searchsorted(fires.token, start)
    stop = np.searchsorted(fires.token, start + tokens)
    fired = stop > first
    run, start, tokens, first, stop = run[fired], start[fired], tokens[fired], first[fired], stop[fired]
    return Windows(
        run=run,
        start=start,
        length=tokens,
        first=first,
        stop=stop,
        mean=fires.mean(first, stop, tokens),
        density=(stop - first) / tokens,
        max=_reduce(np.maximum, fires.value, first, stop).astype(np.float64),
    )


def off_centre(fires: Firing, runs: Runs, windows: Windows) -> NDArray[np.int64]:
    """Return by how many tokens each window misses the place where its peak is central.

    That place puts the peak at position length // 2, or as near to it as the run allows; of several equal peaks of
    a window the one that gives the least counts.
    """
    counts = windows.stop - windows.first
    window = np.repeat(np.arange(len(windows)), counts)
    before = np.cumsum(counts) - counts
    entry = np.arange(len(window)) - np.repeat(before - windows.first, counts)
    run = windows.run[window]
    last_start = runs.start[run] + runs.length[run] - windows.length[window]
    centred = fires.token[entry] - windows.length[window] // 2
    distance = np.abs(np.clip(centred, runs.start[run], last_start) - windows.start[window])
    is_peak = fires.value[entry] == windows.max[window]
    distance = np.where(is_peak, distance, np.iinfo(np.int64).max)
    if not len(windows):
        return np.zeros(0, dtype=np.int64)
    nearest: NDArray[np.int64] = np.minimum.reduceat(distance, before)
    return nearest


def _run_of(token: NDArray[np.int64], runs: Runs) -> NDArray[np.int64]:
    """Return the index of the run that each token is in."""
    run = np.searchsorted(runs.start, token, side="right").astype(np.int64) - 1
    stop = np.append(runs.start + runs.length, 0)  # the last for tokens before any run, whose run is -1
    outside = token >= stop[run]
    if outside.any():
        raise KindredError(
            f"there are activations at {int(outside.sum())} special positions (BOS, EOS or padding) of this corpus; "
            "make the activations and features anew from it"
        )
    return run


def _reduce(
    function: np.ufunc, values: NDArray[np.float32], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Reduce values[first:stop] for each window; none of them empty."""
    if not len(first):
        return np.zeros(0, dtype=values.dtype)
    # reduceat takes the stretches between successive indices: every second one is a window's.
    bounds = np.stack([first, stop], axis=1).ravel()
    padded = np.append(values, values[-1:])  # so that a stop at the very end is an index
    reduced: NDArray[np.float32] = function.reduceat(padded, bounds)[::2]
    return reduced
