"""Fingerprints of what the pipeline reads but does not make: model folders, SAE folders, text."""

import hashlib
from pathlib import Path

from kindred.file_hashes import FileHashes

MEMORY = Path(".kindred/fingerprints.json")


def path_fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files of a folder.

    A file's hash is remembered under its size and times, so that a large model is not read at every start.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    hashes = FileHashes(MEMORY)
    digest = hashlib.sha256()
    for file in files:
        name = file.name if file == path else file.relative_to(path).as_posix()
        digest.update(f"{name} {hashes.of(file)}\n".encode())
    hashes.save(keep_others=True)
    return digest.hexdigest()


def source_fingerprint(source: str) -> str | None:
    """The fingerprint of a local path, or None for the name of something on a hub."""
    path = Path(source)
    return path_fingerprint(path) if path.exists() else None
