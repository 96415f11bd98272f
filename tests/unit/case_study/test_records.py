from dataclasses import replace

import numpy as np
import pytest

from kindred.artefacts.explanation import Explanations
from kindred.artefacts.windows import Windows
from kindred.case_study.overlap import activation_correlation, context_jaccard
from kindred.case_study.records import build_case_study
from kindred.case_study.schema import check_matched_features
from kindred.errors import KindredError


def test_records_hold_what_is_known_of_both_features(sides):
    records = build_case_study("seeds", sides.matching, sides.left, sides.right).records
    assert [(record.group, record.rank, record.indices) for record in records] == [
        ("best", 0, (1, 1)),
        ("best", 1, (4, 4)),
        ("worst", 0, (6, 1)),
        ("control", 0, (1, 6)),
    ]
    worst = records[2]
    assert (worst.pair, worst.saes, worst.similarity) == ("seeds", ("docs-0", "docs-1"), 0.1)
    assert worst.self_explanations == ("docs-0 self 0 of 6", "docs-1 self 0 of 1")
    assert worst.eleuthers == (sides.left.scores.table["auroc"][6], sides.right.scores.table["auroc"][0])
    assert worst.windows == (sides.left.windows.by_feature[6], sides.right.windows.by_feature[1])
    assert worst.context_jaccard == context_jaccard(sides.left.index, sides.right.index, (6, 1))
    assert worst.activation_correlation == activation_correlation(sides.left.index, sides.right.index, (6, 1))
    assert worst.self_explainable == (True, True)
    assert records[1].self_explainable == (False, False)
    assert worst.agreement == pytest.approx(
        float(sides.left.scores.explanation_embeddings[6] @ sides.right.scores.explanation_embeddings[0])
    )
    check_matched_features([record.model_dump(mode="json") for record in records])


def test_a_pair_of_an_sae_with_itself_costs_nothing_to_swap(sides):
    records = build_case_study("same", sides.matching, sides.left, sides.left).records
    table = sides.left.scores
    own = records[0]
    assert own.agreement == pytest.approx(1, abs=1e-6)
    assert own.swap_scores[0] == own.swap_scores[1]
    assert len(table.table) == 9


def test_scores_that_are_not_defined_are_null(sides):
    scores = sides.left.scores
    vectors = scores.explanation_embeddings.copy()
    vectors[0] = np.nan
    table = scores.table.assign(auroc=np.where(scores.table.index == 0, np.nan, scores.table["auroc"]))
    left = replace(sides.left, scores=replace(scores, table=table, explanation_embeddings=vectors))
    record = build_case_study("seeds", sides.matching, left, sides.right).records[0]
    assert record.eleuthers[0] is None
    assert record.agreement is None
    assert record.swap_scores[0] is None
    assert record.swap_scores[1] is not None
    check_matched_features([record.model_dump(mode="json")])


def test_missing_windows_and_explanations_are_named(sides):
    bare = replace(sides.right, windows=Windows({}, sides.right.windows.positions))
    with pytest.raises(KindredError, match="docs-1: there are no top windows of feature 1"):
        build_case_study("seeds", sides.matching, sides.left, bare)
    old = sides.right.explanations
    other = Explanations(
        **{**{name: getattr(old, name) for name in old.__dataclass_fields__}, "features": np.array([7, 4, 6])}
    )
    with pytest.raises(KindredError, match="docs-1: feature 1 has no self-explanation"):
        build_case_study("seeds", sides.matching, sides.left, replace(sides.right, explanations=other))
