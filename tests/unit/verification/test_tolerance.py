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
    assert "0.01 for scores and nulls, 1 for counts" in str(STATED)


def test_scores_have_a_tolerance_of_their_own_and_measured_counts_a_relative_one():
    for column in (
        "auroc",
        "auroc_left",
        "null_permuted_high",
        "seeds.median_auroc_best",
        "eleuthers",
        "p_value",
    ):
        assert STATED.of(column).agree(0.50, 0.51)
        assert not STATED.of(column).agree(0.50, 0.52)
    for column in ("similarity", "firing_rate", "agreement", "windows.mean.acts", "best_scale"):
        assert not STATED.of(column).agree(0.50, 0.51)
    assert STATED.of("n_tokens_active").agree(9000, 9001)
    assert STATED.of("n_tokens_active").agree(90, 91)
    assert not STATED.of("n_tokens_active").agree(90, 92)
    assert not STATED.of("feature").integers
