"""Fingerprints of what the pipeline reads but does not make: model folders, SAE folders, text."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from kindred.characters import readable_name
from kindred.errors import KindredError
from kindred.file_hashes import FileHashes
from kindred.folders import folder_files

MEMORY = Path(".kindred/fingerprints.json")


def path_fingerprint(path: Path) -> str:
    """Hash the names and contents of a file, or of all files of a folder, with SHA-256.

    Files behind links count as if they lay in the folder, since that is how they are read.

    Raises:
        KindredError: If a file or folder cannot be read.
    """
    return (
        files_fingerprint(path.parent, [path])
        if path.is_file()
        else files_fingerprint(path, folder_files(path))
    )


def files_fingerprint(root: Path, files: Iterable[Path]) -> str:
    """Hash the names, relative to a folder, and the contents of files with SHA-256, in the order given.

    A file's hash is remembered under its size and times, so that a large model is not read at every start.

    Raises:
        KindredError: If a file cannot be read.
    """
    hashes = FileHashes(MEMORY)
    digest = hashlib.sha256()
    for file in files:
        try:
            content = hashes.of(file)
        except OSError as error:
            raise KindredError(
                f"{readable_name(file)}: cannot be read ({error.strerror}); allow it to be read, or move it away"
            ) from error
        # A line for each file: a name must not hold the end of one. It need not be UTF-8.
        name = file.relative_to(root).as_posix().replace("\\", "\\\\").replace("\n", "\\n")
        digest.update(os.fsencode(name) + f" {content}\n".encode())
    hashes.save(keep_others=True)
    return digest.hexdigest()


def source_fingerprint(source: str) -> str | None:
    """Return the fingerprint of a local path, or None for the name of something on a hub."""
    path = Path(source)
    return path_fingerprint(path) if path.is_dir() else None
