"""Writing an artefact: under another name, sealed by its manifest, put in place by renaming; whole or absent."""

import errno
import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kindred.artefacts.folder import (
    MANIFEST,
    FileRecord,
    Made,
    Manifest,
    artefact_files,
    checksum_damage,
    content_hash,
    file_sha256,
    read_manifest,
    size_damage,
)
from kindred.errors import KindredError, NoRoomError


@contextmanager
def writing(directory: Path, made: Made, sealed: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Give an empty folder to write into; on success seal it with a manifest and put it in place.

    On any error the folder is removed and what stood in its place before is left alone. Two processes may write one
    artefact at once (a job that outlived its killed Snakemake, and the next run's): both write the same bytes, and
    the second to finish leaves what the first has put in place, which others may be reading already.

    Args:
        directory: The artefact's place.
        made: What the manifest says of its origin.
        sealed: Called with the sealed folder before it is put in place.

    Raises:
        NoRoomError: the disk is full.
    """
    with placing(directory) as partial:
        yield partial
        _seal(partial, made)
        if sealed is not None:
            sealed(partial)


@contextmanager
def placing(directory: Path) -> Iterator[Path]:
    """Give an empty folder; on success put it in place by renaming, on any error remove it.

    What is there already is left in place if it is whole and has the same manifest.

    Raises:
        NoRoomError: the disk is full.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    remove_left_overs(directory)
    partial = directory.with_name(f".{directory.name}.partial-{_writer()}")
    lock = -1
    try:
        lock = _make_locked(partial)
        yield partial
        with _alone_in(directory.parent):
            if not _already_there(directory, partial):
                _put_in_place(partial, directory)
    except OSError as error:
        if _is_no_room(error):
            raise NoRoomError(
                f"{directory}: no room left to write it ({error.strerror or error}); "
                "free some space and run again: finished artefacts are kept",
                _size_of(partial),
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _make_locked(folder: Path) -> int:
    """Make a folder and take its lock, which ends with this process, however that ends."""
    while True:
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # taken for a left-over before it was locked
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return lock
        os.close(lock)


def remove_left_overs(directory: Path, *, of_all_machines: bool = False) -> None:
    """Remove what killed writers of an artefact left; what a living one is writing is held by its lock.

    On a shared file system that lock is seen by its own machine alone (a network file system locks files, not
    folders), so what writers on other machines left is only removed `of_all_machines`: when nobody is at work there.
    """
    remove_all_left_overs(directory.parent, directory.name, of_all_machines=of_all_machines)


def remove_all_left_overs(folder: Path, name: str = "*", *, of_all_machines: bool = False) -> None:
    """Remove what killed writers left in a folder, for artefacts of one name or (`*`) of any name."""
    for kind in ("partial", "replaced"):
        for left_over in folder.glob(f".{name}.{kind}-*"):
            machine = left_over.name.rpartition(f".{kind}-")[2].rpartition("-")[0]
            if machine not in ("", socket.gethostname()) and not of_all_machines:
                continue
            try:
                lock = os.open(left_over, os.O_RDONLY)
            except FileNotFoundError:  # its writer was faster
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left_over, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)


def retire(directory: Path) -> None:
    """Remove a folder so that nobody finds a part of it: it is renamed first."""
    replaced = _replaced(directory)
    try:
        directory.rename(replaced)
    except FileNotFoundError:  # somebody else was faster
        return
    shutil.rmtree(replaced, ignore_errors=True)


def _replaced(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.replaced-{_writer()}")


def _writer() -> str:
    """This process among those of all machines that share the folder."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _already_there(directory: Path, partial: Path) -> bool:
    try:
        present = read_manifest(directory)
    except KindredError:
        return False
    return (
        present is not None
        and present == read_manifest(partial)
        and size_damage(directory, present) is None
        and checksum_damage(directory, present, file_sha256) is None
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process after the other put its artefact in place."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _put_in_place(partial: Path, directory: Path) -> None:
    replaced = _replaced(directory)
    if directory.exists():
        directory.rename(replaced)
    try:
        partial.rename(directory)
    except OSError:
        if replaced.exists():
            replaced.rename(directory)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _is_no_room(error: OSError) -> bool:
    if error.errno is None:  # numpy reports a short write by these words alone
        return re.fullmatch(r"\d+ requested and \d+ written", str(error)) is not None
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _seal(partial: Path, made: Made) -> None:
    files = {}
    for path in artefact_files(partial):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        record = FileRecord(size=path.stat().st_size, sha256=file_sha256(path))
        files[path.relative_to(partial).as_posix()] = record
    manifest = Manifest(**made.model_dump(), files=files, content=content_hash(files))
    with (partial / MANIFEST).open("w") as file:
        file.write(manifest_text(manifest))
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file, and its folder if need be, under another name, and rename it: whole or as it was before.

    Raises:
        OSError: It cannot be written; what was begun is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def manifest_text(manifest: Manifest) -> str:
    """The one form in which a manifest is written."""
    return json.dumps(manifest.model_dump(), indent=1, sort_keys=True) + "\n"
