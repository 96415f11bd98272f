"""The figures as PDF and PNG, and the window sheets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.artefacts.published_files import load_files, save_files

KIND = "figures"
VERSION = 1


@dataclass(frozen=True)
class Figures:
    """The content of each file, by its name relative to the folder."""

    files: Mapping[str, bytes]


def save(value: Figures, directory: Path) -> None:
    """Write every file into an empty directory."""
    save_files(value.files, directory)


def load(directory: Path) -> Figures:
    """Read every file."""
    return Figures(load_files(directory))
