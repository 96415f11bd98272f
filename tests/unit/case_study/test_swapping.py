from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kindred.case_study.swapping import agreement, explained, swap_score
from kindred.errors import KindredError


def test_the_first_self_explanation_is_taken(sides):
    scores = sides.left.scores
    found = explained(scores, 4)
    assert found.text == "docs-0 self 0 of 4"
    assert found.auroc == scores.table["auroc"][3]
    assert np.array_equal(found.vector, scores.explanation_embeddings[3])


def test_swap_score_is_the_auroc_on_the_others_contexts(sides):
    ours, theirs = explained(sides.left.scores, 4), explained(sides.right.scores, 6)
    scores = sides.right.scores
    own = (scores.contexts["feature"] == 6).to_numpy()
    labels = scores.contexts["kind"][own] == "positive"
    cosines = scores.context_embeddings[own] @ sides.left.scores.explanation_embeddings[3]
    assert swap_score(ours, theirs) == pytest.approx(roc_auc_score(labels, cosines))
    assert swap_score(ours, theirs) != swap_score(theirs, ours)


def test_swapping_with_itself_costs_nothing(sides):
    own = explained(sides.left.scores, 1)
    assert agreement(own, own) == pytest.approx(1, abs=1e-6)
    assert swap_score(own, own) > 0.7  # the explanation points where the feature's contexts lie


def test_an_empty_explanation_agrees_with_none_and_has_no_score(sides):
    ours, theirs = explained(sides.left.scores, 1), explained(sides.right.scores, 1)
    empty = replace(ours, vector=np.full_like(ours.vector, np.nan))
    assert agreement(empty, theirs) is None
    assert swap_score(empty, theirs) is None
    assert swap_score(theirs, empty) is not None


def test_a_feature_without_positives_has_no_swap_score(sides):
    ours, theirs = explained(sides.left.scores, 1), explained(sides.right.scores, 1)
    assert swap_score(ours, replace(theirs, tested=replace(theirs.tested, n_positive=0))) is None


def test_a_feature_that_was_not_scored_is_named(sides):
    with pytest.raises(KindredError, match="feature 5 has 0 scored self-explanations"):
        explained(sides.left.scores, 5)
