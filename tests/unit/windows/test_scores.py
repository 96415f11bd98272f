from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.windows.runs import Runs
from kindred.windows.scores import firing, off_centre, windows_of_runs

RUNS = Runs(np.array([1, 6]), np.array([3, 2]))
POSITIVE = st.floats(min_value=2.0**-149, max_value=2.0**127, width=32)


def one_run(values: list[float]) -> tuple[np.ndarray, Runs]:
    return np.array(values, dtype=np.float32), Runs(np.array([7]), np.array([len(values)]))


@given(st.lists(st.one_of(st.just(0.0), POSITIVE), min_size=1, max_size=12), st.integers(1, 6))
def test_means_are_exact_sums_rounded_once_whatever_the_range(values, length):
    dense, runs = one_run(values)
    token = np.flatnonzero(dense)
    windows = windows_of_runs(firing(token + 7, dense[token], runs), runs, np.array([0]), length)
    width = min(length, len(values))
    starts = [s for s in range(len(values) - width + 1) if dense[s : s + width].any()]
    assert (windows.start - 7).tolist() == starts
    inside = [[Fraction(float(value)) for value in dense[s : s + width]] for s in starts]
    assert windows.mean.tolist() == [float(sum(window)) / width for window in inside]
    assert windows.density.tolist() == [sum(value > 0 for value in window) / width for window in inside]
    assert windows.max.tolist() == [float(max(window)) for window in inside]


def test_sums_do_not_hang_on_the_order_of_their_terms():
    values = [1.0, 2.0**-40, 2.0**-40, 1.0, 2.0**-40, 2.0**-40]
    dense, runs = one_run(values)
    windows = windows_of_runs(firing(np.arange(6) + 7, dense, runs), runs, np.array([0]), 3)
    assert windows.mean[0] == windows.mean[1] == windows.mean[3]


def test_a_cumulative_sum_past_64_bits_leaves_the_windows_exact():
    n = 1 << 12
    dense = np.full(n, 2.0**29, dtype=np.float32)
    dense[::2] = 1 + 2.0**-23
    runs = Runs(np.arange(0, n, 4), np.full(n // 4, 4))
    fires = firing(np.arange(n), dense, runs)
    assert fires.cumulative.dtype == np.int64
    assert int(fires.cumulative[-1]) != sum(int(float(value) * 2**fires.scale) for value in dense)
    windows = windows_of_runs(fires, runs, np.arange(n // 4), 4)
    assert set(windows.mean.tolist()) == {(2.0**30 + 2 + 2.0**-22) / 4}


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_only_positive_finite_activations_are_accepted(value):
    with pytest.raises(ValueError, match="positive"):
        firing(np.array([1, 2]), np.array([1.0, value], dtype=np.float32), RUNS)


def test_tokens_must_ascend():
    with pytest.raises(ValueError, match="ascend"):
        firing(np.array([2, 2]), np.ones(2, dtype=np.float32), RUNS)


def test_off_centre_counts_from_the_best_place_the_run_allows():
    dense = np.zeros(10, dtype=np.float32)
    dense[[1, 6]] = 3.0
    token = np.flatnonzero(dense)
    runs = Runs(np.array([0]), np.array([10]))
    fires = firing(token, dense[token], runs)
    windows = windows_of_runs(fires, runs, np.array([0]), 4)
    assert windows.start.tolist() == [0, 1, 3, 4, 5, 6]
    assert off_centre(fires, runs, windows).tolist() == [0, 1, 1, 0, 1, 2]


def test_a_feature_knows_the_runs_it_fires_in():
    fires = firing(np.array([1, 3, 7]), np.ones(3, dtype=np.float32), RUNS)
    assert (fires.run.tolist(), fires.first.tolist(), fires.stop.tolist()) == ([0, 1], [0, 2], [2, 3])


@pytest.mark.parametrize("token", [0, 4, 5, 8])
def test_activations_outside_every_run_are_refused(token):
    tokens = np.array(sorted({2, token}))
    with pytest.raises(KindredError, match="at 1 special positions"):
        firing(tokens, np.ones(2, dtype=np.float32), RUNS)
