"""The figures as PDF and PNG, and the window sheets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.artefacts.published_files import load_files, save_files

KIND = "figures"
VERSION = 1


@dataclass(frozen=True)
class Figures:
    """Every figure and window sheet, as PDF and PNG.

    Attributes:
        files: The content of each file, by its name relative to the folder.
    """

    files: Mapping[str, bytes]


def save(value: Figures, directory: Path) -> None:
    """Write every file into an empty directory.

    Files:
        similarity_distribution.{pdf,png}: How similar matched features are.
        similarity_agreement.{pdf,png}: Whether alike directions get explanations that say the same.
        auroc_by_group.{pdf,png}: Scores of self-explanations by group, beside their null.
        auroc_by_method.{pdf,png}: Scores of every method of explanation.
        swap_cost.{pdf,png}: What it costs to swap the explanations of a pair.
        scale_curves.{pdf,png}: Self-similarity, entropy and composite over the scale.
        windows/{pair}-{group}-{place}.{pdf,png}: The windows of both features of a chosen pair; places from 01.
    """
    save_files(value.files, directory)


def load(directory: Path) -> Figures:
    """Read every file."""
    return Figures(load_files(directory))
