"""Copies and shared passages against comparisons of all texts with all, and a corpus of doubles from end to end."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.scoring import copies as module
from kindred.scoring.chunks import cut_chunks
from kindred.scoring.copies import SHORTEST_SHARED, TokenHashes, chunks_that_share, first_copies


@st.composite
def corpora(draw):
    """Contexts of documents that repeat each other: few ids, and whole rows that stand twice."""
    n_positions = draw(st.integers(3, 30))
    row = st.lists(st.integers(0, 1), min_size=n_positions, max_size=n_positions)
    rows = draw(st.lists(row, min_size=1, max_size=5))
    rows += [rows[place % len(rows)] for place in draw(st.lists(st.integers(0, 4), max_size=3))]
    tokens = np.array(rows, dtype=np.int32)
    document = np.repeat(np.arange(len(rows), dtype=np.int32)[:, None], n_positions, axis=1)
    ends = draw(st.lists(st.integers(1, n_positions), min_size=len(rows), max_size=len(rows)))
    document[np.arange(n_positions) >= np.array(ends)[:, None]] = -1
    return PackedContexts(tokens, document < 0, document)


def passages(contexts, chunks):
    """The tokens of each chunk."""
    lie, tokens = chunks.at(np.arange(len(chunks))), contexts.tokens.ravel()
    return [tuple(tokens[first : first + n].tolist()) for first, n in zip(lie.start, lie.length, strict=True)]


def cut(contexts, size):
    try:
        return cut_chunks(contexts, size)
    except KindredError:
        return None


def holds(passage, part):
    return any(passage[at : at + len(part)] == part for at in range(len(passage) - len(part) + 1))


@given(corpora(), st.integers(1, 6), st.sampled_from([6, 1 << 20]))
@settings(deadline=None)
def test_the_first_chunk_of_the_same_tokens(contexts, size, block):
    if (chunks := cut(contexts, size)) is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_TOKENS", block)
        found = first_copies(chunks, TokenHashes(contexts.tokens.ravel()))
    texts = passages(contexts, chunks)
    assert found.tolist() == [texts.index(text) for text in texts]


@given(
    corpora(),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), max_size=4),
    st.data(),
)
@settings(deadline=None)
def test_chunks_that_hold_a_passage_of_a_window(contexts, size, chosen, data):
    if (chunks := cut(contexts, size)) is None:
        return
    n_positions, tokens = contexts.tokens.shape[1], contexts.tokens.ravel()
    rows = []
    for feature, place in chosen:
        context, start = divmod(place % tokens.size, n_positions)
        rows.append((feature, context, start, data.draw(st.integers(1, n_positions - start))))
    positions = pd.DataFrame(rows, columns=["feature", "context", "start", "length"], dtype="int64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_TOKENS", data.draw(st.sampled_from([7, 1 << 20])))
        found = chunks_that_share(chunks, TokenHashes(tokens), positions, n_positions)
    half = (size + 1) // 2
    expected = {}
    for feature, context, start, length in rows:
        window = tuple(contexts.tokens[context, start : start + length].tolist())
        n_shared = min(half, length)
        if n_shared < min(SHORTEST_SHARED, half):
            continue
        parts = [window[at : at + n_shared] for at in range(length - n_shared + 1)]
        for chunk, text in enumerate(passages(contexts, chunks)):
            if any(holds(text, part) for part in parts):
                expected.setdefault(feature, set()).add(chunk)
    assert {feature: set(own.tolist()) for feature, own in found.items()} == expected


def test_a_hash_tells_order_length_and_every_token():
    tokens = np.array([0, 1, 2, 0, 2, 1, 0, 0, 1, 2], dtype=np.int32)
    hashes = TokenHashes(tokens)
    start, length = np.array([0, 3, 7, 0, 6, 6]), np.array([3, 3, 3, 2, 1, 2])
    found = hashes.of(start, length).tolist()
    assert found[0] == found[2]
    assert len(set(found)) == 5
    (first, everywhere), *rest = hashes.everywhere(3)
    assert (first, rest, len(everywhere)) == (0, [], 8)
    assert everywhere[[0, 3, 7]].tolist() == found[:3]


def doubled(bench):
    """The corpus of a bench with every context twice, and the feature index of that."""
    contexts, index = bench.contexts, bench.index
    document = np.concatenate(
        [contexts.document, np.where(contexts.document >= 0, contexts.document + 1000, -1)]
    )
    twice = PackedContexts(
        np.tile(contexts.tokens, (2, 1)), np.tile(contexts.is_special, (2, 1)), document.astype(np.int32)
    )
    n_tokens = contexts.tokens.size
    parts = [index.of(feature) for feature in range(index.d_sae)]
    return twice, type(index)(
        index.d_sae,
        2 * index.n_contexts,
        index.context_length,
        2 * index.n_tokens,
        2 * index.offsets,
        np.concatenate([np.concatenate([token, token + n_tokens]) for token, _ in parts]).astype(np.uint32),
        np.concatenate([np.tile(value, 2) for _, value in parts]),
    )


@pytest.mark.parametrize("negatives", ["random", "decoder", "embedding"])
def test_in_a_corpus_of_doubles_no_text_is_an_example_and_a_test_or_tested_twice(bench, negatives):
    bench.contexts, bench.index = doubled(bench)
    windows = bench.windows(bench.features).positions
    scores = bench.score(negatives=negatives)
    tokens = bench.contexts.tokens

    def text(row):
        return tuple(tokens[row.context, row.start : row.start + row.length].tolist())

    for feature, own in scores.contexts.groupby("feature"):
        texts = [text(row) for row in own.itertuples()]
        assert len(set(texts)) == len(texts) > 20
        examples = [text(row) for row in windows[windows["feature"] == feature].itertuples()]
        for passage in texts:
            for example in examples:
                assert not any(holds(passage, example[at : at + 4]) for at in range(len(example) - 3))
        fires = {feature + 3}
        for row, passage in zip(own.itertuples(), texts, strict=True):
            assert fires.isdisjoint(passage) == (row.kind == "negative")
