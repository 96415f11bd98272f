import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching, min_weight_full_bipartite_matching

from kindred.matching.candidates import Candidates
from kindred.matching.comparison import Pairs
from kindred.matching.sparse_assignment import UNASSIGNED, Prices, settle


def sparse(seed: int, n_rows: int, n_columns: int, share: float, values: int) -> np.ndarray:
    """Similarities with many ties, and nan where a pair is no candidate."""
    generator = np.random.default_rng(seed)
    dense = generator.integers(1, values + 1, (n_rows, n_columns)) / values
    dense[generator.random(dense.shape) > share] = np.nan
    return dense


def candidates(dense: np.ndarray) -> Candidates:
    row, column = np.nonzero(~np.isnan(dense))
    return Candidates.of_pairs(Pairs(row, column, dense[row, column]), dense.shape)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 10**6),
    st.integers(1, 14),
    st.integers(0, 5),
    st.floats(0.1, 1.0),
    st.sampled_from([2, 9, 10**6]),
)
def test_as_many_rows_as_can_be_are_matched_at_the_largest_total_and_the_prices_prove_it(
    seed, n_rows, more, share, values
):
    dense = sparse(seed, n_rows, n_rows + more, share, values)
    prices = Prices.none_yet(*dense.shape)
    n_stranded = settle(candidates(dense), prices)
    matched = np.flatnonzero(prices.column_of != UNASSIGNED)
    graph = csr_array(~np.isnan(dense))
    assert n_stranded == n_rows - (maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()
    assert len(matched) == n_rows - n_stranded
    assert prices.row_of[prices.column_of[matched]].tolist() == matched.tolist()
    margins = prices.of_row[:, None] + prices.of_column - dense
    assert np.nanmin(margins, initial=0.0) > -1e-12
    np.testing.assert_allclose(margins[matched, prices.column_of[matched]], 0, atol=1e-12)
    assert not prices.of_column[prices.row_of == UNASSIGNED].any()
    if not n_stranded:
        costs = csr_array(np.where(np.isnan(dense), 0.0, 2.0 - dense))
        rows, columns = min_weight_full_bipartite_matching(costs)
        np.testing.assert_allclose(
            dense[matched, prices.column_of[matched]].sum(), dense[rows, columns].sum(), atol=1e-12
        )


def test_a_row_that_cannot_be_matched_and_its_rivals_end_with_prices_that_call_for_others():
    dense = np.full((3, 3), np.nan)
    dense[:, 0] = [0.5, 0.6, 0.7]
    dense[0, 1] = 0.1
    prices = Prices.none_yet(3, 3)
    assert settle(candidates(dense), prices) == 1
    # Whatever similarity between -1 and 1 the missing pairs have, one of the rivals' is worth more than its price.
    assert (prices.of_row[[1, 2]] < -1).all()


def test_prices_are_kept_where_more_candidates_are_added_to_a_square():
    dense = sparse(4, 40, 40, 1.0, 10**6)
    few = np.where(np.arange(40)[:, None] % 8 == np.arange(40) % 8, dense, np.nan)
    prices = Prices.none_yet(40, 40)
    assert settle(candidates(few), prices) == 0
    better = candidates(dense).largest_margins(prices.of_column) > prices.of_row + 1e-12
    assert better.any()
    prices.release(np.flatnonzero(better))
    settle(candidates(dense), prices)
    again = Prices.none_yet(40, 40)
    settle(candidates(dense), again)
    assert prices.column_of.tolist() == again.column_of.tolist()
