"""The tables: CSV, LaTeX and Markdown of each, and the JSON of matched features with its schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.artefacts.published_files import load_files, save_files

KIND = "tables"
VERSION = 1


@dataclass(frozen=True)
class Tables:
    """The content of each file, by its name relative to the folder."""

    files: Mapping[str, bytes]


def save(value: Tables, directory: Path) -> None:
    """Write every file into an empty directory."""
    save_files(value.files, directory)


def load(directory: Path) -> Tables:
    """Read every file."""
    return Tables(load_files(directory))
