"""What the Snakefile does when it is parsed: validate the params, take a snapshot, survey the artefacts."""

import base64
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kindred.arithmetic import refuse_unfit_processor
from kindred.artefacts.folder import MANIFEST
from kindred.artefacts.writing import remove_left_overs, write_whole
from kindred.edits import note, runs_in_stage
from kindred.environment import instruction_sets, processor
from kindred.errors import KindredError, file_errors
from kindred.lineage import STAMPS, Lineage, report, survey
from kindred.params import Params, check_files, load_params
from kindred.returning import bring_back, say, would_come_back
from kindred.sizes import readable
from kindred.store import STORE, Store, StoreSettings

SNAPSHOT = Path(".kindred/params.json")
LOGS = Path("logs")
RUNNING = Path(".kindred/running")
WORKING = Path(".kindred/working")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
LEFT_FREE = 1_000_000_000
SNAKEMAKE_INCOMPLETE = Path(".snakemake/incomplete")


def prepare(
    *,
    main_process: bool,
    experiment: str | None,
    needs_sources: bool,
    runs: bool = True,
    store: StoreSettings | None = None,
) -> Params:
    """The params of this run, the same for all of its processes even if params.yaml is edited meanwhile.

    The main process validates params.yaml and its overlay, writes the snapshot that the steps read, and lines
    the clocks up with the lineage. Job processes only read the snapshot. Whether the model and the SAEs that the params
    name are there is looked at unless `needs_sources` is false.

    What was computed before comes back from the store, unless this is no run (`runs` is false: a dry run, a lint, a
    picture), which changes no artefact and only tells.

    Args:
        main_process: Whether this is the process that the user started, not one of its jobs.
        experiment: The overlay that the command line names.
        needs_sources: Whether the model and the SAEs have to be there.
        runs: Whether jobs may be run.
        store: What this run is told about the store; None for the defaults.

    Raises:
        KindredError: the params are wrong (the message names key, value and what is allowed), or differ from those
            that another Snakemake runs with in this folder; or a file cannot be read or written.
    """
    if not main_process:
        return Params.model_validate_json(SNAPSHOT.read_bytes())
    with file_errors():
        if runs_in_stage():
            note()
        return _prepare(experiment, needs_sources=needs_sources, runs=runs, store=store or StoreSettings())


def _prepare(experiment: str | None, *, needs_sources: bool, runs: bool, store: StoreSettings) -> Params:
    params = load_params(Path("params.yaml"), experiment=experiment)
    refuse_unfit_processor(params.arithmetic, instruction_sets(), processor())
    if needs_sources:
        check_files(params)
    snapshot = params.model_dump_json(indent=1).encode() + b"\n"
    _refuse_unwritable()
    alone = _alone()
    if not SNAPSHOT.exists() or SNAPSHOT.read_bytes() != snapshot:
        if SNAPSHOT.exists() and not alone:
            raise KindredError(
                "another snakemake runs in this folder, with other params: wait until it has ended, or stop it"
            )
        with _no_jobs():
            write_whole(SNAPSHOT, snapshot)
    lineage = Lineage(params, contents=True)
    _refuse_files_for_folders([*lineage.artefacts, LOGS])
    if runs and alone:
        _use_store(lineage, store)
    stale = survey(lineage)
    if alone:
        _tidy_up(lineage, stale)
    report(stale)
    if stale and store.gives and not runs:
        _tell_of_store(Lineage(params, contents=True))
    return params


def compute_all_jobs() -> None:
    """Let no job of this run take anything from the store: the user forces jobs to run, and so to compute."""
    store = Store(STORE)
    store.configure(store.settings.model_copy(update={"takes": False}))


def trim_store() -> None:
    """Bring the store below its limit, and make the room on the disk that the next run should find."""
    store = Store(STORE)
    _trim(store)
    store.make_room(_room_to_leave(), STORE)


def _trim(store: Store) -> None:
    """Drop what is over the limit, and say so. A run without a store leaves what is there alone."""
    dropped = store.trim(store.limit) if store.limit else 0
    if dropped:
        print(f"kindred: {STORE} was over its limit; {readable(dropped)} dropped from it", file=sys.stderr)


def _use_store(lineage: Lineage, settings: StoreSettings) -> None:
    store = Store(STORE)
    try:
        store.make_room(_room_to_leave(), STORE)
        store.configure(settings)
        found = bring_back(lineage, store) if settings.gives else {}
    except OSError as error:  # a full disk, a folder that is only to be read: all is computed
        print(f"kindred: {STORE} is not used: {error}", file=sys.stderr)
        return
    if found:
        print(say(found, "taken from the store, not computed"), file=sys.stderr)
    _trim(store)


def _tell_of_store(lineage: Lineage) -> None:
    found = would_come_back(lineage, Store(STORE))
    if found:
        print(say(found, "in the store: a run takes it from there"), file=sys.stderr)


def _room_to_leave() -> int:
    """What the store leaves free on its disk, in bytes: a twentieth of it, at most a gigabyte."""
    return int(min(shutil.disk_usage(Path()).total // 20, LEFT_FREE))


def warn_of_edits(params: Params, experiment: str | None) -> None:
    """Say so if params.yaml or its overlay is not what the run that just ended was made with.

    Args:
        params: The params that the run began with.
        experiment: The overlay of the command line, if any.
    """
    try:
        if load_params(Path("params.yaml"), experiment=experiment) == params:
            return
    except KindredError:  # not valid any more, so edited
        pass
    print(
        "kindred: params.yaml or its overlay was edited while this ran: the results are those of the earlier values; "
        "run snakemake again for the new ones",
        file=sys.stderr,
    )


def stamp(artefact: str) -> str:
    """The stamp of an artefact's folder (wildcards allowed): time zero when fresh, else newer than it."""
    return str(STAMPS / artefact)


def hold_work() -> None:
    """Mark this process as a job at work in this folder, until it ends, however it ends."""
    _lock(WORKING, fcntl.LOCK_SH)


@contextmanager
def _no_jobs() -> Iterator[None]:
    """Wait for the jobs that outlived a killed run, and let none begin meanwhile.

    They would put artefacts of that run's params among those of this one.
    """
    try:
        descriptor = _lock(WORKING, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(
            "kindred: waiting for the jobs of a killed run, which had other params, to end",
            file=sys.stderr,
        )
        descriptor = _lock(WORKING, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _tidy_up(lineage: Lineage, stale: dict[Path, str]) -> None:
    """Remove what killed runs left: half-written folders, and Snakemake's marks on what was finished nevertheless.

    Snakemake would remake what a job put in place after its Snakemake was killed, or just before. Jobs that a cluster
    has still running or in its queue hold, or will wait for, the lock of those at work.
    """
    try:
        working = _lock(WORKING, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        working = -1
    for directory in lineage.artefacts:
        remove_left_overs(directory, of_all_machines=working >= 0)
        if directory not in stale:
            for output in (directory, directory / MANIFEST):
                name = base64.urlsafe_b64encode(str(output).encode()).decode()
                (SNAKEMAKE_INCOMPLETE / name).unlink(missing_ok=True)
    Store(STORE).remove_left_overs(of_all_machines=working >= 0)
    if working >= 0:
        os.close(working)


def _lock(path: Path, kind: int) -> int:
    """Open a file and lock it, on all machines that share it; the end of the process unlocks it.

    Raises:
        BlockingIOError: another process has the lock, and `kind` says not to wait.
        KindredError: the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, kind)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise KindredError(
                f"{path}: this file system has no locks ({error.strerror}); mount it with them (Lustre: -o flock), "
                "or work in a folder on another one"
            ) from error
        raise
    return descriptor


def _alone() -> bool:
    """Whether no other Snakemake runs in this folder; if so, locks that a killed one left are removed.

    Each one holds a shared lock of the kernel's until it ends, however it ends. Snakemake's own locks are files, which
    outlive a kill -9.
    """
    try:
        descriptor = _lock(RUNNING, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _lock(RUNNING, fcntl.LOCK_SH)
        return False
    for lock in SNAKEMAKE_LOCKS.glob("*.lock"):
        lock.unlink(missing_ok=True)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return True


def _refuse_unwritable() -> None:
    """See that the records of this run can be written; Snakemake needs its own even for a dry run.

    Raises:
        OSError: naming the folder.
    """
    for folder in (SNAPSHOT.parent, SNAKEMAKE_LOCKS.parent):
        folder.mkdir(exist_ok=True)
    for folder in (SNAPSHOT.parent, SNAKEMAKE_LOCKS.parent, SNAKEMAKE_LOCKS):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(code, os.strerror(code), str(folder))


def _refuse_files_for_folders(folders: Iterable[Path]) -> None:
    """See that no file lies where a folder has to be: Snakemake would end in a traceback, or remove the file.

    Raises:
        OSError: naming the file.
    """
    for place in sorted({place for folder in folders for place in (folder, *folder.parents)}):
        if place.exists() and not place.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
