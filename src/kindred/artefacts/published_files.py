"""Files that people read, as one mapping from relative names to bytes; shared by tables, figures and report."""

from collections.abc import Mapping
from pathlib import Path

from kindred.artefacts.folder import artefact_files


def save_files(files: Mapping[str, bytes], directory: Path) -> None:
    """Write each file under its name, which may lie in a folder of its own."""
    for name, content in sorted(files.items()):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def load_files(directory: Path) -> dict[str, bytes]:
    """Read back every file but the manifest, by name."""
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in artefact_files(directory)}
