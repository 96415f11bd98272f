from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.verification.tolerance import EXACT, STATED, Tolerance

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(deadline=None, max_examples=60)
@given(numbers, numbers)
def test_agreement_is_symmetric_and_includes_equality(one, other):
    assert STATED.agree(one, other) == STATED.agree(other, one)
    assert STATED.agree(one, one)
    assert EXACT.agree(one, other) == (one == other)


def test_either_bound_suffices_and_nan_agrees_with_nothing():
    assert Tolerance(relative=0.1, absolute=0.0).agree(10, 11)
    assert Tolerance(relative=0.0, absolute=1.0).agree(10, 11)
    assert not Tolerance(relative=0.05, absolute=0.5).agree(10, 11)
    assert not STATED.agree(float("nan"), float("nan"))
    assert str(STATED) == "relative 0.001 or absolute 0.0001; texts and counts exactly"
