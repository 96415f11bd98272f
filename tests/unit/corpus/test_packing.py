import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus.document import Document
from kindred.corpus.packing import NO_DOCUMENT, SpecialTokens, document_hash, pack_documents
from kindred.errors import KindredError

SPECIAL = SpecialTokens(bos=0, eos=1, pad=2)
documents_of_tokens = st.lists(st.lists(st.integers(3, 50), max_size=40), min_size=1, max_size=30).filter(any)


def test_without_packing():
    contexts = pack_documents([[3, 4, 5, 6], [7]], 4, SPECIAL)
    np.testing.assert_array_equal(contexts.tokens, [[0, 3, 4, 5], [0, 6, 2, 2], [0, 7, 2, 2]])
    np.testing.assert_array_equal(contexts.document, [[-1, 0, 0, 0], [-1, 0, -1, -1], [-1, 1, -1, -1]])
    np.testing.assert_array_equal(contexts.is_special, contexts.document == NO_DOCUMENT)
    assert contexts.tokens.dtype == contexts.document.dtype == np.int32
    assert contexts.n_contexts == 3
    assert contexts.n_document_tokens == 5


def test_with_packing_short_documents_fill_the_rest_of_long_ones():
    contexts = pack_documents([[3, 4, 5, 6], [7, 7], [8]], 6, SPECIAL, pack=True)
    np.testing.assert_array_equal(contexts.tokens, [[0, 3, 4, 5, 6, 1], [0, 7, 7, 1, 8, 1]])
    np.testing.assert_array_equal(contexts.document, [[-1, 0, 0, 0, 0, -1], [-1, 1, 1, -1, 2, -1]])


@given(documents_of_tokens, st.integers(2, 20), st.booleans())
def test_every_token_stands_once_and_in_order(documents, length, pack):
    contexts = pack_documents(documents, length, SPECIAL, pack=pack)
    assert contexts.tokens.shape[1] == length
    assert (contexts.tokens[:, 0] == SPECIAL.bos).all()
    assert (contexts.is_special == np.isin(contexts.tokens, [0, 1, 2])).all()
    assert (contexts.is_special == (contexts.document == NO_DOCUMENT)).all()
    kept = ~contexts.is_special
    tokens, members = contexts.tokens[kept], contexts.document[kept]
    for index, document in enumerate(documents):
        assert sorted(tokens[members == index]) == sorted(document)
        if len(document) < length:
            # a document that fits is never cut, so its tokens stand in order in one context
            rows = np.flatnonzero((contexts.document == index).any(axis=1))
            assert len(rows) == (1 if document else 0)
            assert tokens[members == index].tolist() == document


@given(documents_of_tokens, st.integers(2, 20))
def test_without_packing_no_context_spans_documents(documents, length):
    contexts = pack_documents(documents, length, SPECIAL)
    for row in contexts.document:
        assert len(set(row[row != NO_DOCUMENT])) == 1
    assert (contexts.tokens != SPECIAL.eos).all()


@given(documents_of_tokens, st.integers(2, 20))
def test_packing_needs_no_more_contexts(documents, length):
    packed = pack_documents(documents, length, SPECIAL, pack=True)
    assert packed.n_contexts <= pack_documents(documents, length, SPECIAL).n_contexts


@pytest.mark.parametrize(("documents", "length"), [([], 8), ([[]], 8), ([[3]], 1)])
def test_nothing_to_pack_is_an_error(documents, length):
    with pytest.raises(KindredError, match=r"empty|context_length"):
        pack_documents(documents, length, SPECIAL)


def test_the_hash_of_a_document_hangs_on_seed_source_and_text():
    hashes = {
        document_hash(Document(text, source, "label"), seed)
        for text in "ab"
        for source in "cd"
        for seed in (0, -1, 2**63, 2**200)
    }
    assert len(hashes) == 16
    assert all(0 <= value < 2**64 for value in hashes)


def best_fit(documents, length):
    """Best-fit decreasing, in plain Python: pieces of each context, contexts by their first piece."""
    pieces = [
        (index, start, min(start + length - 1, len(document)))
        for index, document in enumerate(documents)
        for start in range(0, len(document), length - 1)
    ]
    sizes = {
        piece: min(piece[2] - piece[1] + (piece[2] == len(documents[piece[0]])), length - 1)
        for piece in pieces
    }
    contexts = []  # [pieces, room, when it last took a piece]
    for moment, piece in enumerate(sorted(pieces, key=lambda piece: -sizes[piece])):
        fitting = [context for context in contexts if context[1] >= sizes[piece]]
        if not fitting:
            fitting = [[[], length - 1, 0]]
            contexts += fitting
        chosen = min(fitting, key=lambda context: (context[1], -context[2]))
        chosen[0].append(piece)
        chosen[1:] = chosen[1] - sizes[piece], moment
    return sorted(sorted(pieces) for pieces, _, _ in contexts)


@given(documents_of_tokens, st.integers(2, 20))
def test_packing_is_best_fit_decreasing(documents, length):
    contexts = pack_documents(documents, length, SPECIAL, pack=True)
    expected = [
        [token for d, i, j in row for token in documents[d][i:j]] for row in best_fit(documents, length)
    ]
    found = [
        row[~special].tolist() for row, special in zip(contexts.tokens, contexts.is_special, strict=True)
    ]
    assert found == expected
