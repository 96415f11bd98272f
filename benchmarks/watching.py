"""Peak memory of each step of a run, sampled from outside: the steps are the processes below a given one.

Anonymous memory is what a process cannot give back. Pages of files that it maps (weights, stores, tables) are counted
apart: the kernel may drop them at any time and read them again, so they are no need of the step's but a use of what is
free. VmHWM, the kernel's own high-water mark, holds both.
"""

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

INTERVAL = 0.02  # seconds between samples
_STEPS = "kindred.steps"
_FIELDS = ("RssAnon", "RssFile", "VmHWM")


@dataclass(frozen=True)
class Peak:
    """What one job took.

    Attributes:
        step: Name of the step.
        identity: The SAE, pair or shard; empty for a step that runs once.
        anonymous: Largest anonymous memory seen, MiB.
        mapped: Largest resident part of mapped files seen, MiB.
        high_water: The kernel's mark of both together, MiB.
        seconds: From the first sample to the last.
    """

    step: str
    identity: str
    anonymous: float = 0.0
    mapped: float = 0.0
    high_water: float = 0.0
    seconds: float = 0.0


class Watch(threading.Thread):
    """Samples all steps below a process until it is stopped.

    Attributes:
        together: Largest anonymous memory of the process and all below it at one moment, MiB.
    """

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._began: dict[int, float] = {}
        self._peaks: dict[int, Peak | None] = {}
        self._stopped = threading.Event()
        self.together = 0.0

    def run(self) -> None:
        """Sample."""
        while not self._stopped.wait(INTERVAL):
            below = sum(self._sample(process) for process in descendants(self._process))
            own = _sizes(self._process)
            self.together = max(self.together, below + (own["RssAnon"] if own else 0.0))

    def stop(self) -> list[Peak]:
        """Stop, and return the peaks in the order the jobs began."""
        self._stopped.set()
        self.join()
        return [peak for peak in self._peaks.values() if peak is not None]

    def _sample(self, process: int) -> float:
        """Note the sizes of a process, and return its anonymous memory."""
        if self._peaks.get(process) is None:
            self._peaks[process] = _job_of(process)
            self._began.setdefault(process, time.monotonic())
        peak = self._peaks[process]
        sizes = _sizes(process)
        if peak is None or sizes is None:
            return sizes["RssAnon"] if sizes else 0.0
        self._peaks[process] = replace(
            peak,
            anonymous=max(peak.anonymous, sizes["RssAnon"]),
            mapped=max(peak.mapped, sizes["RssFile"]),
            high_water=max(peak.high_water, sizes["VmHWM"]),
            seconds=time.monotonic() - self._began[process],
        )
        return sizes["RssAnon"]


def descendants(process: int) -> list[int]:
    """All processes below one, by the kernel's own lists."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        parent = waiting.pop()
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = [int(child) for child in (task / "children").read_text().split()]
                found += children
                waiting += children
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return found


def _job_of(process: int) -> Peak | None:
    """Which step a process runs; None if it is something else, such as the shell around it."""
    try:
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if "-m" not in arguments or "--out" not in arguments:
        return None
    module, step = arguments[arguments.index("-m") + 1 :][:2]
    if module != _STEPS:
        return None
    out = Path(arguments[arguments.index("--out") + 1])
    return Peak(step, out.name if len(out.parts) > 2 else "")


def _sizes(process: int) -> dict[str, float] | None:
    """Memory of a process in MiB; None if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = {
        name: float(value.split()[0]) / 1024
        for name, _, value in (line.partition(":") for line in lines)
        if name in _FIELDS
    }
    return found if len(found) == len(_FIELDS) else None
