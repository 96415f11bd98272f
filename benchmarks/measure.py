"""Timing of several ways to do one thing, by turns in one process, and the rows of the table that this ends in.

Turns are taken round by round, so that whatever else the machine does falls on all of them alike; each row holds a
ratio of two medians of one run and never a bare time.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

Against = Literal["limit", "peer"]


@dataclass(frozen=True)
class Settings:
    """What all benchmarks of one run share.

    Attributes:
        device: `cpu` or `cuda`.
        threads: Of every way alike.
        rounds: How often each way is timed; 5 for the table, 1 to see that a benchmark works.
        small: Whether sizes are cut down so far that only the code is exercised (for tests; no figure).
    """

    device: str = "cpu"
    threads: int = 2
    rounds: int = 5
    small: bool = False


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        step: Step of the pipeline.
        case: Sizes, such as `d 256, d_sae 4k, context 128`.
        against: Whether the reference is the limit of what is possible, or a peer that a user would take today.
        reference: What the reference is, in a few words.
        seconds: Median of ours.
        reference_seconds: Median of the reference, in the same run.
        rounds: Of how many.
        target: Least `speed` that is asked for; None if none is.
        note: What a reader of the row has to know.
    """

    step: str
    case: str
    against: Against
    reference: str
    seconds: float
    reference_seconds: float
    rounds: int
    target: float | None
    note: str = ""

    @property
    def speed(self) -> float:
        """Our speed in units of the reference's: 0.9 is nine tenths as fast, 3 three times as fast."""
        return self.reference_seconds / self.seconds

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        return None if self.target is None else self.speed >= self.target


class Benchmark(Protocol):
    """What a module of this folder offers as `rows`."""

    def __call__(self, settings: Settings) -> Iterator[Row]:
        """Measure, and yield the rows as they are done."""
        ...


def by_turns(
    ways: Mapping[str, Callable[[], object]],
    settings: Settings,
    *,
    rounds: int | None = None,
    warm: bool | None = None,
) -> dict[str, float]:
    """Return the median wall seconds of each way.

    Args:
        ways: What is timed, by name. A way must leave things as it found them.
        settings: Device and number of rounds.
        rounds: In place of those of the settings, for what takes minutes.
        warm: Whether each way runs once before it is timed; None: if there are too few rounds for a median to pass over
            a cold first one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    n_rounds = rounds or settings.rounds
    for work in ways.values() if (n_rounds < 3 if warm is None else warm) else ():
        work()
    for _ in range(n_rounds):
        for name, work in ways.items():
            start = _now(settings.device)
            work()
            seconds[name].append(_now(settings.device) - start)
    return {name: statistics.median(of_way) for name, of_way in seconds.items()}


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()
