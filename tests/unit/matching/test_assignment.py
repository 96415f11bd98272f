from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kindred.matching import comparison
from kindred.matching.assignment import Assignment, assign, lowest_indices
from kindred.matching.similarity import unit_rows


def unit(rows: np.ndarray) -> np.ndarray:
    return unit_rows(rows, sae="a", matrix="decoder")


def random(generator: np.random.Generator, n: int, d_model: int) -> np.ndarray:
    return unit(generator.normal(size=(n, d_model)))


def dictionaries(kind: str, n: int, d_model: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two dictionaries that are hard in one way each."""
    generator = np.random.default_rng(seed)
    left, other = random(generator, n, d_model), random(generator, n, d_model)
    order = generator.permutation(n)
    few = max(1, n // 8)
    return {
        "unrelated": (left, other),
        "noised permutation": (left, unit(left + 0.5 * other)[order]),
        "half shared": (
            left,
            np.concatenate([unit(left[: n // 2] + 0.3 * other[: n // 2]), other[n // 2 :]]),
        ),
        "fewer on the left": (left[: n - n // 3], other),
        "fewer on the right": (left, other[: n - n // 3]),
        "one on the left": (left[:1], other),
        "duplicates on both sides": (
            left[generator.integers(0, few, n)],
            other[generator.integers(0, few, n)],
        ),
        "all alike on the left": (np.repeat(left[:1], n, axis=0), other),
        "all alike": (np.repeat(left[:1], n, axis=0), np.repeat(left[:1], n, axis=0)),
        "opposite": (unit(np.abs(left)), unit(-np.abs(other))),
        "few dimensions": (
            unit(left[:, :2] @ np.ones((2, d_model))),
            unit(other[:, :2] @ np.ones((2, d_model))),
        ),
        "all want the same": (unit(left * 0.1 + other[0]), unit(np.concatenate([other[:1], -other[1:]]))),
        "axes and their negatives": (
            np.eye(d_model)[generator.integers(0, d_model, n)],
            -np.eye(d_model)[generator.integers(0, d_model, n)],
        ),
    }[kind]


KINDS = [
    "unrelated",
    "noised permutation",
    "half shared",
    "fewer on the left",
    "fewer on the right",
    "one on the left",
    "duplicates on both sides",
    "all alike on the left",
    "all alike",
    "opposite",
    "few dimensions",
    "all want the same",
    "axes and their negatives",
]


def check(assignment: Assignment, left: np.ndarray, right: np.ndarray) -> None:
    """That it is a matching, as good as SciPy's, and that its prices prove so without any trust in the search."""
    similarity = left @ right.T
    n = min(similarity.shape)
    assert len(assignment.left) == len(set(assignment.right.tolist())) == n
    assert (np.diff(assignment.left) > 0).all()
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    largest = similarity[rows, columns].sum()
    assert assignment.total == pytest.approx(largest, abs=1e-9)
    assert similarity[assignment.left, assignment.right].sum() == pytest.approx(largest, abs=1e-9)
    assert 0 <= assignment.gap < 1e-9
    prices = assignment.price_left[:, None] + assignment.price_right
    assert (prices - similarity).min() > -1e-9
    unmatched = (
        np.setdiff1d(np.arange(len(right)), assignment.right),
        np.setdiff1d(np.arange(len(left)), assignment.left),
    )
    dual = assignment.price_left.sum() + assignment.price_right.sum()
    assert dual == pytest.approx(largest, abs=1e-9)
    if len(left) < len(right):
        assert (assignment.price_right >= 0).all()
        assert not assignment.price_right[unmatched[0]].any()
    if len(left) > len(right):
        assert (assignment.price_left >= 0).all()
        assert not assignment.price_left[unmatched[1]].any()
    np.testing.assert_allclose(assignment.nearest_left, similarity.max(axis=1), atol=1e-12)
    np.testing.assert_allclose(assignment.nearest_right, similarity.max(axis=0), atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(KINDS), st.integers(1, 90), st.integers(2, 12), st.integers(0, 1000))
def test_the_total_is_that_of_scipy_and_the_prices_prove_it(kind, n, d_model, seed):
    left, right = dictionaries(kind, n, d_model, seed)
    check(assign(left, right), left, right)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_matrix_at_a_size_where_most_pairs_are_no_candidates(kind):
    left, right = dictionaries(kind, 700, 48, seed=3)
    check(assign(left, right), left, right)


def test_the_result_is_the_same_in_any_precision_and_number_of_threads(monkeypatch):
    left, right = dictionaries("half shared", 1000, 64, seed=1)
    wanted = assign(left, right)
    monkeypatch.setattr(comparison, "TILE_ROWS", 300)
    monkeypatch.setattr(comparison, "TILE_COLUMNS", 170)
    threads = torch.get_num_threads()
    for dtype, n_threads in ((torch.float32, 3), (torch.bfloat16, 2)):
        monkeypatch.setattr(comparison, "_fast_dtype", lambda *_, dtype=dtype: dtype)
        torch.set_num_threads(n_threads)
        try:
            found = assign(left, right)
        finally:
            torch.set_num_threads(threads)
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@given(st.permutations(range(8)), st.integers(0, 100))
def test_a_permuted_dictionary_is_found_again(permutation, seed):
    left = random(np.random.default_rng(seed), 8, 4)
    assignment = assign(left, left[permutation])
    assert assignment.left.tolist() == list(range(8))
    assert [permutation[j] for j in assignment.right] == list(range(8))


def test_among_identical_directions_the_lower_indices_are_matched_in_order():
    first, second = np.eye(4)[:2]
    left = np.stack([second, first, first, first, second])
    right = np.stack([first, second, first])
    assignment = assign(left, right)
    assert assignment.left.tolist() == [0, 1, 2]
    assert assignment.right.tolist() == [1, 0, 2]


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.data(),
)
def test_the_lowest_form_is_the_first_of_all_equivalent_matchings(left_class, right_class, data):
    n = min(len(left_class), len(right_class))
    left = data.draw(st.permutations(range(len(left_class))))[:n]
    right = data.draw(st.permutations(range(len(right_class))))[:n]

    def joins(pairs):
        return sorted((left_class[i], right_class[j]) for i, j in pairs)

    wanted = joins(zip(left, right, strict=True))
    equivalent = [
        sorted(zip(lefts, rights, strict=True))
        for lefts in permutations(range(len(left_class)), n)
        for rights in permutations(range(len(right_class)), n)
        if joins(zip(lefts, rights, strict=True)) == wanted
    ]
    found = lowest_indices(
        *(np.array(item, dtype=np.int64) for item in (left, right, left_class, right_class))
    )
    assert list(zip(*(side.tolist() for side in found), strict=True)) == min(equivalent)
