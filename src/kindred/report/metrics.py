"""The few numbers that are followed from one experiment to the next, nested as `dvc metrics` prints them.

Source: docs/methods.md, section 6.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

Metrics = dict[str, Any]

_RATIOS = ("shared_feature_ratio", "shared_feature_ratio_two_sided")
_GROUPS = ("best", "control")
_MEDIANS = ("agreement", "auroc", "null_permuted")


def metrics_of(summary: pd.DataFrame, comparisons: pd.DataFrame, digits: int) -> Metrics:
    """The numbers of two tables' frames, with the digits that the tables print.

    `pairs` holds for each pair of SAEs its ratios of shared features and the medians of its best and control pairs
    (the AUROC beside its permuted null); `differences` holds what every comparison found in its widest scope (all
    pairs of SAEs together, or the only one), as `agreement.best_control`: best minus control. What is undefined is
    null.
    """
    pairs = {
        str(row["pair"]): _number_all({name: row.get(name) for name in _RATIOS}, digits)
        | {group: _number_all(_medians(row, group), digits) for group in _GROUPS}
        for _, row in summary.iterrows()
    }
    differences: dict[str, dict[str, float | None]] = {}
    for _, row in comparisons[comparisons["scope"] == comparisons["scope"].iloc[-1]].iterrows():
        found = differences.setdefault(str(row["quantity"]), {})
        found[f"{row['first']}_{row['second']}"] = _number(row["difference"], digits)
    return {"pairs": pairs, "differences": differences}


def metrics_json(metrics: Metrics) -> str:
    """The text of metrics.json."""
    return json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _medians(row: "pd.Series[Any]", group: str) -> dict[str, Any]:
    return {quantity: row[f"median_{quantity}_{group}"] for quantity in _MEDIANS}


def _number_all(values: Mapping[str, Any], digits: int) -> dict[str, float | None]:
    return {name: _number(value, digits) for name, value in values.items()}


def _number(value: float | None, digits: int) -> float | None:
    """The number that the tables' CSV shows; None where they show an empty cell."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
