import numpy as np
import pytest

from kindred.errors import KindredError
from kindred.scoring.embedding import EmbeddingMemory, carried_folder, embed, load_embedder

TEXTS = [
    "The number of rows.",
    "a",
    "",
    "An array of the same shape as the input, but " * 4,
    "a",
    "Rows: how many?",
]


@pytest.fixture(scope="module")
def embedder():
    return load_embedder("all-MiniLM-L6-v2", device="cpu", batch_size=2)


def test_vectors_are_those_of_the_model_one_by_one(embedder):
    found = embedder(TEXTS)
    expected = np.stack([embedder.model.encode(text, normalize_embeddings=True) for text in TEXTS])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert found[0] @ found[5] > found[0] @ found[1]


def test_order_does_not_change_a_bit(embedder):
    order = [3, 5, 0, 4, 2, 1]
    assert np.array_equal(embedder(TEXTS)[order], embedder([TEXTS[place] for place in order]))


def test_each_text_is_embedded_once(embedder):
    told = []
    embed(embedder.model, TEXTS, batch_size=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_nothing_to_embed(embedder):
    assert embedder([]).shape == (0, 384)


def test_memory_asks_for_new_texts_only():
    asked = []

    def lengths(texts, progress=None):
        asked.extend(texts)
        return np.array([[len(text)] for text in texts], dtype=np.float32).reshape(len(texts), 1)

    memory = EmbeddingMemory(lengths)
    assert memory(["aa", "b", "aa"]).tolist() == [[2], [1], [2]]
    assert memory(["b", "ccc"]).tolist() == [[1], [3]]
    assert memory([]).shape == (0, 1)
    assert asked == ["aa", "b", "ccc"]


def test_the_default_is_found_without_a_network():
    folder = carried_folder("sentence-transformers/all-MiniLM-L6-v2")
    assert folder == carried_folder("all-MiniLM-L6-v2")
    assert (folder / "model.safetensors").is_file()
    assert carried_folder("some/other-model") is None


def test_a_folder_can_be_named(embedder, tmp_path):
    (tmp_path / "embedder").symlink_to(carried_folder("all-MiniLM-L6-v2"))
    named = load_embedder(str(tmp_path / "embedder"), device="cpu", batch_size=64)
    np.testing.assert_allclose(named(TEXTS), embedder(TEXTS), atol=1e-6)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(KindredError, match=r"scoring.embedder '.*nowhere' does not load .*all-MiniLM-L6-v2"):
        load_embedder(str(tmp_path / "nowhere"), device="cpu", batch_size=2)


def test_a_text_that_spells_a_special_token_is_text(embedder):
    tokenizer = embedder.model.tokenizer
    ids = tokenizer("a [SEP] b [MASK]")["input_ids"]
    assert ids[0] == tokenizer.cls_token_id
    assert ids[-1] == tokenizer.sep_token_id
    assert not set(ids[1:-1]) & set(tokenizer.all_special_ids)
    assert embedder(["a [SEP] b"])[0] @ embedder(["a sep b"])[0] > 0.7
    assert not np.array_equal(embedder(["a [SEP] b"]), embedder(["a b"]))
