"""Fingerprints of what the pipeline reads but does not make: model folders, SAE folders, text."""

import hashlib
import json
import os
from pathlib import Path

from kindred.artefacts.folder import file_sha256

MEMO = Path(".kindred/fingerprints.json")


def path_fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of a file, or of all files of a folder.

    A file's hash is remembered under its size and time, so that a large model is not read at every start.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    memo = _read_memo()
    fresh: dict[str, list[object]] = {}
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        key = str(file)
        known = memo.get(key)
        if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
            known = fresh[key] = [stat.st_size, stat.st_mtime_ns, file_sha256(file)]
        name = file.name if file == path else file.relative_to(path).as_posix()
        digest.update(f"{name} {known[2]}\n".encode())
    if fresh:
        _write_memo(memo | fresh)
    return digest.hexdigest()


def source_fingerprint(source: str) -> str | None:
    """The fingerprint of a local path, or None for the name of something on a hub."""
    path = Path(source)
    return path_fingerprint(path) if path.exists() else None


def _read_memo() -> dict[str, list[object]]:
    try:
        memo: dict[str, list[object]] = json.loads(MEMO.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return memo


def _write_memo(memo: dict[str, list[object]]) -> None:
    MEMO.parent.mkdir(exist_ok=True)
    partial = MEMO.with_name(f"{MEMO.name}.{os.getpid()}")
    partial.write_text(json.dumps(memo, indent=0, sort_keys=True))
    partial.replace(MEMO)
