"""What every step's command shares: arguments, checked inputs, progress, log, and one clear error."""

import argparse
import json
import logging
import resource
import shlex
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

import threadpoolctl
from pydantic import ValidationError

from kindred.arithmetic import settle
from kindred.artefacts.writing import writing
from kindred.errors import KindredError, NoRoomError, file_errors
from kindred.lineage import Lineage, first_difference
from kindred.memory import steps as memory
from kindred.memory.estimate import refuse_excess
from kindred.params import Params
from kindred.pipeline import Settings
from kindred.provenance import write_sidecars
from kindred.store import MEGABYTE, Store
from kindred.workflow import SNAPSHOT, hold_work

Value = TypeVar("Value")
PROGRESS_SECONDS = 5.0
BAR_WIDTH = 20


class Job:
    """One run of a step for one artefact.

    Attributes:
        params: The experiment's parameters.
        identity: The SAE, pair or shard; empty for a step that runs once.
        paths: The input folders by argument name.
        store: Where the artefact is kept for later as well; None to keep it nowhere else.
    """

    def __init__(
        self, params: Params, out: Path, paths: dict[str, list[Path]], store: Store | None = None
    ) -> None:
        self.params = params
        self.store = store
        self.out = out
        self.paths = paths
        self._lineage = Lineage(params)
        if out not in self._lineage.artefacts:
            raise KindredError(f"--out {out}: no artefact of this experiment lies there")
        self._step, self.identity = self._lineage.artefacts[out]
        for argument, folders in paths.items():
            self._refuse_other_steps(argument, folders)
        # Of now: what is read and run from here on, whatever is edited or replaced while the job runs.
        self._lineage.sources(self._step)
        self._lineage.settings(self._step, self.identity)
        self._inputs: dict[str, str] = {}
        self._started = time.monotonic()
        self._reported = self._started

    def _refuse_other_steps(self, argument: str, folders: list[Path]) -> None:
        for folder in folders:
            if folder in self._lineage.artefacts and self._lineage.artefacts[folder][0].name != argument:
                step = self._lineage.artefacts[folder][0].name
                raise KindredError(
                    f"--{argument} {folder}: an artefact of step {step}, not of step {argument}"
                )

    def read(self, directory: Path, load: Callable[[Path], Value]) -> Value:
        """Load an input once its lineage and content are verified, and remember it as an input."""
        self._inputs[directory.as_posix()] = self._lineage.verified(directory).content
        return load(directory)

    def read_one(self, name: str, load: Callable[[Path], Value]) -> Value:
        """Load the single input folder given as `--NAME`."""
        (directory,) = self.paths[name]
        return self.read(directory, load)

    def read_each(self, name: str, load: Callable[[Path], Value]) -> dict[str, Value]:
        """Load all input folders given as `--NAME`, by the last part of their path (SAE, pair or shard)."""
        return {directory.name: self.read(directory, load) for directory in self.paths[name]}

    @contextmanager
    def write(self) -> Iterator[Path]:
        """Give the folder to write the artefact into; it takes its place only when whole.

        Raises:
            KindredError: a model, SAE, embedder or text was replaced while the job ran.
        """
        made = self._lineage.made(self._step, self.identity, dict(sorted(self._inputs.items())))
        with writing(self.out, made, self._keep) as directory:
            yield directory
            self._refuse_replaced(made.params)

    def _refuse_replaced(self, settings: Settings) -> None:
        difference = first_difference(settings, self._step.settings(self.params, self.identity))
        if difference:
            raise KindredError(
                f"{self.out}: what it is made from was replaced while the job ran, so nobody knows which of the two "
                f"was read ({difference}); run again"
            )

    def _keep(self, folder: Path) -> None:
        if self.store is not None:
            self.store.put(folder, link=not self._step.published)

    def write_sidecars(self, directory: Path) -> None:
        """Write beside each table in the folder where it comes from."""
        write_sidecars(directory, self.out, [Path(name) for name in self._inputs], self.params)

    def check_memory(self, stated_mb: int | None) -> None:
        """Refuse to start if the job would need more memory than is stated; None skips that.

        Raises:
            KindredError: Naming what it needs, what is stated, and the parameter to lower.
        """
        try:
            estimate = memory.estimate(self._step.name, memory.Job(self.params, self.identity, self.paths))
        except (OSError, ValueError, LookupError) as error:
            # An input that is not there or not whole: to read it gives the error that says so.
            logging.debug("memory is not estimated: %s", error)
            return
        logging.debug("memory: %s", json.dumps(estimate.as_json()))
        if stated_mb is not None:
            refuse_excess(estimate, self._step.name, stated_mb)

    def progress(self, done: int, total: int) -> None:
        """Tell how far the job is and how long it will still take (at most every few seconds)."""
        now = time.monotonic()
        if done < total and now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        share = done / max(total, 1)
        left = (now - self._started) * (1 - share) / max(share, 1e-9)
        bar = ("#" * round(BAR_WIDTH * share)).ljust(BAR_WIDTH, ".")
        name = f"{self._step.name}/{self.identity}".rstrip("/")
        logging.info("%-24s [%s] %3.0f %%  %s left", name, bar, 100 * share, _clock(left))

    def counter(self, total: int) -> Callable[[int], None]:
        """A callback that is told how many more are done, and reports the progress towards `total`."""
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            self.progress(done, total)

        return advance


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def run(name: str, work: Callable[[Job], None], inputs: Sequence[str]) -> None:
    """Parse the command line of step `name`, do the work, and turn a known error into one line and status 1."""
    parser = argparse.ArgumentParser(prog=f"python -m kindred.steps.{name}", description=work.__doc__)
    parser.add_argument("--params", type=Path, required=True, help="the validated parameters (JSON)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the artefact to make")
    parser.add_argument("--log", type=Path, required=True, help="log file")
    parser.add_argument(
        "--store", type=Path, help="content store that keeps the artefact; without it none does"
    )
    parser.add_argument("--memory", type=int, help="megabytes the job may use; without it none is refused")
    for argument in inputs:
        parser.add_argument(f"--{argument}", type=Path, nargs="+", required=True, help="input folder(s)")
    arguments = parser.parse_args()
    try:
        with file_errors():
            _start_log(arguments.log)
    except KindredError as error:
        sys.exit(f"{name}: {error}")
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as kindred.steps left it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.debug("python -m kindred.steps.%s %s", name, shlex.join(sys.argv[1:]))
    try:
        with file_errors():
            hold_work()
            params = _read_params(arguments.params)
            paths = {argument: getattr(arguments, argument) for argument in inputs}
            job = Job(params, arguments.out, paths, Store(arguments.store) if arguments.store else None)
            job.check_memory(arguments.memory)
            with threadpoolctl.threadpool_limits(params.model.threads):
                _limit_torch_threads(params.model.threads)
                settle(params.arithmetic)
                _silence_bars()
                _work_with_room(job, work)
    except KindredError as error:
        logging.error("%s: %s", name, error)
        sys.exit(1)
    except KeyboardInterrupt:
        logging.error("%s: interrupted; what is finished is kept, run again to go on", name)
        sys.exit(130)
    except Exception as error:
        if _is_no_memory(error):
            logging.error(
                "%s: the memory of this machine is not enough (%s): lower what the section %s of params.yaml counts "
                "(its batch_size first, if it has one), or run it on a larger machine",
                *(name, error, name),
            )
            sys.exit(1)
        logging.error(
            "%s: unexpected error, please report it with this log\n%s", name, traceback.format_exc()
        )
        sys.exit(1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logging.debug("done: %s (peak memory %.0f MiB)", arguments.out, peak)


def _work_with_room(job: Job, work: Callable[[Job], None]) -> None:
    """Do the work; where the disk is full, the store gives way, oldest first, and the work begins again."""
    while True:
        try:
            work(job)
        except NoRoomError as error:
            # Twice what was written: where it is not enough, the next time it is twice as much again.
            needed = 2 * error.n_bytes + MEGABYTE
            if job.store is None or not job.store.make_room(needed, job.out.parent):
                raise
            logging.info("%s: the disk is full; the store has made room, the work begins again", job.out)
        else:
            return


def _is_no_memory(error: Exception) -> bool:
    """Tell an allocation that failed: Python's and NumPy's own error, PyTorch's on a GPU, PyTorch's on a CPU."""
    words = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in words)
    )


def _read_params(path: Path) -> Params:
    """Read the validated parameters that Snakemake wrote for its jobs.

    Raises:
        KindredError: there is no such file, or it holds something else.
    """
    try:
        return Params.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise KindredError(f"--params {path}: no such file; `snakemake -n` writes {SNAPSHOT}") from error
    except ValidationError as error:
        raise KindredError(
            f"--params {path}: not the parameters that this version of kindred writes ({error.error_count()} "
            f"problems); `snakemake -n` writes {SNAPSHOT} again"
        ) from error


def _limit_torch_threads(threads: int) -> None:
    if "torch" in sys.modules:  # a step that does not import torch need not pay for it
        sys.modules["torch"].set_num_threads(threads)


def _silence_bars() -> None:
    if "transformers" in sys.modules:  # the steps report their own progress
        sys.modules["transformers"].utils.logging.disable_progress_bar()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = logging.FileHandler(path, mode="w")
    everything.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.INFO)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[everything, terminal], force=True)
    for chatty in (
        "fontTools",
        "matplotlib",
        "urllib3",
        "filelock",
        "fsspec",
        "httpx",
        "sentence_transformers",
        "PIL",
        "asyncio",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a log on a full disk must not bury the one message on the terminal
    warnings.simplefilter("default")
