import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.saes.selection import Selected, above, largest

WIDTHS = st.sampled_from([3, 40, 128, 257, 700])


def _values(seed: int, n_rows: int, d_sae: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    pre = generator.standard_normal((n_rows, d_sae), dtype=np.float32) + np.float32(generator.normal())
    return pre, generator.standard_normal(d_sae, dtype=np.float32) / 10


def _assert_kept(selected: Selected, acts: NDArray[np.float32], kept: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(selected.counts, kept.sum(axis=1))
    np.testing.assert_array_equal(selected.column, np.nonzero(kept)[1])
    np.testing.assert_array_equal(selected.value, acts[kept])
    assert (selected.column.dtype, selected.value.dtype) == (np.int32, np.float32)


@given(st.integers(0, 10_000), st.integers(0, 5), WIDTHS, st.integers(1, 90), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_largest_are_those_of_a_sort(seed: int, n_rows: int, d_sae: int, k: int, threads: int) -> None:
    """With and without a bound from the classes; whatever the threads."""
    k = min(k, d_sae)
    pre, bias = _values(seed, n_rows, d_sae)
    acts = pre + bias
    least = np.sort(acts, axis=1)[:, d_sae - k][:, None]
    before = pre.copy()
    selected = largest(pre, bias, k, threads)
    assert selected is not None
    _assert_kept(selected, acts, (acts >= least) & (acts > 0))
    np.testing.assert_array_equal(pre, before)


@given(st.integers(0, 10_000), st.integers(0, 5), WIDTHS, st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_above_are_those_that_exceed_their_floor(seed: int, n_rows: int, d_sae: int, threads: int) -> None:
    pre, bias = _values(seed, n_rows, d_sae)
    floor = np.random.default_rng(seed).random(d_sae, dtype=np.float32)
    floor[0] = np.inf
    acts = pre + bias
    _assert_kept(above(pre, bias, floor, threads), acts, acts > floor)


def test_equal_values_are_left_to_the_caller_only_where_they_matter() -> None:
    pre, bias = np.zeros((1, 400), np.float32), np.zeros(400, np.float32)
    pre[0, [3, 70, 200]] = [2, 1, 1]
    assert largest(pre, bias, 2, 1) is None
    selected = largest(pre, bias, 3, 1)
    assert selected is not None  # the fourth would be one of many zeros, which are not kept
    np.testing.assert_array_equal(selected.column, [3, 70, 200])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_kept_for_the_caller_to_refuse(bad: float) -> None:
    pre, bias = _values(0, 3, 400)
    pre[1, 123] = bad
    for selected in (largest(pre, bias, 4, 1), above(pre, bias, np.zeros(400, np.float32), 1)):
        assert selected is not None
        assert np.flatnonzero(~np.isfinite(selected.value)).size == 1
