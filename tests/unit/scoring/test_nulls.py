import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.scoring.nulls import derangements, permuted_null, random_passage
from kindred.windows.runs import Runs


@given(st.integers(2, 12), st.integers(0, 5), st.integers(0, 99))
def test_nothing_stays_in_its_place(n, n_permutations, seed):
    orders = derangements(n, n_permutations, np.random.default_rng(seed))
    assert orders.shape == (n_permutations, n)
    assert (np.sort(orders, axis=1) == np.arange(n)).all()
    assert (orders != np.arange(n)).all()


def test_every_derangement_is_as_likely():
    orders = derangements(4, 9000, np.random.default_rng(0))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 9
    assert counts.min() > 880


def test_one_feature_has_no_derangement():
    with pytest.raises(ValueError, match="single"):
        derangements(1, 3, np.random.default_rng(0))


def test_null_is_of_other_features_explanations_of_the_same_kind():
    features = np.array([3, 8, 9])
    rows = pd.DataFrame(
        [(3, "self", 0), (3, "lens", 0), (8, "self", 0), (8, "lens", 0), (9, "self", 0)],
        columns=["feature", "method", "rank"],
    )
    # Tens tell the explanation's row, units the feature whose contexts it is scored on.
    scores = np.array([[10 * row + place for place in range(3)] for row in range(5)], dtype=float)
    scores[4] = np.nan  # an empty explanation
    orders = np.array([[1, 2, 0], [2, 0, 1]])
    null = permuted_null(rows, features, scores, orders, 0.5)
    assert null[0].tolist() == [20, 20, 20]  # feature 9's is empty, so 8's alone
    assert null[1].tolist() == [30, 30, 30]  # 9 has no such method
    assert null[2].tolist() == [1, 1, 1]
    assert null[3].tolist() == [11, 11, 11]
    assert null[4].tolist() == [(22 + 2) / 2, 2 + 20 / 4, 2 + 3 * 20 / 4]


def test_passages_are_drawn_evenly_from_all_places():
    runs = Runs(np.array([1, 10, 20]), np.array([3, 2, 5]))
    generator = np.random.default_rng(0)
    drawn = [random_passage(runs, np.cumsum(runs.length), 3, generator) for _ in range(2000)]
    assert {length for _, _, length in drawn} == {3}
    places, counts = np.unique([(run, offset) for run, offset, _ in drawn], axis=0, return_counts=True)
    assert places.tolist() == [[0, 0], [2, 0], [2, 1], [2, 2]]
    assert counts.min() > 430
    assert random_passage(runs, np.cumsum(runs.length), 50, generator) == (2, 0, 5)


def test_a_passage_one_token_longer_mostly_begins_at_the_same_place():
    runs = Runs(np.arange(200) * 60, np.full(200, 50))
    drawn = [
        [random_passage(runs, np.cumsum(runs.length), n, np.random.default_rng(seed)) for n in (10, 11)]
        for seed in range(500)
    ]
    same = [short[:2] == long[:2] for short, long in drawn]
    # It begins elsewhere only where the shorter one ends with its run: 1 of 41 places.
    assert 0.95 < np.mean(same) < 1
    assert all(short[1] == 40 for (short, _), equal in zip(drawn, same, strict=True) if not equal)


def test_a_passage_that_fits_in_one_place_is_found():
    runs = Runs(np.array([0, 3000]), np.array([2000, 2001]))
    assert random_passage(runs, np.cumsum(runs.length), 2001, np.random.default_rng(0)) == (1, 0, 2001)
