from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kindred.windows.search import exact_sum

POSITIVE = st.floats(min_value=2.0**-149, max_value=2.0**127, width=32)


@settings(deadline=None)
@given(st.lists(POSITIVE, max_size=12))
@example([2.0**-149, 2.0**127])
@example([2.0**-149] * 3)
@example([1.0, 2.0**-53])
@example([1.0, 2.0**-53, 2.0**-149])
@example([1.0, 2.0**-52, 2.0**-53])
@example([float(np.float32(2.0**100) * np.float32(1 - 2.0**-24)), 2.0**46, 2.0**-149])
def test_a_sum_is_exact_and_rounded_once_whatever_the_range(values):
    assert exact_sum(np.array(values, dtype=np.float32), 0, len(values)) == float(sum(map(Fraction, values)))


def test_a_sum_does_not_hang_on_the_order_of_its_terms():
    values = np.array([2.0**-40] * 3 + [1.0] + [2.0**-100] * 2, dtype=np.float32)
    sums = {exact_sum(np.roll(values, turn), 0, len(values)) for turn in range(len(values))}
    assert sums == {1 + 3 * 2.0**-40}


@pytest.mark.parametrize("n", [1 << 10, 1 << 16])
def test_many_terms_of_unlike_size_are_summed_exactly(n):
    values = np.full(n, 2.0**127, dtype=np.float32)
    values[::2] = 1 + 2.0**-23
    assert exact_sum(values, 0, n) == float(sum(map(Fraction, values.tolist())))
    assert exact_sum(values, 0, 1) == values[0]
