import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.scoring import chunks as module
from kindred.scoring.chunks import chunk_activations, cut_chunks


@st.composite
def corpora(draw):
    """Contexts of random documents (-1: special)."""
    n_positions = draw(st.integers(2, 12))
    rows = draw(
        st.lists(
            st.lists(st.integers(-1, 2), min_size=n_positions, max_size=n_positions), min_size=1, max_size=6
        )
    )
    document = np.array(rows, dtype=np.int32)
    tokens = np.arange(document.size, dtype=np.int32).reshape(document.shape)
    return PackedContexts(tokens, document < 0, document)


def every(chunks):
    """Start, length, start and length of the run, of all chunks."""
    lie = chunks.at(np.arange(len(chunks)))
    return lie.start, lie.length, lie.run_start, lie.run_length


@given(corpora(), st.integers(1, 6))
def test_chunks_hold_whole_passages_of_one_document(contexts, length):
    try:
        chunks = cut_chunks(contexts, length)
    except KindredError:
        chunks = None
    document, n_positions = contexts.document.ravel(), contexts.document.shape[1]
    covered = np.zeros(document.size, dtype=int)
    for start, n, run_start, run_length in zip(*every(chunks), strict=True) if chunks else []:
        tokens = np.arange(start, start + n)
        assert len(set(document[tokens])) == 1
        assert document[start] >= 0
        assert len(set(tokens // n_positions)) == 1
        assert (length + 1) // 2 <= n <= length
        assert run_start <= start
        assert start + n <= run_start + run_length
        assert (start - run_start) % length == 0
        covered[tokens] += 1
    assert covered.max(initial=0) <= 1
    # What is left out is in stretches shorter than half a chunk.
    left_out, stretch = (covered == 0) & (document >= 0), 0
    for token in range(document.size):
        same = token % n_positions and document[token] == document[token - 1] and left_out[token - 1]
        stretch = (stretch + 1 if same else 1) if left_out[token] else 0
        assert stretch < (length + 1) // 2


@given(corpora(), st.integers(1, 6), st.data())
def test_activations_are_the_largest_of_each_chunk(contexts, length, data):
    try:
        chunks = cut_chunks(contexts, length)
    except KindredError:
        return
    inside = np.flatnonzero(~contexts.is_special.ravel())
    acts = np.zeros(contexts.tokens.size, dtype=np.float32)
    for token in data.draw(st.lists(st.sampled_from(inside.tolist()), unique=True)):
        acts[token] = data.draw(st.floats(0.5, 8, width=32))
    token = np.flatnonzero(acts).astype(np.uint32)
    n_entries = data.draw(st.sampled_from([1, 2, 100]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ENTRIES", n_entries)
        chunk, value = chunk_activations(chunks, token, acts[token])
    best = [acts[start : start + n].max() for start, n in zip(*every(chunks)[:2], strict=True)]
    assert chunk.tolist() == np.flatnonzero(best).tolist()
    assert value.tolist() == [best[place] for place in chunk]


def test_a_length_that_no_document_has_is_refused():
    contexts = PackedContexts(np.zeros((2, 4), np.int32), np.zeros((2, 4), bool), np.zeros((2, 4), np.int32))
    with pytest.raises(KindredError, match=r"scoring.context_length is 100.*50 tokens"):
        cut_chunks(contexts, 100)
