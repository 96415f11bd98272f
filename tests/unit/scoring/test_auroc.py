import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kindred.scoring.auroc import auroc, auroc_interval, delong_variance


def naive(positive, negative):
    """AUROC and DeLong's variance by all pairs."""
    order = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    above, below = order.mean(axis=1), order.mean(axis=0)
    variance = above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative)
    return order.mean(), variance


# Few different values, so that ties are common.
scores = st.integers(2, 25).flatmap(
    lambda n: arrays(np.float32, n, elements=st.sampled_from([-1, 0, 0.25, 0.5, 1]))
)


@given(scores, scores)
def test_area_and_variance_are_those_of_all_pairs(positive, negative):
    area, variance = naive(positive, negative)
    assert auroc(positive[None], negative[None])[0] == pytest.approx(area, abs=1e-12)
    assert delong_variance(positive[None], negative[None])[0] == pytest.approx(variance, abs=1e-12)


@given(scores, scores)
def test_order_reversed_mirrors_area_and_interval(positive, negative):
    straight = auroc_interval(positive[None], negative[None], 0.95)
    mirrored = auroc_interval(-positive[None], -negative[None], 0.95)
    assert mirrored.auroc[0] == pytest.approx(1 - straight.auroc[0])
    assert mirrored.low[0] == pytest.approx(1 - straight.high[0])
    assert mirrored.high[0] == pytest.approx(1 - straight.low[0])
    assert 0 <= straight.low[0] <= straight.auroc[0] + 1e-12
    assert straight.auroc[0] - 1e-12 <= straight.high[0] <= 1


def test_interval_is_of_the_logit():
    generator = np.random.default_rng(0)
    positive, negative = generator.normal(0.7, 1, (1, 60)), generator.normal(0, 1, (1, 80))
    found = auroc_interval(positive, negative, 0.9)
    area, variance = naive(positive[0], negative[0])
    half = 1.6448536269514722 * np.sqrt(variance) / (area * (1 - area))
    centre = np.log(area / (1 - area))
    assert found.low[0] == pytest.approx(1 / (1 + np.exp(half - centre)))
    assert found.high[0] == pytest.approx(1 / (1 + np.exp(-half - centre)))


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_interval_holds_its_level(shift):
    from scipy.stats import norm

    generator = np.random.default_rng(1)
    n_trials = 3000
    positive, negative = generator.normal(shift, 1, (n_trials, 50)), generator.normal(0, 1, (n_trials, 50))
    found = auroc_interval(positive, negative, 0.95)
    truth = norm.cdf(shift / np.sqrt(2))
    assert 0.93 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.97


def test_perfect_order_has_an_interval_still():
    ones, zeros = np.ones((1, 100)), np.zeros((1, 100))
    best, worst = auroc_interval(ones, zeros, 0.95), auroc_interval(zeros, ones, 0.95)
    assert (best.auroc[0], best.high[0]) == (1, 1)
    assert best.low[0] == pytest.approx(0.025**0.01)
    assert (worst.auroc[0], worst.low[0]) == (0, 0)
    assert worst.high[0] == pytest.approx(1 - 0.025**0.01)


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "defined"), [(0, 5, False), (5, 0, False), (1, 5, True)]
)
def test_too_few_contexts_give_no_number(n_positive, n_negative, defined):
    found = auroc_interval(
        np.ones((2, n_positive)), np.arange(n_negative, dtype=float)[None].repeat(2, 0), 0.95
    )
    assert np.isnan(found.auroc).tolist() == [not defined] * 2
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
