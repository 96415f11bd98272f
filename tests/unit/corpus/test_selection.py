import tempfile
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus import selection
from kindred.corpus.document import Document
from kindred.corpus.packing import document_hash
from kindred.corpus.selection import tokenize_up_to


def encode(texts):
    """One token for each character but blanks."""
    return [[ord(letter) for letter in text if letter != " "] for text in texts]


def plain(documents, n_tokens, seed):
    """The same choice with all documents in memory."""
    order = sorted(range(len(documents)), key=lambda index: document_hash(documents[index], seed))
    chosen, total = {}, 0
    for index in order:
        (ids,) = encode([documents[index].text])
        if total + len(ids) > n_tokens:
            break
        chosen[index] = ids
        total += len(ids)
    if not chosen:
        chosen[order[0]] = encode([documents[order[0]].text])[0][:n_tokens]
    return sorted(chosen.items())


texts = st.lists(st.text("ab ", max_size=30), min_size=1, max_size=60)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(selection, "FIRST_DOCUMENTS", 3)
    monkeypatch.setattr(selection, "BATCH_DOCUMENTS", 2)
    monkeypatch.setattr(selection, "BATCH_CHARACTERS", 20)


@given(texts, st.integers(1, 400), st.integers(0, 3))
def test_the_choice_is_that_of_a_plain_loop(texts, n_tokens, seed):
    documents = [Document(text, str(place), "") for place, text in enumerate(texts)]
    with tempfile.TemporaryFile() as spill:
        chosen = tokenize_up_to(documents, encode, n_tokens, seed, spill)
        found = [(place, ids.tolist()) for place, ids in zip(chosen.places.tolist(), chosen, strict=True)]
    assert found == plain(documents, n_tokens, seed)


def test_few_more_are_tokenized_than_chosen():
    documents = [
        Document("ab " * (int(blake2b(b"%d" % i).hexdigest()[:2], 16) % 9), str(i), "") for i in range(2000)
    ]
    asked = []
    with tempfile.TemporaryFile() as spill:
        chosen = tokenize_up_to(documents, lambda texts: asked.extend(texts) or encode(texts), 3000, 0, spill)
    assert len(chosen) < len(asked) < 1.2 * len(chosen)
