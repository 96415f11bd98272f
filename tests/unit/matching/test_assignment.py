from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kindred.matching.assignment import assign, lowest_indices, mean_cosines
from kindred.matching.similarity import unit_rows


def unit(seed: int, n: int, d_model: int = 4) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d_model))
    return unit_rows(rows, sae="a", matrix="decoder")


def largest_total(similarity: np.ndarray) -> float:
    if similarity.shape[0] > similarity.shape[1]:
        similarity = similarity.T
    rows = range(similarity.shape[0])
    return max(
        sum(similarity[rows, list(chosen)]) for chosen in permutations(range(similarity.shape[1]), len(rows))
    )


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000), st.booleans())
def test_the_total_is_the_largest_of_all_matchings(n_left, n_right, seed, both):
    left = [unit(seed + kind, n_left) for kind in range(1 + both)]
    right = [unit(seed + 50 + kind, n_right) for kind in range(1 + both)]
    similarity = np.mean([rows @ columns.T for rows, columns in zip(left, right, strict=True)], axis=0)
    chosen_left, chosen_right = assign(left, right)
    assert len(chosen_left) == len(set(chosen_right.tolist())) == min(n_left, n_right)
    assert (np.diff(chosen_left) > 0).all()
    np.testing.assert_allclose(similarity[chosen_left, chosen_right].sum(), largest_total(similarity))
    np.testing.assert_allclose(mean_cosines(left, right), similarity, atol=1e-12)


@given(st.permutations(range(8)), st.integers(0, 100))
def test_a_permuted_dictionary_is_found_again(permutation, seed):
    left = unit(seed, 8)
    right = left[permutation]
    chosen_left, chosen_right = assign([left], [right])
    assert chosen_left.tolist() == list(range(8))
    assert [permutation[j] for j in chosen_right] == list(range(8))


def test_among_identical_directions_the_lower_indices_are_matched_in_order():
    first, second = np.eye(4)[:2]
    left = np.stack([second, first, first, first, second])
    right = np.stack([first, second, first])
    chosen_left, chosen_right = assign([left], [right])
    assert chosen_left.tolist() == [0, 1, 2]
    assert chosen_right.tolist() == [1, 0, 2]


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
