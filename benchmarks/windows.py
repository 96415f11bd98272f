"""The best windows of features, against reading the store once and against a brute force over all windows."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import Row, Settings, by_turns
from numpy.typing import NDArray
from synthetic_store import SAE, Store, make_store

from kindred.artefacts.features import FeatureIndex, array_file
from kindred.features.gather import gather
from kindred.windows.runs import Runs, find_runs
from kindred.windows.selection import best_windows

CONTEXT_LENGTH, K = 128, 32
LENGTH, N_TOP = 30, 10
N_BRUTE_FORCE = 4  # features, from the commonest to the rarest
COPIED = 1 << 16  # entries at a time, which stay in the cache
NOTE = "positions and scores, no texts; one thread both"


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the comparisons with reading and with the brute force."""
    n_contexts, d_sae = (200, 512) if settings.small else (24_000, 16_384)
    case = f"{n_contexts * CONTEXT_LENGTH / 1e6:.1f} M tokens, d_sae {d_sae}, k {K}"
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(
            Path(folder), n_contexts=n_contexts, context_length=CONTEXT_LENGTH, d_sae=d_sae, k=K
        )
        index = gather(store.shards, SAE, store.contexts.is_special, directory=Path(folder))
        seconds = by_turns(
            {
                "ours": lambda: _ours(_opened(index, Path(folder)), range(d_sae), find_runs(store.contexts)),
                "reading": lambda: _read(_opened(index, Path(folder))),
            },
            settings,
        )
        yield Row(
            "windows",
            f"{case}, all features",
            "limit",
            "reading the store once through the memory map",
            seconds["ours"],
            seconds["reading"],
            settings.rounds,
            1 / 3,
            NOTE,
        )
        yield _against_brute_force(index, store, settings, case)


def _against_brute_force(index: FeatureIndex, store: Store, settings: Settings, case: str) -> Row:
    order = np.argsort(-np.diff(index.offsets), kind="stable")
    features = order[np.geomspace(1, index.d_sae, N_BRUTE_FORCE).astype(np.int64) - 1].tolist()
    runs = find_runs(store.contexts)
    windows = _all_windows(runs)
    seconds = by_turns(
        {
            "ours": lambda: _ours(index, features, runs),
            "brute force": lambda: [_brute_force(index, feature, windows) for feature in features],
        },
        settings,
        rounds=min(settings.rounds, 3),
    )
    return Row(
        "windows",
        f"{case}, {len(features)} features",
        "peer",
        "numpy over every window of each feature",
        seconds["ours"],
        seconds["brute force"],
        min(settings.rounds, 3),
        100,
        NOTE,
    )


def _opened(index: FeatureIndex, folder: Path) -> FeatureIndex:
    """Return the index mapped anew, so that no page is at hand."""
    token, value = (np.load(array_file(folder, name), mmap_mode="r") for name in ("token", "value"))
    sizes = (index.d_sae, index.n_contexts, index.context_length, index.n_tokens)
    return FeatureIndex(*sizes, index.offsets, token, value)


def _ours(index: FeatureIndex, features: range | list[int], runs: Runs) -> object:
    return best_windows(index, features, runs, length=LENGTH, min_length=1, n_top=N_TOP)


def _read(index: FeatureIndex) -> None:
    """Read all entries into a buffer that stays in the cache."""
    for array in (index.token, index.value):
        buffer = np.empty(COPIED, dtype=array.dtype)
        for first in range(0, len(array), COPIED):
            part = array[first : first + COPIED]
            np.copyto(buffer[: len(part)], part)


@dataclass(frozen=True, eq=False)
class _AllWindows:
    """All windows of the corpus, and the first and last place of each within its run."""

    start: NDArray[np.int64]
    width: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def _all_windows(runs: Runs) -> _AllWindows:
    n_starts = np.maximum(runs.length - LENGTH, 0) + 1
    run = np.repeat(np.arange(len(n_starts)), n_starts)
    start = runs.start[run] + np.arange(len(run)) - np.repeat(np.cumsum(n_starts) - n_starts, n_starts)
    width = np.minimum(runs.length, LENGTH)
    return _AllWindows(start, width[run], runs.start[run], (runs.start + runs.length - width)[run])


def _brute_force(index: FeatureIndex, feature: int, windows: _AllWindows) -> list[list[int]]:
    """Score every window, put those that are not silent in order, and take them unless they overlap a taken one."""
    token, value = index.of(feature)
    dense = np.zeros(index.n_contexts * index.context_length + LENGTH)
    dense[token] = value
    sums, counts = (np.concatenate([[0], np.cumsum(array)]) for array in (dense, dense > 0))
    count = counts[windows.start + windows.width] - counts[windows.start]
    fired = count > 0
    start, width = windows.start[fired], windows.width[fired]
    mean, density = (sums[start + width] - sums[start]) / width, count[fired] / width
    peak, at = np.zeros(len(start)), np.zeros(len(start), dtype=np.int64)
    for offset in range(LENGTH):
        amount = np.where(offset < width, dense[start + offset], 0)
        at = np.where(amount > peak, start + offset, at)
        peak = np.maximum(peak, amount)
    place = np.clip(at - width // 2, windows.first[fired], windows.last[fired])
    orders = (
        (start, -density, -mean),
        (start, -mean, -density),
        (start, -density, np.abs(start - place), -peak),
    )
    return [_without_overlap(start, width, np.lexsort(keys)) for keys in orders]


def _without_overlap(
    start: NDArray[np.int64], width: NDArray[np.int64], order: NDArray[np.intp]
) -> list[int]:
    chosen: list[int] = []
    for window in order:
        if all(
            start[window] + width[window] <= start[other] or start[other] + width[other] <= start[window]
            for other in chosen
        ):
            chosen.append(int(window))
            if len(chosen) == N_TOP:
                break
    return chosen
