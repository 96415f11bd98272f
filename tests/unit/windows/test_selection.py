"""The fast choice against a brute force over every window, written from the definition alone."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.windows.runs import Runs
from kindred.windows.scores import firing
from kindred.windows.selection import best_windows

CRITERIA = ("mean", "density", "max")


def brute_force(activations, runs, criterion, length, n_top):
    """Score every window of every run, sort them all, and take them in turn unless they overlap a taken one."""
    scored = []
    for start, n_tokens in runs:
        width = min(length, n_tokens)
        for first in range(start, start + n_tokens - width + 1):
            values = [activations.get(token, 0.0) for token in range(first, first + width)]
            peak = max(values)
            if peak == 0:
                continue
            mean = float(sum(map(Fraction, values))) / width
            density = sum(value > 0 for value in values) / width
            centred = [
                min(max(first + offset - width // 2, start), start + n_tokens - width)
                for offset, value in enumerate(values)
                if value == peak
            ]
            misplaced = min(abs(first - place) for place in centred)
            order = {
                "mean": (-mean, -density, first),
                "density": (-density, -mean, first),
                "max": (-peak, misplaced, -density, first),
            }[criterion]
            scored.append((order, first, width, mean, density, peak))
    chosen = []
    for _, *window in sorted(scored):
        first, width = window[:2]
        if len(chosen) < n_top and all(first + width <= f or f + w <= first for f, w, *_ in chosen):
            chosen.append(tuple(window))
    return chosen


def fast(activations, runs, criterion, length, n_top):
    token = np.array(sorted(activations), dtype=np.int64)
    value = np.array([activations[t] for t in sorted(activations)], dtype=np.float32)
    arrays = Runs(*(np.array(column, dtype=np.int64) for column in zip(*runs, strict=True)))
    fires = firing(token, value, arrays)
    windows = best_windows(fires, arrays, criterion, length=length, n_top=n_top)
    columns = (windows.start, windows.length, windows.mean, windows.density, windows.max)
    return list(zip(*(column.tolist() for column in columns), strict=True))


TIED = st.sampled_from([1.0, 2.0])
ANY = st.floats(min_value=2.0**-100, max_value=2.0**100, width=32)


@st.composite
def corpora(draw):
    runs, start = [], 0
    for gap, n_tokens in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 14)), min_size=1, max_size=8)
    ):
        runs.append((start + gap, n_tokens))
        start += gap + n_tokens
    inside = [token for first, n_tokens in runs for token in range(first, first + n_tokens)]
    values = draw(st.sampled_from([TIED, ANY, st.one_of(TIED, ANY)]))
    return runs, draw(st.dictionaries(st.sampled_from(inside), values))


@settings(max_examples=400, deadline=None)
@given(
    corpora(),
    st.sampled_from(CRITERIA),
    st.integers(1, 7),
    st.integers(0, 5),
)
def test_the_fast_choice_is_the_brute_force(corpus, criterion, length, n_top):
    runs, activations = corpus
    found = fast(activations, runs, criterion, length, n_top)
    assert found == brute_force(activations, runs, criterion, length, n_top)


@pytest.mark.parametrize("values", ["tied", "continuous", "tiny"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_fast_choice_is_the_brute_force_on_larger_corpora(criterion, values):
    generator = np.random.default_rng(CRITERIA.index(criterion))
    runs = [(context * 40 + 1, int(generator.integers(1, 40))) for context in range(150)]
    inside = np.concatenate([np.arange(start, start + n_tokens) for start, n_tokens in runs])
    token = generator.choice(inside, size=len(inside) // 5, replace=False)
    value = {
        "tied": generator.integers(1, 4, size=len(token)).astype(float),
        "continuous": generator.exponential(size=len(token)),
        "tiny": generator.exponential(size=len(token)) ** 12,
    }[values].astype(np.float32)
    kept = value > 0
    activations = dict(zip(token[kept].tolist(), value[kept].tolist(), strict=True))
    found = fast(activations, runs, criterion, 12, 10)
    assert len(found) == 10
    assert found == brute_force(activations, runs, criterion, 12, 10)


def test_a_peak_stands_in_the_middle_where_the_run_allows():
    assert [window[0] for window in fast({50: 2.0}, [(0, 100)], "max", 30, 1)] == [35]
    assert [window[0] for window in fast({3: 2.0}, [(0, 100)], "max", 30, 1)] == [0]
    assert [window[0] for window in fast({98: 2.0}, [(0, 100)], "max", 30, 1)] == [70]


def test_a_peak_beside_a_chosen_window_is_moved_aside_not_lost():
    activations = {50: 3.0, 70: 2.0, 150: 1.0}
    windows = fast(activations, [(0, 200)], "max", 30, 3)
    assert [(window[0], window[4]) for window in windows] == [(35, 3.0), (65, 2.0), (135, 1.0)]


def test_a_silent_feature_has_no_windows():
    for criterion in CRITERIA:
        assert fast({}, [(0, 50)], criterion, 10, 5) == []
