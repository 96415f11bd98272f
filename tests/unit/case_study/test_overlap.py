from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kindred.case_study import overlap
from kindred.case_study.overlap import activation_correlation, context_jaccard
from kindred.errors import KindredError

activations = arrays(np.float32, (24, 2), elements=st.sampled_from([0, 0, 0, 0.5, 1, 2.5]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(activations, st.sampled_from([1, 3, 100]))
def test_equal_to_the_dense_definitions(make_index, dense, n_entries):
    dense[::6] = 0  # a special position at the start of each context
    inside = np.arange(24) % 6 != 0
    left, right = make_index(dense[:, :1], 6, 20), make_index(dense[:, 1:], 6, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "BLOCK_ENTRIES", n_entries)
        found, jaccard = activation_correlation(left, right, (0, 0)), context_jaccard(left, right, (0, 0))
    a, b = dense[inside].T.astype(float)
    if a.std() == 0 or b.std() == 0:
        assert found is None
    else:
        assert found == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)
    fires = (dense.reshape(4, 6, 2) > 0).any(axis=1)
    either = fires.any(axis=1).sum()
    expected = fires.all(axis=1).sum() / either if either else 0
    assert jaccard == pytest.approx(expected)


def test_a_feature_agrees_with_itself(sides):
    assert context_jaccard(sides.left.index, sides.left.index, (4, 4)) == 1
    assert activation_correlation(sides.left.index, sides.left.index, (4, 4)) == pytest.approx(1)


@pytest.mark.parametrize("measure", [context_jaccard, activation_correlation])
def test_two_corpora_are_refused(sides, measure):
    other = replace(sides.right.index, n_tokens=sides.right.index.n_tokens + 1)
    with pytest.raises(KindredError, match="different corpora"):
        measure(sides.left.index, other, (1, 1))
