"""The tables: CSV, LaTeX and Markdown of each, the JSON of matched features with its schema, and the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.artefacts.published_files import load_files, save_files

KIND = "tables"
VERSION = 1


@dataclass(frozen=True)
class Tables:
    """Every table in its three forms, the JSON of matched features with its schema, and the metrics.

    Attributes:
        files: The content of each file, by its name relative to the folder.
    """

    files: Mapping[str, bytes]


def save(value: Tables, directory: Path) -> None:
    """Write every file into an empty directory.

    Files:
        matched_features.json: The records of all pairs of SAEs as one list; the case study itself.
        matched_features.schema.json: The JSON schema that it was checked against.
        summary.{csv,tex,md}: A row for each pair of SAEs: ratios of shared features, and medians by group.
        pairs.{csv,tex,md}: A row for each chosen pair of features.
        features.{csv,tex,md}: A row for each feature of a chosen pair, with its statistics.
        scores.{csv,tex,md}: A row for each explanation, beside its nulls.
        baselines.{csv,tex,md}: A row for each SAE and method of explanation.
        comparisons.{csv,tex,md}: A row for each question put to the numbers, with interval and p-value.
        metrics.json: The few numbers that `dvc metrics` shows and compares, nested; null where undefined.
    """
    save_files(value.files, directory)


def load(directory: Path) -> Tables:
    """Read every file."""
    return Tables(load_files(directory))
