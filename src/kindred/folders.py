"""Going through a folder and what lies behind its links: one list of files for readers and for fingerprints."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kindred.characters import readable_name
from kindred.errors import KindredError

# Device and inode: the same for all paths that lead to one folder.
Identity = tuple[int, int]
_NAMED = 5  # paths that a warning names


@dataclass(frozen=True)
class Folder:
    """One folder that was gone through.

    Attributes:
        path: As it was reached, links and all.
        identity: The same for all paths to it.
        files: Its files, those behind links included.
        unreadable: What is neither file nor folder: links that lead nowhere, pipes, sockets.
    """

    path: Path
    identity: Identity
    files: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def walk_folder(folder: Path) -> Iterator[Folder]:
    """Go through a folder and all folders in it, those behind links included.

    A link that leads back to a folder it lies in is not followed: what is there has been gone through already.

    Raises:
        KindredError: If a folder cannot be listed.
    """
    yield from _walk(folder, ())


def folder_files(folder: Path) -> list[Path]:
    """List the files of a folder and of all folders in it, those behind links included, sorted by path.

    Raises:
        KindredError: If a folder cannot be listed.
    """
    return sorted(file for inner in walk_folder(folder) for file in inner.files)


def log_left_out(paths: Sequence[Path], folder: Path, reason: str) -> None:
    """Log how many paths below a folder are not read, and the first few of them by name."""
    if paths:
        names = ", ".join(readable_name(path.relative_to(folder)) for path in paths[:_NAMED])
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        logging.warning("corpus.path: left out (%s): %s%s", reason, names, more)


def identity_of(folder: Path) -> Identity | None:
    """Return what tells a folder from others by whatever path it is reached, or None if it is not there."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _walk(folder: Path, above: tuple[Identity, ...]) -> Iterator[Folder]:
    files: list[Path] = []
    folders: list[Path] = []
    unreadable: list[Path] = []
    kinds = {"file": files, "folder": folders, "unreadable": unreadable}
    try:
        stat = folder.stat()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                kinds[_kind(entry)].append(folder / entry.name)
    except OSError as error:
        raise KindredError(
            f"{readable_name(folder)}: cannot be listed ({error.strerror}); allow it to be read, or move it away"
        ) from error
    identity = (stat.st_dev, stat.st_ino)
    yield Folder(folder, identity, tuple(files), tuple(unreadable))
    for inner in folders:
        if identity_of(inner) not in (*above, identity):
            yield from _walk(inner, (*above, identity))


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "unreadable"
    except OSError:  # a link to itself, or into a folder that may not be entered
        return "unreadable"
