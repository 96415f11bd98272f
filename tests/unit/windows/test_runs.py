from itertools import chain, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus.packing import PackedContexts
from kindred.windows.runs import find_runs


def contexts_of(document: np.ndarray) -> PackedContexts:
    document = np.asarray(document, dtype=np.int32)
    return PackedContexts(np.zeros_like(document), document < 0, document)


def test_runs_end_at_special_positions_documents_and_contexts():
    runs = find_runs(contexts_of([[-1, 0, 0, 1, -1, 1], [1, 1, -1, -1, 2, 2]]))
    assert runs.start.tolist() == [1, 3, 5, 6, 10]
    assert runs.length.tolist() == [2, 1, 1, 2, 2]


@given(st.lists(st.lists(st.integers(-1, 1), min_size=5, max_size=5), min_size=1, max_size=4))
def test_runs_hold_each_token_once_and_are_maximal(rows):
    contexts = contexts_of(rows)
    runs = find_runs(contexts)
    document = contexts.document.ravel()
    covered = [
        list(range(start, start + length)) for start, length in zip(runs.start, runs.length, strict=True)
    ]
    assert list(chain.from_iterable(covered)) == np.flatnonzero(document >= 0).tolist()
    for tokens in covered:
        assert len({(token // 5, document[token]) for token in tokens}) == 1
    for one, other in pairwise(covered):
        joined = one[-1] + 1 == other[0]
        assert not joined or other[0] % 5 == 0 or document[one[-1]] != document[other[0]]
