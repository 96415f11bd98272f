"""The case study of a pair of SAEs: one record for each chosen pair of features.

Source: docs/methods.md, section 6.
"""

from dataclasses import dataclass

import numpy as np

from kindred.artefacts.case_study import CaseStudy, MatchedFeature
from kindred.artefacts.explanation import Explanations
from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.matching import GROUPS, Matching
from kindred.artefacts.scoring import Scores
from kindred.artefacts.windows import FeatureWindows, Windows
from kindred.case_study.overlap import activation_correlation, context_jaccard
from kindred.case_study.swapping import agreement, explained, swap_score
from kindred.errors import KindredError


@dataclass(frozen=True, eq=False)
class SaeEvidence:
    """All that is known of the chosen features of one SAE."""

    name: str
    index: FeatureIndex
    windows: Windows
    explanations: Explanations
    scores: Scores

    def windows_of(self, feature: int) -> FeatureWindows:
        """Return a feature's top windows, or raise KindredError."""
        if feature not in self.windows.by_feature:
            raise KindredError(f"{self.name}: there are no top windows of feature {feature}; make them anew")
        return self.windows.by_feature[feature]

    def is_self_explainable(self, feature: int) -> bool:
        """Tell whether a feature passed failure detection, or raise KindredError."""
        found = np.flatnonzero(self.explanations.features == feature)
        if len(found) != 1:
            raise KindredError(
                f"{self.name}: feature {feature} has no self-explanation; make the explanations anew"
            )
        return bool(self.explanations.self_explainable[found[0]])


def build_case_study(pair: str, matching: Matching, left: SaeEvidence, right: SaeEvidence) -> CaseStudy:
    """Put together the records of a pair of SAEs: best, worst, control, each by rank.

    Args:
        pair: Name of the pair.
        matching: Its matching, with the chosen pairs of features.
        left: What is known of the left SAE.
        right: What is known of the right SAE; it may be the left one itself.

    Raises:
        KindredError: If a chosen feature is missing from an artefact, or the SAEs saw different corpora.
    """
    chosen = matching.chosen.to_dict("records")
    chosen.sort(key=lambda row: (GROUPS.index(row["group"]), row["rank"]))
    return CaseStudy(
        [
            _record(
                pair,
                left,
                right,
                (int(row["left"]), int(row["right"])),
                {"group": row["group"], "rank": int(row["rank"]), "similarity": float(row["similarity"])},
            )
            for row in chosen
        ]
    )


def _record(
    pair: str,
    left: SaeEvidence,
    right: SaeEvidence,
    indices: tuple[int, int],
    place: dict[str, str | int | float],
) -> MatchedFeature:
    """Return the record of one pair of features."""
    ours, theirs = explained(left.scores, indices[0]), explained(right.scores, indices[1])
    return MatchedFeature.model_validate(
        {
            "pair": pair,
            "saes": (left.name, right.name),
            **place,
            "eleuthers": (ours.auroc, theirs.auroc),
            "self_explanations": (ours.text, theirs.text),
            "indices": indices,
            "agreement": agreement(ours, theirs),
            "swap_scores": (swap_score(ours, theirs), swap_score(theirs, ours)),
            "context_jaccard": context_jaccard(left.index, right.index, indices),
            "activation_correlation": activation_correlation(left.index, right.index, indices),
            "self_explainable": (left.is_self_explainable(indices[0]), right.is_self_explainable(indices[1])),
            "windows": (left.windows_of(indices[0]), right.windows_of(indices[1])),
        }
    )
