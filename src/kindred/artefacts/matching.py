"""The matching of two SAEs: pairs, ratios and the pairs chosen for a closer look."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

KIND = "matching"
VERSION = 1

GROUPS = ("best", "worst", "control")


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one matching of the features of two SAEs.

    Attributes:
        left: Matched features of the left SAE, ascending, int64 [n].
        right: Their partners, int64 [n].
        similarity: Similarity of each pair, float32 [n].
        ratios: Shares and means over the whole dictionaries, by name.
        chosen: Pairs for a closer look, with columns group (best, worst, control), rank (from 0), left, right
            and similarity.
        passed_over: For each group, how many pairs that fire too seldom were met before the last one chosen.
        notes: What a reader of the tables has to know about the choice, one sentence each.
        n_left: Number of features of the left SAE.
        n_right: Number of features of the right SAE.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]
    ratios: dict[str, float]
    chosen: pd.DataFrame
    passed_over: dict[str, int]
    notes: tuple[str, ...]
    n_left: int
    n_right: int


def save(value: Matching, directory: Path) -> None:
    """Write a matching into an empty directory.

    Files:
        left.npy: Matched features of the left SAE, int64 [n].
        right.npy: Their partners, int64 [n].
        similarity.npy: Similarity of each pair, float32 [n].
        chosen.parquet: The pairs chosen for a closer look.
        summary.json: n_left, n_right, ratios, passed_over and notes.
    """
    for name in ("left", "right", "similarity"):
        np.save(directory / f"{name}.npy", getattr(value, name), allow_pickle=False)
    value.chosen.to_parquet(directory / "chosen.parquet", index=False)
    summary = {
        "n_left": value.n_left,
        "n_right": value.n_right,
        "notes": list(value.notes),
        "passed_over": value.passed_over,
        "ratios": value.ratios,
    }
    text = json.dumps(summary, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    (directory / "summary.json").write_text(text + "\n", encoding="utf-8")


def load(directory: Path) -> Matching:
    """Read a matching from its directory."""
    summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    return Matching(
        left=np.load(directory / "left.npy", allow_pickle=False),
        right=np.load(directory / "right.npy", allow_pickle=False),
        similarity=np.load(directory / "similarity.npy", allow_pickle=False),
        ratios=summary["ratios"],
        chosen=pd.read_parquet(directory / "chosen.parquet"),
        passed_over=summary["passed_over"],
        notes=tuple(summary["notes"]),
        n_left=summary["n_left"],
        n_right=summary["n_right"],
    )
