import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kindred.explanation.composite import best_scales, composite, is_self_explainable, min_max_normalised

SHAPE = (3, 6)
CURVES = arrays(np.float32, SHAPE, elements=st.floats(-4, 4, width=32).map(lambda x: round(x, 2)))


def test_composite_of_a_worked_example() -> None:
    similarity = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    entropy = np.array([[4.0, 2.0, 3.0]], dtype=np.float32)
    # Normalised: 0, 1/2, 1 and 1, 0, 1/2.
    np.testing.assert_allclose(composite(similarity, entropy, 0.4), [[-0.6, 0.2, 0.1]], atol=1e-6)


@given(CURVES, st.floats(-2, 2), st.floats(0.1, 5))
def test_normalising_is_blind_to_offset_and_unit(curves: np.ndarray, offset: float, unit: float) -> None:
    normalised = min_max_normalised(curves)
    assert normalised.min() >= 0
    assert normalised.max() <= 1
    shifted = (curves.astype(np.float64) * unit + offset).astype(np.float32)
    spread = np.ptp(curves, axis=1, keepdims=True)
    np.testing.assert_allclose(
        min_max_normalised(shifted), normalised, atol=float(1e-4 / max(spread.min(), 1e-2))
    )


def test_a_flat_curve_says_nothing() -> None:
    flat = np.full((1, 3), 2.5, dtype=np.float32)
    rising = np.array([[0.0, 1.0, 2.0]], dtype=np.float32)
    assert min_max_normalised(flat).tolist() == [[0, 0, 0]]
    assert composite(flat, rising, 0.5).tolist() == [[0, -0.25, -0.5]]


@given(CURVES, CURVES, st.floats(0, 1), st.integers(1, 5))
def test_best_scales_are_the_largest_above_scale_0(
    similarity: np.ndarray, entropy: np.ndarray, alpha: float, n_best: int
) -> None:
    values = composite(similarity, entropy, alpha)
    chosen = best_scales(values, n_best)
    for row, picked in zip(values, chosen, strict=True):
        reference = sorted(range(1, len(row)), key=lambda scale: (-row[scale], scale))[:n_best]
        assert picked.tolist() == reference


def test_a_tie_goes_to_the_smaller_scale_and_scale_0_never_wins() -> None:
    values = np.array([[0.9, 0.1, 0.5, 0.5]], dtype=np.float32)
    assert best_scales(values, 3).tolist() == [[2, 3, 1]]


def test_differences_of_floating_point_noise_are_ties() -> None:
    similarity = np.array([[0.0, 1.0, 1.0 + 1e-6]], dtype=np.float32)
    values = composite(similarity, np.zeros((1, 3), dtype=np.float32), 1.0)
    assert best_scales(values, 1).tolist() == [[1]]


def test_failure_looks_at_raw_similarity_above_scale_0() -> None:
    similarity = np.array([[0.9, 0.05, 0.09], [0.0, 0.1, 0.0], [-0.9, -0.5, -0.2]], dtype=np.float32)
    assert is_self_explainable(similarity, 0.1).tolist() == [False, True, False]
