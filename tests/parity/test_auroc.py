"""AUROC against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from kindred.scoring.auroc import auroc

sizes = st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))


@given(
    sizes.flatmap(
        lambda n: arrays(np.float32, (n[0], n[1] + n[2]), elements=st.floats(-1, 1, width=16)).map(
            lambda scores: (scores[:, : n[1]], scores[:, n[1] :])
        )
    )
)
def test_equals_scikit_learn(drawn):
    positive, negative = drawn
    labels = np.repeat([1, 0], [positive.shape[1], negative.shape[1]])
    expected = [roc_auc_score(labels, row) for row in np.concatenate(drawn, axis=1)]
    assert auroc(positive, negative) == pytest.approx(expected, abs=1e-12)
