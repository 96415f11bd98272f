"""All that the tables, figures and page are made from, gathered in one value (no source: a plain record)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from kindred.artefacts.case_study import CaseStudy, MatchedFeature
from kindred.artefacts.explanation import METHODS as EXPLANATION_METHODS
from kindred.artefacts.explanation import Explanations
from kindred.artefacts.matching import Matching
from kindred.artefacts.scoring import Scores
from kindred.errors import KindredError
from kindred.params import Params

Group = Literal["best", "worst", "control"]
GROUPS: tuple[Group, ...] = ("best", "worst", "control")

# The baselines stand in the order in which they are to be read: from no injection at all to the leaky reference.
METHODS = (*EXPLANATION_METHODS, "top_tokens")
METHOD_NAMES = {
    "self": "self-explanation",
    "unsteered": "unsteered",
    "continuation": "continuation",
    "logit_lens": "logit lens",
    "top_tokens": "top tokens",
}


@dataclass(frozen=True)
class Settings:
    """The parameters that a reader must know to read the numbers."""

    seed: int
    model: str
    similarity: str
    threshold: float
    metric: str
    norm: str
    failure_threshold: float
    embedder: str
    negatives: str
    n_permutations: int
    confidence: float


def settings_of(params: Params) -> Settings:
    """Pick from the parameters those that the tables, figures and page depend on."""
    return Settings(
        seed=params.seed,
        model=params.model.source,
        similarity=params.matching.similarity,
        threshold=params.matching.threshold,
        metric=params.explanation.metric,
        norm=params.explanation.norm,
        failure_threshold=params.explanation.failure_threshold,
        embedder=params.scoring.embedder,
        negatives=params.scoring.negatives,
        n_permutations=params.scoring.n_permutations,
        confidence=params.scoring.confidence,
    )


@dataclass(frozen=True)
class PairStudy:
    """One pair of SAEs: their names, their matching and the records of the chosen pairs of features."""

    saes: tuple[str, str]
    matching: Matching
    records: tuple[MatchedFeature, ...]


@dataclass(frozen=True)
class SaeStudy:
    """One SAE: the table of its features' statistics, its explanations and their scores."""

    statistics: pd.DataFrame
    explanations: Explanations
    scores: Scores


@dataclass(frozen=True)
class Study:
    """The whole experiment; `pairs` and `saes` keep the order of the parameters."""

    settings: Settings
    pairs: Mapping[str, PairStudy]
    saes: Mapping[str, SaeStudy]


def gather_study(
    params: Params,
    *,
    matchings: Mapping[str, Matching],
    case_studies: Mapping[str, CaseStudy],
    statistics: Mapping[str, pd.DataFrame],
    explanations: Mapping[str, Explanations],
    scores: Mapping[str, Scores],
) -> Study:
    """Put the artefacts together; the first two are by pair, the others by SAE, of which only those in a pair count.

    Raises:
        KindredError: no pair of features was chosen in any pair of SAEs.
    """
    pairs = {
        name: PairStudy(saes, matchings[name], tuple(case_studies[name].records))
        for name, saes in params.pairs.items()
    }
    if not any(pair.records for pair in pairs.values()):
        raise KindredError(
            "there is nothing to report: no pair of features was chosen; raise n_best, n_worst or n_control, or "
            "lower min_contexts, in the section matching of params.yaml"
        )
    names = list(dict.fromkeys(sae for pair in pairs.values() for sae in pair.saes))
    saes = {name: SaeStudy(statistics[name], explanations[name], scores[name]) for name in names}
    return Study(settings_of(params), pairs, saes)
