"""The questions of the case study, answered with an interval and a permutation test.

Source: docs/methods.md, sections 5 and 6.
"""

import zlib

import numpy as np
import pandas as pd

from kindred.report.comparison import Comparison, Question, compare_groups, compare_paired
from kindred.report.frames import pairs_frame, scores_frame
from kindred.report.study import METHODS, Study

ALL = "all pairs"
QUANTITIES = ("agreement", "swap_cost", "context_jaccard", "activation_correlation")
NULLS = ("null_permuted", "null_random")


def ask(study: Study) -> list[Comparison]:
    """Every comparison, for each pair of SAEs and for all of them together.

    The generator is seeded by the experiment's seed and a fixed name, so tables, figures and page agree.
    """
    generator = np.random.default_rng([study.settings.seed, zlib.crc32(b"kindred.report.questions")])
    pairs, scores = pairs_frame(study), scores_frame(study)
    scopes = [*study.pairs, ALL] if len(study.pairs) > 1 else [*study.pairs]
    answers = []
    for scope in scopes:
        inside = pairs if scope == ALL else pairs[pairs["pair"] == scope]
        answers += _between_groups(scope, inside, study.settings.confidence, generator)
        answers += _between_methods(scope, inside, scores, study.settings.confidence, generator)
    return answers


def find(answers: list[Comparison], scope: str, quantity: str, second: str) -> Comparison:
    """The one answer on a quantity against `second` in a scope.

    Raises:
        KeyError: no such comparison was made.
    """
    for answer in answers:
        if (answer.scope, answer.quantity, answer.second) == (scope, quantity, second):
            return answer
    raise KeyError((scope, quantity, second))


def widest_scope(study: Study) -> str:
    """All pairs together, or the only pair there is."""
    return ALL if len(study.pairs) > 1 else next(iter(study.pairs))


def comparisons_frame(answers: list[Comparison]) -> pd.DataFrame:
    """One row per comparison."""
    return pd.DataFrame([vars(answer) for answer in answers])


def chosen_features(pairs: pd.DataFrame) -> pd.MultiIndex:
    """The features of some rows of the pairs' frame, each once, as (sae, feature)."""
    sides = [pairs[[f"sae_{side}", f"feature_{side}"]].to_numpy() for side in ("left", "right")]
    found = dict.fromkeys((str(sae), int(feature)) for side in sides for sae, feature in side)
    return pd.MultiIndex.from_tuples(sorted(found), names=["sae", "feature"])


def _between_groups(
    scope: str, pairs: pd.DataFrame, confidence: float, generator: np.random.Generator
) -> list[Comparison]:
    answers = []
    for quantity in QUANTITIES:
        by_group = {
            group: [
                part.loc[part["group"] == group, quantity].to_numpy(dtype=np.float64)
                for _, part in pairs.groupby("pair", sort=True)
            ]
            for group in ("best", "worst", "control")
        }
        for second in ("control", "worst"):
            question = Question(scope, quantity, "best", second)
            answers.append(
                compare_groups(
                    question, by_group["best"], by_group[second], confidence=confidence, generator=generator
                )
            )
    return answers


def _between_methods(
    scope: str,
    pairs: pd.DataFrame,
    scores: pd.DataFrame,
    confidence: float,
    generator: np.random.Generator,
) -> list[Comparison]:
    """The self-explanation's AUROC against its nulls and against each baseline, feature by feature."""
    first = scores[scores["rank"] == 0].set_index(["sae", "feature", "method"])
    features = chosen_features(pairs)
    by_method = {
        method: first.xs(method, level="method").reindex(features)
        for method in METHODS
        if method in first.index.get_level_values("method")
    }
    own = by_method["self"]
    references = {null: own[null] for null in NULLS}
    references |= {method: frame["auroc"] for method, frame in by_method.items() if method != "self"}
    return [
        compare_paired(
            Question(scope, "auroc", "self", name),
            own["auroc"].to_numpy(dtype=np.float64),
            values.to_numpy(dtype=np.float64),
            confidence=confidence,
            generator=generator,
        )
        for name, values in references.items()
    ]
