"""The matching of two SAEs: pairs, ratios and the pairs chosen for a closer look."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

KIND = "matching"
VERSION = 2

GROUPS = ("best", "worst", "control")
_PRICES = ("price_left", "price_right")


@dataclass(frozen=True, eq=False)
class Proof:
    """That no one-to-one matching has a total similarity beyond a bound, by prices (linear duality).

    The similarity of features i and j is at most ``price_left[i] + price_right[j]`` for every pair, up to rounding, so
    the sum of all prices bounds the total of every matching.

    Attributes:
        total: Sum of the similarities of the matched pairs.
        upper_bound: What the total of no matching exceeds.
        price_left: float64 [n_left].
        price_right: float64 [n_right].
    """

    total: float
    upper_bound: float
    price_left: NDArray[np.float64]
    price_right: NDArray[np.float64]

    @property
    def gap(self) -> float:
        """By how much the total could fall short of the largest one."""
        return max(self.upper_bound - self.total, 0.0)


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
        proofs: That the assignments by decoder, by encoder and by the similarity asked for are the best, by name.
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
    proofs: dict[str, Proof]


def save(value: Matching, directory: Path) -> None:
    """Write a matching into an empty directory.

    Files:
        left.npy: Matched features of the left SAE, int64 [n].
        right.npy: Their partners, int64 [n].
        similarity.npy: Similarity of each pair, float32 [n].
        chosen.parquet: The pairs chosen for a closer look.
        {similarity}_price_left.npy: Prices that prove the assignment by a similarity the best, float64 [n_left].
        {similarity}_price_right.npy: The same of the right features, float64 [n_right].
        summary.json: n_left, n_right, ratios, passed_over, notes, and each assignment's total, upper_bound and gap.
    """
    for name in ("left", "right", "similarity"):
        np.save(directory / f"{name}.npy", getattr(value, name), allow_pickle=False)
    value.chosen.to_parquet(directory / "chosen.parquet", index=False)
    for name, proof in value.proofs.items():
        for side in _PRICES:
            np.save(directory / f"{name}_{side}.npy", getattr(proof, side), allow_pickle=False)
    summary = {
        "assignments": {
            name: {"gap": proof.gap, "total": proof.total, "upper_bound": proof.upper_bound}
            for name, proof in value.proofs.items()
        },
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
        proofs={
            name: Proof(
                proven["total"],
                proven["upper_bound"],
                *(np.load(directory / f"{name}_{side}.npy", allow_pickle=False) for side in _PRICES),
            )
            for name, proven in summary["assignments"].items()
        },
    )
