"""Explanations on trial: do two say the same, and does one do for the other's feature?

Source: docs/methods.md, section 6. All from stored embeddings; no model is needed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.scoring import Scores
from kindred.errors import KindredError
from kindred.scoring.evaluation import Tested


@dataclass(frozen=True, eq=False)
class Explained:
    """A feature's self-explanation, its score, and what it was tested on.

    Attributes:
        text: The self-explanation of rank 0.
        auroc: Its score on the feature's own contexts; None where it is not defined.
        vector: Its embedding, nan if it is empty, float32 [dimension].
        tested: The feature's test contexts.
    """

    text: str
    auroc: float | None
    vector: NDArray[np.float32]
    tested: Tested


def explained(scores: Scores, feature: int) -> Explained:
    """Gather a feature's self-explanation and contexts from the scores of its SAE.

    Raises:
        KindredError: If the feature has no self-explanation there.
    """
    place = _row_of_self_explanation(scores.explanations, feature)
    row = scores.table.iloc[place]
    own = np.flatnonzero(scores.contexts["feature"].to_numpy() == feature)
    n_positive = int((scores.contexts["kind"].to_numpy()[own] == "positive").sum())
    vectors = np.asarray(scores.context_embeddings[own])
    return Explained(
        text=str(scores.explanations["text"].iloc[place]),
        auroc=_defined(float(row["auroc"])),
        vector=np.asarray(scores.explanation_embeddings[place]),
        tested=Tested(n_positive, 0, vectors, vectors[:0]),
    )


def agreement(left: Explained, right: Explained) -> float | None:
    """Return the cosine of two explanations' embeddings, None if one is empty."""
    return _defined(float(left.vector.astype(np.float64) @ right.vector.astype(np.float64)))


def swap_score(explanation: Explained, other: Explained) -> float | None:
    """Return the AUROC of an explanation on another feature's contexts, None where it is not defined."""
    if np.isnan(explanation.vector[0]):
        return None
    return _defined(float(other.tested.auroc(explanation.vector[None])[0]))


def _row_of_self_explanation(explanations: pd.DataFrame, feature: int) -> int:
    """Return the row of a feature's self-explanation of rank 0."""
    found = np.flatnonzero(
        (explanations["feature"] == feature)
        & (explanations["method"] == "self")
        & (explanations["rank"] == 0)
    )
    if len(found) != 1:
        raise KindredError(
            f"feature {feature} has {len(found)} scored self-explanations of rank 0, not one; make the scores anew"
        )
    return int(found[0])


def _defined(value: float) -> float | None:
    """Return a number, or None for nan, which JSON does not know."""
    return None if np.isnan(value) else value
