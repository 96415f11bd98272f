"""The verdict follows the numbers: other numbers, other words."""

from dataclasses import replace

import numpy as np

from kindred.report.questions import ALL, ask, find
from kindred.report.verdict import describe_p, findings, headline


def verdict(study):
    return headline(study, ask(study))


def test_agreement_and_scores_above_the_null(make_study):
    said = verdict(make_study(n_each=8, advantage=0.05, gap=0.3))
    assert said[0].startswith("Explanations of best-matched pairs agree more than those of random pairs, and")
    assert "better than shuffled" in said[0]


def test_no_difference_is_not_sold_as_one(make_study):
    said = verdict(make_study(n_each=8, advantage=0.0, gap=0.0))
    assert "were not shown to agree more" in said[0]
    assert "not shown to describe their features better" in said[0]


def test_agreement_without_scores_is_called_no_evidence(make_study):
    said = verdict(make_study(n_each=8, advantage=0.0, gap=0.3))
    assert ", but the explanations were not shown" in said[0]
    assert any("no evidence of shared meaning" in sentence for sentence in said)


def test_the_reverse_is_said_too(make_study):
    said = verdict(make_study(n_each=8, advantage=-0.08, gap=-0.3))
    assert "agree less" in said[0]
    assert "worse than shuffled" in said[0]


def test_rivals_that_win_are_named(make_study):
    said = " ".join(verdict(make_study(n_each=10, advantage=0.03)))
    assert "do worse than the logit lens" in said
    assert "top tokens" not in said


def test_equal_texts_are_a_reservation(make_study):
    study = make_study()
    saes = {
        name: replace(
            sae, scores=replace(sae.scores, explanations=sae.scores.explanations.assign(text="a word"))
        )
        for name, sae in study.saes.items()
    }
    said = verdict(replace(study, saes=saes))
    assert any(sentence.startswith("Only 1 of ") for sentence in said)


def test_each_scope_is_answered_and_features_count_once(study):
    answers = ask(study)
    assert {answer.scope for answer in answers} == {"seeds", "data", ALL}
    everywhere = find(answers, ALL, "auroc", "null_permuted")
    features = {
        (sae, index)
        for pair in study.pairs.values()
        for record in pair.records
        for sae, index in zip(record.saes, record.indices, strict=True)
    }
    assert everywhere.n_first == len(features)
    assert np.isfinite(everywhere.difference)


def test_a_lower_swap_cost_is_a_yes(study):
    answers = ask(study)
    swapped = find(answers, ALL, "swap_cost", "control")
    lower = [replace(item, outcome="lower") if item is swapped else item for item in answers]
    finding = next(item for item in findings(study, lower, ALL) if item.comparison.quantity == "swap_cost")
    assert (finding.answer, finding.tone) == ("Yes", "yes")


def test_p_values_in_words():
    assert describe_p(0.00025) == "p < 0.001"
    assert describe_p(0.0421) == "p = 0.042"
