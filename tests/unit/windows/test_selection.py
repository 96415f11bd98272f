"""The fast choice against a brute force over every window, written from the definition alone."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.artefacts.features import FeatureIndex
from kindred.errors import KindredError
from kindred.windows.runs import Runs
from kindred.windows.selection import best_windows, fires_in_short_run, refuse_outside

CRITERIA = ("mean", "density", "max")


def brute_force(activations, runs, criterion, length, n_top, min_length=1):
    """Score every window of every run, sort them all, and take them in turn unless they overlap a taken one."""
    scored = []
    for start, n_tokens in runs:
        width = min(length, n_tokens)
        if width < min_length:
            continue
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


def index_of(features, n_tokens, context_length):
    """Return the index of features, each a dictionary of activations by token."""
    counts = [len(activations) for activations in features]
    token = [token for activations in features for token in sorted(activations)]
    value = [activations[token] for activations in features for token in sorted(activations)]
    n_contexts = -(-n_tokens // context_length)
    return FeatureIndex(
        len(features),
        n_contexts,
        context_length,
        n_tokens,
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        np.array(token, dtype=np.uint32),
        np.array(value, dtype=np.float32),
    )


def fast_of_all(features, runs, length, n_top, context_length=None, min_length=1):
    n_tokens = max(start + n_tokens for start, n_tokens in runs)
    index = index_of(features, n_tokens, context_length or n_tokens)
    arrays = Runs(*(np.array(column, dtype=np.int64) for column in zip(*runs, strict=True)))
    best = best_windows(
        index, range(len(features)), arrays, length=length, min_length=min_length, n_top=n_top
    )
    columns = (best.start, best.length, best.mean, best.density, best.max)
    return [
        {
            criterion: list(
                zip(
                    *(array[row, number, : best.count[row, number]].tolist() for array in columns),
                    strict=True,
                )
            )
            for number, criterion in enumerate(CRITERIA)
        }
        for row in range(len(features))
    ]


def fast(activations, runs, criterion, length, n_top, min_length=1):
    return fast_of_all([activations], runs, length, n_top, min_length=min_length)[0][criterion]


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
    st.integers(1, 7),
    st.integers(0, 5),
)
def test_the_fast_choice_is_the_brute_force(corpus, criterion, length, shorter, n_top):
    runs, activations = corpus
    min_length = min(length, shorter)
    found = fast(activations, runs, criterion, length, n_top, min_length)
    assert found == brute_force(activations, runs, criterion, length, n_top, min_length)


def test_a_run_shorter_than_the_shortest_window_has_none():
    """A context of one token has the highest mean and density, and says nothing."""
    runs, activations = [(1, 1), (4, 2), (8, 6)], {1: 9.0, 4: 5.0, 5: 5.0, 9: 1.0}
    for criterion, start in (("mean", 8), ("density", 8), ("max", 8)):
        assert [window[:2] for window in fast(activations, runs, criterion, 4, 3, 3)] == [(start, 4)]
        assert fast(activations, runs, criterion, 4, 3, 1)[0][:2] == (1, 1)


def test_features_that_fire_in_short_runs_are_told_apart():
    runs = Runs(np.array([1, 4]), np.array([2, 4]))
    index = index_of([{1: 1.0, 5: 1.0}, {5: 1.0}, {}], 8, 8)
    assert [fires_in_short_run(index, feature, runs, 3) for feature in range(3)] == [True, False, False]


@pytest.mark.parametrize(("length", "peak", "start"), [(8, 22, 18), (7, 22, 19), (30, 22, 7)])
def test_the_middle_of_a_window_is_offset_half_its_length_rounded_down(length, peak, start):
    """With an even length no token is in the middle. A start one later would be denser here, and is not taken."""
    activations = {peak: 2.0, start + length: 1.0}
    ((found, *_),) = fast(activations, [(1, 60)], "max", length, 1)
    assert found == start


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


@st.composite
def packed_corpora(draw):
    """Contexts of one length, cut into runs, and several features on them."""
    context_length, n_contexts = draw(st.integers(1, 14)), draw(st.integers(1, 8))
    runs = []
    for context in range(n_contexts):
        position = 0
        while position < context_length:
            gap, n_tokens = draw(st.tuples(st.integers(0, 2), st.integers(1, 14)))
            start, stop = position + gap, min(position + gap + n_tokens, context_length)
            if start < stop:
                runs.append((context * context_length + start, stop - start))
            position = start + n_tokens
    inside = [token for first, n_tokens in runs for token in range(first, first + n_tokens)]
    values = draw(st.sampled_from([TIED, ANY, st.one_of(TIED, ANY)]))
    one = st.dictionaries(st.sampled_from(inside), values) if inside else st.just({})
    return runs, context_length, draw(st.lists(one, min_size=1, max_size=4))


@settings(max_examples=200, deadline=None)
@given(packed_corpora(), st.integers(1, 7), st.integers(0, 5))
def test_many_features_over_many_contexts_are_as_each_alone(corpus, length, n_top):
    runs, context_length, features = corpus
    if not runs:
        return
    found = fast_of_all(features, runs, length, n_top, context_length)
    for activations, by_criterion in zip(features, found, strict=True):
        for criterion in CRITERIA:
            assert by_criterion[criterion] == brute_force(activations, runs, criterion, length, n_top)


@pytest.mark.parametrize("frequency", [0.002, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("values", ["tied", "continuous", "wide"])
def test_seldom_and_frequent_features_of_a_long_corpus_are_as_by_brute_force(frequency, values):
    generator = np.random.default_rng(0)
    runs = [
        run
        for start in range(0, 4800, 64)
        for cut in [int(generator.integers(1, 63))]
        for run in [(start + 1, cut), (start + 1 + cut, 63 - cut)]
        if run[1]
    ]
    inside = np.concatenate([np.arange(start, start + n_tokens) for start, n_tokens in runs])
    token = inside[generator.random(len(inside)) < frequency]
    value = {
        "tied": generator.integers(1, 4, size=len(token)).astype(float),
        "continuous": generator.exponential(size=len(token)) + 1e-6,
        "wide": 2.0 ** generator.uniform(-100, 100, size=len(token)),
    }[values].astype(np.float32)
    activations = dict(zip(token.tolist(), value.tolist(), strict=True))
    found = fast_of_all([activations], runs, 20, 6, 64)[0]
    for criterion in CRITERIA:
        assert found[criterion] == brute_force(activations, runs, criterion, 20, 6)


RUNS = [(1, 3), (6, 2)]


def test_what_is_found_says_where_it_lies():
    best = best_windows(
        index_of([{1: 1.0, 3: 2.0, 7: 4.0}], 8, 8),
        [0],
        Runs(*np.array(RUNS).T),
        length=2,
        min_length=1,
        n_top=2,
    )
    assert best.start[0, 2].tolist() == [6, 2]
    assert (best.run_start[0, 2].tolist(), best.run_stop[0, 2].tolist()) == ([6, 1], [8, 4])
    assert (best.first[0, 2].tolist(), best.stop[0, 2].tolist()) == ([2, 1], [3, 2])


@pytest.mark.parametrize("token", [0, 4, 5, 8])
def test_activations_outside_every_run_are_refused(token):
    with pytest.raises(KindredError, match="at 1 special positions"):
        fast({2: 1.0, token: 1.0}, RUNS, "max", 2, 1)


def test_activations_outside_every_run_are_counted_though_no_window_is_near():
    index = index_of([{0: 1e-3, 1: 1.0, 2: 2.0, 4: 1e-3}], 8, 8)
    refuse_outside(index_of([{1: 1.0, 7: 1.0}], 8, 8), [0], Runs(*np.array(RUNS).T))
    with pytest.raises(KindredError, match="at 2 special positions"):
        refuse_outside(index, [0], Runs(*np.array(RUNS).T))


def test_token_indices_may_be_of_64_bits():
    narrow = index_of([{1: 1.0, 3: 2.0, 7: 4.0}], 8, 8)
    wide = FeatureIndex(1, 1, 8, 8, narrow.offsets, narrow.token.astype(np.int64), narrow.value)
    found = [
        best_windows(index, [0], Runs(*np.array(RUNS).T), length=2, min_length=1, n_top=2)
        for index in (narrow, wide)
    ]
    assert found[0].start.tolist() == found[1].start.tolist()
    assert found[0].mean.tolist() == found[1].mean.tolist()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_only_positive_finite_activations_are_accepted(value):
    with pytest.raises(ValueError, match="positive"):
        fast({1: 1.0, 2: value}, RUNS, "max", 2, 1)


@pytest.mark.parametrize("tokens", [[2, 2], [7, 2], [3, 1]])
def test_tokens_must_ascend(tokens):
    index = index_of([{1: 1.0, 2: 1.0}], 8, 8)
    wrong = FeatureIndex(
        1, 1, 8, 8, index.offsets, np.array(tokens, dtype=np.uint32), np.ones(2, dtype=np.float32)
    )
    with pytest.raises(ValueError, match="ascend"):
        best_windows(wrong, [0], Runs(*np.array(RUNS).T), length=2, min_length=1, n_top=1)


@pytest.mark.parametrize("feature", [-1, 1])
def test_a_feature_that_is_not_there_is_named(feature):
    with pytest.raises(KindredError, match=f"no feature {feature}"):
        best_windows(
            index_of([{1: 1.0}], 8, 8), [feature], Runs(*np.array(RUNS).T), length=2, min_length=1, n_top=1
        )
