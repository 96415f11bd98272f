"""Comparisons decide where there is a difference, and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.report.comparison import Question, compare_groups, compare_paired, median_interval

QUESTION = Question("seeds", "agreement", "best", "control")


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_clear_difference_is_called_one():
    first = [np.linspace(0.6, 0.8, 10)]
    second = [np.linspace(0.1, 0.3, 10)]
    found = compare_groups(QUESTION, first, second, confidence=0.95, generator=generator())
    assert found.outcome == "higher"
    assert found.difference == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    assert found.p_value < 0.001
    mirrored = compare_groups(QUESTION, second, first, confidence=0.95, generator=generator())
    assert mirrored.outcome == "lower"


def test_equal_groups_are_left_undecided():
    values = [np.linspace(0, 1, 10)]
    found = compare_groups(QUESTION, values, values, confidence=0.95, generator=generator())
    assert found.outcome == "undecided"
    assert found.p_value == 1.0


def test_a_difference_between_strata_is_not_one_between_groups():
    low, high = np.linspace(0.0, 0.1, 10), np.linspace(0.9, 1.0, 10)
    found = compare_groups(QUESTION, [low, high], [low, high], confidence=0.95, generator=generator())
    assert found.outcome == "undecided"
    pooled = compare_groups(
        QUESTION,
        [np.concatenate([low[:2], high])],
        [np.concatenate([low, high[:2]])],
        confidence=0.95,
        generator=generator(),
    )
    stratified = compare_groups(
        QUESTION, [low[:2], high], [low, high[:2]], confidence=0.95, generator=generator()
    )
    assert pooled.outcome == "higher"
    assert stratified.outcome != "higher" or stratified.p_value > pooled.p_value


def test_false_alarms_stay_near_the_nominal_rate():
    draws = np.random.default_rng(1)
    decided = [
        compare_groups(
            QUESTION, [draws.normal(size=10)], [draws.normal(size=10)], confidence=0.95, generator=draws
        ).outcome
        != "undecided"
        for _ in range(60)
    ]
    assert sum(decided) <= 8


def test_paired_comparison_takes_the_features_out():
    base = np.random.default_rng(2).normal(0.5, 0.2, 30)
    found = compare_paired(QUESTION, base + 0.02, base, confidence=0.95, generator=generator())
    assert found.outcome == "higher"
    assert found.difference == pytest.approx(0.02)
    assert found.paired


def test_missing_values_are_left_out_and_too_few_are_unmeasured():
    nan = float("nan")
    found = compare_paired(
        QUESTION, np.array([1.0, nan, 3.0]), np.array([nan, 1.0, 2.0]), confidence=0.95, generator=generator()
    )
    assert (found.n_first, found.outcome) == (1, "unmeasured")
    empty = compare_groups(
        QUESTION, [np.array([])], [np.array([1.0, 2.0])], confidence=0.95, generator=generator()
    )
    assert empty.outcome == "unmeasured"
    assert np.isnan(empty.difference)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_interval_holds_the_median(values):
    median, low, high = median_interval(np.array(values), confidence=0.95, generator=generator())
    assert low <= median + 1e-12
    assert median <= high + 1e-12
    assert min(values) <= low
    assert high <= max(values)


def test_equal_seeds_give_equal_answers():
    first, second = [np.arange(8.0)], [np.arange(8.0) + 0.5]
    once, again = (
        compare_groups(QUESTION, first, second, confidence=0.9, generator=generator()) for _ in range(2)
    )
    assert once == again
