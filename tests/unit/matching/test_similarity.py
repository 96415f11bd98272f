import numpy as np
import pytest

from kindred.errors import KindredError
from kindred.matching.similarity import Dictionary, unit_rows


def directions(seed: int, n: int, d_model: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d_model)).astype(np.float32)


def test_unit_rows_survive_scales_at_which_squares_vanish_or_overflow():
    rows = np.array([[3e-30, 4e-30], [3e30, 4e30], [-3, 4]], dtype=np.float32)
    np.testing.assert_allclose(
        unit_rows(rows, sae="a", matrix="decoder"), [[0.6, 0.8], [0.6, 0.8], [-0.6, 0.8]]
    )


@pytest.mark.parametrize(("value", "words"), [(0.0, "zero"), (np.nan, "not finite"), (np.inf, "not finite")])
def test_an_undefined_direction_is_named(value, words):
    rows = directions(0, 6)
    rows[[2, 4]] = value
    with pytest.raises(KindredError, match=rf"'docs-0'.*encoder.*features 2, 4 are {words}"):
        unit_rows(rows, sae="docs-0", matrix="encoder")


def test_a_long_list_of_undefined_directions_is_cut():
    with pytest.raises(KindredError, match="features 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more are zero"):
        unit_rows(np.zeros((13, 4)), sae="a", matrix="decoder")


def test_a_dictionary_whose_parts_do_not_fit_is_refused():
    rows = directions(0, 4)
    with pytest.raises(KindredError, match=r"'x'.*\[4, 5\].*\[5, 4\]"):
        Dictionary("x", rows, rows.T, np.zeros(4, dtype=np.int64))
    with pytest.raises(KindredError, match=r"4 features.*3"):
        Dictionary("x", rows, rows, np.zeros(3, dtype=np.int64))
