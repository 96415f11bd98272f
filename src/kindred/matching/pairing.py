"""Matching of two dictionaries: who is whose partner, what share is shared, and which pairs to look at.

Sources: FaithfulSAE (arXiv 2506.17673), shared feature ratio; Paulo & Belrose 2025, its two-sided form.
"""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kindred.artefacts.matching import Matching, Proof
from kindred.errors import KindredError
from kindred.matching.assignment import Assignment, assign
from kindred.matching.comparison import products
from kindred.matching.selection import Selection, select_control, select_extremes
from kindred.matching.similarity import Dictionary, unit_rows

Similarity = Literal["decoder", "encoder", "both"]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


class _Directions:
    """Unit directions of both SAEs, with each assignment computed once."""

    def __init__(self, left: Dictionary, right: Dictionary, device: str) -> None:
        self._sides = left, right
        self._device = device
        self._assignments: dict[str, Assignment] = {}

    def assignment(self, similarity: Similarity) -> Assignment:
        """Return the matched pairs under a similarity."""
        if similarity not in self._assignments:
            left, right = (_unit_directions(side, similarity) for side in self._sides)
            self._assignments[similarity] = assign(left, right, device=self._device)
        return self._assignments[similarity]

    def of_pairs(self, similarity: Similarity, pairs: Pairs) -> NDArray[np.float64]:
        """Return the similarity of each given pair."""
        rows = zip(self._sides, pairs, strict=True)
        left, right = (_unit_directions(side, similarity, features) for side, features in rows)
        each = np.arange(len(left))
        return products(left, right, each, each)

    def proofs(self) -> dict[str, Proof]:
        """How far each assignment that was made could be from the largest total."""
        return {
            name: Proof(
                assignment.total, assignment.upper_bound, assignment.price_left, assignment.price_right
            )
            for name, assignment in sorted(self._assignments.items())
        }


def match_features(
    left: Dictionary,
    right: Dictionary,
    *,
    similarity: Similarity,
    threshold: float,
    n_best: int,
    n_worst: int,
    n_control: int,
    min_contexts: int,
    generator: np.random.Generator,
    device: str = "cpu",
) -> Matching:
    """Match the features of two SAEs one to one and choose the pairs to be looked at.

    Args:
        left: First SAE of the pair.
        right: Second SAE, on the same hook point.
        similarity: What is maximised: cosine of decoder rows, of encoder columns, or the mean of both.
        threshold: Cosine above which a pair is called shared.
        n_best: Matched pairs of highest similarity to choose.
        n_worst: Matched pairs of lowest similarity to choose.
        n_control: Random mismatched pairs to choose.
        min_contexts: Both features of a chosen pair fire in at least so many contexts.
        generator: Source of the control pairs.
        device: Where similarities are computed; the result is the same on all.

    Raises:
        KindredError: If the SAEs differ in d_model, or a direction is zero or not finite.
    """
    if left.d_model != right.d_model:
        raise KindredError(
            f"SAE {left.name!r} has d_model {left.d_model} and SAE {right.name!r} {right.d_model}; only SAEs "
            "on the same model can be matched, so correct the pairs section of the params"
        )
    directions = _Directions(left, right, device)
    assignment = directions.assignment(similarity)
    pairs = assignment.left, assignment.right
    of_pairs = directions.of_pairs(similarity, pairs).astype(np.float32)
    left_eligible = left.n_contexts_active >= min_contexts
    right_eligible = right.n_contexts_active >= min_contexts
    eligible = left_eligible[pairs[0]] & right_eligible[pairs[1]]
    best, worst = select_extremes(*pairs, of_pairs, eligible=eligible, n_best=n_best, n_worst=n_worst)
    control = select_control(
        *pairs, left_eligible=left_eligible, right_eligible=right_eligible, n=n_control, generator=generator
    )
    groups = {"best": best, "worst": worst, "control": control}
    asked = {"best": n_best, "worst": n_worst, "control": n_control}
    return Matching(
        left=pairs[0],
        right=pairs[1],
        similarity=of_pairs,
        ratios=_ratios(directions, similarity, threshold),
        chosen=_table(groups, directions, similarity),
        passed_over={group: selection.passed_over for group, selection in groups.items()},
        notes=tuple(_note(group, groups[group], asked[group], min_contexts) for group in groups),
        n_left=left.d_sae,
        n_right=right.d_sae,
        proofs=directions.proofs(),
    )


def _ratios(directions: _Directions, similarity: Similarity, threshold: float) -> dict[str, float]:
    """Return the shares of shared features, over matched pairs or over each dictionary.

    The one-sided ratio and the nearest neighbours are by decoder cosine whatever was maximised, so that the
    figures compare with the published ones.
    """
    matched, by_decoder, by_encoder = (
        directions.assignment(name) for name in (similarity, "decoder", "encoder")
    )
    pairs, decoder_pairs = (matched.left, matched.right), (by_decoder.left, by_decoder.right)
    partner_by_encoder = dict(zip(by_encoder.left.tolist(), by_encoder.right.tolist(), strict=True))
    agree = [
        partner_by_encoder.get(i) == j
        for i, j in zip(*(side.tolist() for side in decoder_pairs), strict=True)
    ]
    decoder_exceeds = directions.of_pairs("decoder", decoder_pairs) > threshold
    encoder_exceeds = directions.of_pairs("encoder", decoder_pairs) > threshold
    values: dict[str, NDArray[np.float64] | NDArray[np.bool_]] = {
        "shared_feature_ratio": directions.of_pairs("decoder", pairs) > threshold,
        "shared_feature_ratio_two_sided": np.array(agree) & decoder_exceeds & encoder_exceeds,
        "top1_ratio_left": by_decoder.nearest_left > threshold,
        "top1_ratio_right": by_decoder.nearest_right > threshold,
        "mean_max_cosine_left": by_decoder.nearest_left,
        "mean_max_cosine_right": by_decoder.nearest_right,
        "mean_similarity": directions.of_pairs(similarity, pairs),
    }
    return {name: float(value.mean()) for name, value in values.items()}


def _table(groups: dict[str, Selection], directions: _Directions, similarity: Similarity) -> pd.DataFrame:
    """Return one row per chosen pair."""
    tables = []
    for group, selection in groups.items():
        similarities = directions.of_pairs(similarity, (selection.left, selection.right)).astype(np.float32)
        tables.append(
            pd.DataFrame(
                {
                    "group": pd.Series([group] * len(selection.left), dtype="str"),
                    "rank": np.arange(len(selection.left), dtype=np.int64),
                    "left": selection.left,
                    "right": selection.right,
                    "similarity": similarities,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _note(group: str, selection: Selection, asked: int, min_contexts: int) -> str:
    """Say how many pairs of a group were passed over, and whether fewer than asked for were found."""
    found = len(selection.left)
    of_asked = "" if found == asked else f" of the {asked} asked for: no more are eligible"
    return (
        f"{group}: {found} pairs{of_asked}; {selection.passed_over} passed over because a feature "
        f"fires in fewer than {min_contexts} contexts"
    )


def _unit_directions(
    dictionary: Dictionary, similarity: Similarity, features: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return rows whose products are the similarities, of some features or of all; both kinds side by side."""
    kinds = ("decoder", "encoder") if similarity == "both" else (similarity,)
    chosen = slice(None) if features is None else features
    rows = [unit_rows(getattr(dictionary, kind)[chosen], sae=dictionary.name, matrix=kind) for kind in kinds]
    return rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1) / np.sqrt(len(rows))
