"""The matching against SciPy's and scikit-learn's own figures on the dense matrix."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kindred.matching.pairing import match_features
from kindred.matching.similarity import Dictionary


@pytest.mark.parametrize(("n_left", "n_right"), [(200, 200), (150, 220), (220, 150)])
@pytest.mark.parametrize("similarity", ["decoder", "encoder", "both"])
def test_pairs_and_similarities_are_those_of_scipy(n_left, n_right, similarity):
    generator = np.random.default_rng(7)
    base = generator.normal(size=(220, 32))
    sides = []
    for n in (n_left, n_right):
        decoder, encoder = (base[:n] + generator.normal(size=(n, 32)) * s for s in (0.5, 1.0))
        sides.append((decoder.astype(np.float32), encoder.astype(np.float32)))
    cosines = {
        kind: 1 - cdist(sides[0][index].astype(float), sides[1][index].astype(float), "cosine")
        for index, kind in enumerate(("decoder", "encoder"))
    }
    cosines["both"] = (cosines["decoder"] + cosines["encoder"]) / 2
    rows, columns = linear_sum_assignment(cosines[similarity], maximize=True)
    left, right = (
        Dictionary(name, *side, np.ones(len(side[0]))) for name, side in zip("ab", sides, strict=True)
    )
    matching = match_features(
        left,
        right,
        similarity=similarity,
        threshold=0.7,
        n_best=1,
        n_worst=1,
        n_control=1,
        min_contexts=1,
        generator=generator,
    )
    assert matching.left.tolist() == rows.tolist()
    assert matching.right.tolist() == columns.tolist()
    np.testing.assert_allclose(matching.similarity, cosines[similarity][rows, columns], rtol=1e-5, atol=1e-7)
    assert matching.ratios["shared_feature_ratio"] == np.mean(cosines["decoder"][rows, columns] > 0.7)
    assert matching.ratios["top1_ratio_left"] == np.mean(cosines["decoder"].max(axis=1) > 0.7)
    assert matching.ratios["top1_ratio_right"] == np.mean(cosines["decoder"].max(axis=0) > 0.7)
    by_decoder = dict(zip(*linear_sum_assignment(cosines["decoder"], maximize=True), strict=True))
    by_encoder = dict(zip(*linear_sum_assignment(cosines["encoder"], maximize=True), strict=True))
    shared = [
        by_encoder.get(i) == j and min(cosines["decoder"][i, j], cosines["encoder"][i, j]) > 0.7
        for i, j in by_decoder.items()
    ]
    assert matching.ratios["shared_feature_ratio_two_sided"] == np.mean(shared)
