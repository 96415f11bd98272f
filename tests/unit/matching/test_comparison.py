import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.matching import comparison
from kindred.matching.comparison import Comparison, Pairs, masked, products, scanned
from kindred.matching.similarity import unit_rows


def unit(seed: int, n: int, d: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return unit_rows(rows, sae="a", matrix="decoder")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.floats(0.02, 1.2), st.floats(0.02, 1.2))
def test_pairs_above_a_threshold_are_exactly_those_of_the_dense_matrix(
    dtype, n_rows, n_columns, d, lower, upper
):
    rows, columns = unit(1, n_rows, d), unit(2, n_columns, d)
    columns[0] = rows[0]  # a similarity of one
    generator = np.random.default_rng(3)
    of_row = generator.choice([lower, upper], n_rows)
    of_column = generator.choice([lower, upper], n_columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "TILE_ROWS", 7)
        patch.setattr(comparison, "TILE_COLUMNS", 11)
        patch.setattr(comparison, "_fast_dtype", lambda *_: dtype)
        found = Pairs.joined(list(Comparison(rows, columns).above(of_row, of_column)))
    every = np.indices((n_rows, n_columns)).reshape(2, -1)
    similarity = products(rows, columns, *every).reshape(n_rows, n_columns)
    expected = np.nonzero((similarity > of_row[:, None]) | (similarity > of_column))
    order = np.lexsort((found.column, found.row))
    np.testing.assert_array_equal(found.row[order], expected[0])
    np.testing.assert_array_equal(found.column[order], expected[1])
    np.testing.assert_array_equal(found.similarity[order], similarity[expected])


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 25), st.booleans())
def test_the_best_columns_of_a_row_are_those_of_the_largest_margins_and_ties_go_to_the_lower(
    n_rows, n_columns, n_best, alike
):
    rows, columns = unit(1, n_rows, 4), unit(2, n_columns, 4)
    if alike:
        columns[:] = columns[0]
    prices = np.random.default_rng(0).choice([0.0, 0.25, 3.0], n_columns)
    chosen = np.arange(0, n_rows, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "TILE_ROWS", 3)
        patch.setattr(comparison, "TILE_COLUMNS", 8)
        pairs, bounds = Comparison(rows, columns).best_of(chosen, prices, n_best)
    every = np.indices((n_rows, n_columns)).reshape(2, -1)
    margins = products(rows, columns, *every).reshape(n_rows, n_columns) - prices
    for row, bound in zip(chosen, bounds, strict=True):
        expected = np.argsort(-margins[row], kind="stable")[:n_best]
        assert pairs.column[pairs.row == row].tolist() == expected.tolist()
        others = np.delete(margins[row], expected)
        assert bound >= others.max(initial=-np.inf)
        assert bound == (margins[row, expected[-1]] if len(others) else -np.inf)


def test_products_do_not_depend_on_the_other_pairs():
    rows, columns = unit(1, 50, 37), unit(2, 60, 37)
    every = np.indices((50, 60)).reshape(2, -1)
    whole = products(rows, columns, *every)
    for part in np.array_split(np.random.default_rng(0).permutation(len(whole)), 7):
        np.testing.assert_array_equal(products(rows, columns, every[0][part], every[1][part]), whole[part])
    np.testing.assert_allclose(whole, (rows @ columns.T).reshape(-1), atol=1e-15)


def test_transposing_exchanges_the_sides():
    rows, columns = unit(1, 5, 3), unit(2, 4, 3)
    turned = Comparison(rows, columns).transposed()
    assert turned.shape == (4, 5)
    np.testing.assert_allclose(turned.exact(np.array([3]), np.array([1])), columns[3] @ rows[1], rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_s_mask_and_the_compiled_scan_find_the_same_places(dtype):
    generator = torch.Generator().manual_seed(0)
    tile = (torch.rand(60, 90, generator=generator) - 0.5).to(dtype)
    of_row, of_column = (
        # Numbers that bfloat16 holds, so that nothing lies between a threshold and its rounding.
        torch.rand(n, generator=generator).to(torch.bfloat16).float().numpy()
        for n in (60, 90)
    )
    for one, other in zip(scanned(tile, of_row, of_column), masked(tile, of_row, of_column), strict=True):
        assert len(one) > 100
        np.testing.assert_array_equal(one, other)
