"""Contexts and documents come back as they were, memory-mapped, in the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest

from kindred.artefacts import corpus, tokens
from kindred.corpus.document import Document
from kindred.corpus.packing import SpecialTokens, pack_documents

DOCUMENTS = [Document("na\u00efve \U0001f600", "a.txt::1", "x"), Document("two\r\nlines\x00", "a.txt::2", "")]


@pytest.fixture
def value() -> tokens.Tokens:
    contexts = pack_documents([[5, 6, 7], [8]], 4, SpecialTokens(bos=0, eos=1, pad=2), pack=True)
    return tokens.Tokens(contexts, [(item.source, item.label) for item in DOCUMENTS])


def test_contexts_come_back_memory_mapped(value: tokens.Tokens, tmp_path: Path) -> None:
    tokens.save(value, tmp_path)
    loaded = tokens.load(tmp_path)
    for name in ("tokens", "is_special", "document"):
        found, saved = getattr(loaded.contexts, name), getattr(value.contexts, name)
        assert isinstance(found, np.memmap)
        assert found.dtype == saved.dtype
        np.testing.assert_array_equal(found, saved)
    assert list(loaded.documents) == value.documents


def test_documents_come_back(tmp_path: Path) -> None:
    corpus.save(DOCUMENTS, tmp_path)
    assert list(corpus.load(tmp_path)) == DOCUMENTS


def test_the_same_value_gives_the_same_bytes(value: tokens.Tokens, tmp_path: Path) -> None:
    contents = []
    for name in ("once", "again"):
        folder = tmp_path / name
        folder.mkdir()
        tokens.save(value, folder)
        corpus.save(DOCUMENTS, folder / "corpus")
        contents.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 5
