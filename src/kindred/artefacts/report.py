"""The page index.html."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.artefacts.published_files import load_files, save_files

KIND = "report"
VERSION = 1


@dataclass(frozen=True)
class Report:
    """The page.

    Attributes:
        files: The content of each file, by its name relative to the folder.
    """

    files: Mapping[str, bytes]


def save(value: Report, directory: Path) -> None:
    """Write every file into an empty directory.

    Files:
        index.html: The page, with figures, styles and script inside it.
    """
    save_files(value.files, directory)


def load(directory: Path) -> Report:
    """Read every file."""
    return Report(load_files(directory))
