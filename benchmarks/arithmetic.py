"""Portable arithmetic against fast arithmetic, for what the steps spend their time on.

`python benchmarks/run.py --only arithmetic`. On a processor with AVX-512, fast arithmetic uses it, and portable
arithmetic cannot. So the reference with a target is fast arithmetic held to AVX2, which is all that a processor without
AVX-512 has; the other row says what the wider instructions are worth on this one.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from measure import Row, Settings, by_turns

from kindred.arithmetic import settings as variables

WORKER = Path(__file__).with_name("arithmetic_worker.py")
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
WAYS = {
    "portable": ("portable", variables("portable")),
    "held": ("fast", AVX2),
    "fast": ("fast", {}),
}
CASES = {
    "activations": "docs-lm (d 256), 2 SAEs, d_sae 2k, {size} contexts of 128",
    "self-explanation": "docs-lm (d 256, 6 layers), {size} features x 8 scales, batch 256",
    "scoring": "all-MiniLM-L6-v2, {texts} texts of 8 to 32 tokens",
}
LEAST = 0.9


def rows(settings: Settings) -> Iterator[Row]:
    """Yield for each step the row against fast arithmetic at AVX2, and that against the processor's own."""
    size = 4 if settings.small else 128
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(arithmetic, environment, settings.threads, size))
            for name, (arithmetic, environment) in WAYS.items()
        }
        for step, case in CASES.items():
            ways = {name: worker.way(step) for name, worker in workers.items()}
            seconds = by_turns(ways, settings, warm=True)
            described = case.format(size=size, texts=4 * size)
            for way, reference, target in (
                ("held", "fast arithmetic at AVX2", None if settings.small else LEAST),
                ("fast", "fast arithmetic, the processor's own", None),
            ):
                ours, its = seconds["portable"], seconds[way]
                yield Row(
                    f"{step}, portable", described, "limit", reference, ours, its, settings.rounds, target
                )


class Worker:
    """A process that computes in one arithmetic, and waits between two pieces of work."""

    def __init__(self, arithmetic: str, environment: dict[str, str], threads: int, size: int) -> None:
        setup = {"arithmetic": arithmetic, "variables": environment, "threads": threads, "size": size}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(setup)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def way(self, step: str) -> "Way":
        """Return what does the work of a step when it is called."""
        return Way(self._process, step)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Way:
    """One piece of work of a worker."""

    def __init__(self, process: "subprocess.Popen[str]", step: str) -> None:
        self._process = process
        self._step = step

    def __call__(self) -> None:
        """Have it done.

        Raises:
            RuntimeError: The worker ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(self._step, file=self._process.stdin, flush=True)
        if not self._process.stdout.readline():
            raise RuntimeError(f"the worker for {self._step} ended; its error is above")


if __name__ == "__main__":
    sys.exit("python benchmarks/run.py --only arithmetic")
