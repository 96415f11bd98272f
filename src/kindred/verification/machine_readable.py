"""The outcome of a verification as JSON, for scripts.

Source: docs/methods.md, section 8.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from kindred.verification.affected import affected_features
from kindred.verification.differences import Cell
from kindred.verification.outcome import Outcome
from kindred.verification.upstream import Change


def outcome_json(outcome: Outcome) -> str:
    """Everything that the words say, with every cell that differs; without a newline at the end."""
    comparison, origins = outcome.comparison, outcome.origins
    affected = affected_features(comparison.beyond)
    gaps = [*comparison.gaps, *(gap for file in comparison.files for gap in file.gaps)]
    document: dict[str, Any] = {
        "verdict": comparison.verdict.value,
        "status": outcome.status,
        "reference": {"name": outcome.name, "commit": outcome.commit},
        "tolerance": asdict(comparison.tolerance),
        "n_files": len(comparison.files),
        "n_cells": comparison.n_cells,
        "moved_within": _cells(comparison.moved),
        "beyond": _cells(comparison.beyond),
        "gaps": [asdict(gap) for gap in gaps],
        "rows_in_another_order": {
            file.file: file.n_moved_rows for file in comparison.files if file.n_moved_rows
        },
        "features_affected": affected.features,
        "explanations_that_read_otherwise": affected.texts,
        "upstream": None
        if origins is None
        else {
            "differing": origins.differing,
            "steps_to_look_at": [asdict(parting) for parting in origins.partings],
            "params": _changes(origins.params),
            "environment": _changes(origins.environment),
        },
        "notes": outcome.notes,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _cells(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    return [
        {
            "place": cell.place,
            "file": cell.file,
            "row": dict(cell.row),
            "column": cell.column,
            "path": cell.path,
            "reference": cell.reference,
            "here": cell.present,
            "size": cell.size if cell.size is not None and math.isfinite(cell.size) else None,
        }
        for cell in cells
    ]


def _changes(found: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"key": change.key, "recorded": change.recorded, "here": change.here} for change in found]
