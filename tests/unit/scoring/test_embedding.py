import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from kindred.errors import KindredError
from kindred.scoring.embedding import EmbeddingMemory, carried_folder, embed, load_embedder, token_counts

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


HEAD = "the matrix is sorted by value " * 50
LONG = [HEAD + "volcano lava ash " * 80, HEAD + "bank loan interest " * 80]


def test_texts_beyond_the_limit_of_the_model_are_counted(embedder):
    """Both are cut off before they begin to differ; to the user this must not look like agreement."""
    assert embedder.limit == 256
    one, other = embedder(LONG)
    assert one @ other == pytest.approx(1, abs=1e-6)
    assert embedder.n_cut([*LONG, *TEXTS, LONG[0]]) == 3
    ids = embedder.model.tokenizer(LONG, truncation=False, verbose=False)["input_ids"]
    assert token_counts(embedder.model, LONG) == [len(each) for each in ids]


def test_a_text_is_cut_off_only_beyond_the_limit(embedder):
    words = embedder.limit - 2  # two special tokens
    assert embedder.n_cut(["word " * words]) == 0
    assert embedder.n_cut(["word " * (words + 1)]) == 1


def test_a_prompt_of_the_model_counts(embedder, monkeypatch):
    monkeypatch.setitem(embedder.model.prompts, "query", "search for: ")
    monkeypatch.setattr(embedder.model, "default_prompt_name", "query")
    plain = len(embedder.model.tokenizer("word")["input_ids"])
    assert token_counts(embedder.model, ["word"]) == [plain + 3]


def test_a_static_embedding_reads_texts_whole(tmp_path):
    tokenizer = embedder_tokenizer()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    model.save(str(tmp_path))
    static = load_embedder(str(tmp_path), device="cpu", batch_size=2)
    vectors = static(LONG)
    assert (static.limit, static.n_cut(LONG)) == (None, 0)
    assert vectors.shape == (2, 8)
    assert vectors[0] @ vectors[1] < 1 - 1e-6


def embedder_tokenizer():
    words = sorted({word for text in LONG for word in text.split()})
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=words[0])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(carried_folder("all-MiniLM-L6-v2"), tmp_path / "embedder")


def without_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


def cut_off(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def of_other_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))


def not_a_number(folder):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "LayerNorm.weight" in name)
    weights[name][:] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def reads(n_tokens):
    """Let an embedder state another limit."""

    def change(folder):
        config = folder / "sentence_bert_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "max_seq_length": n_tokens}))

    return change


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (reads(2000), "2000 tokens, but a text of that length fails"),
        (reads(513), "513 tokens, but a text of that length fails"),
        (reads(0), "of 0 tokens leaves none"),
        (reads(2), "of 2 tokens leaves none"),
        (without_tokenizer, "no tokenizer"),
        (cut_off, "incomplete"),
        (of_other_shape, "mismatched"),
        (not_a_number, "not finite"),
    ],
)
def test_an_embedder_that_cannot_embed_is_refused_when_it_is_loaded(folder, damage, reason):
    damage(folder)
    with pytest.raises(KindredError, match=rf"scoring.embedder '.*embedder' does not load \(.*{reason}"):
        load_embedder(str(folder), device="cpu", batch_size=2)


def test_a_text_that_spells_a_special_token_is_text(embedder):
    tokenizer = embedder.model.tokenizer
    ids = tokenizer("a [SEP] b [MASK]")["input_ids"]
    assert ids[0] == tokenizer.cls_token_id
    assert ids[-1] == tokenizer.sep_token_id
    assert not set(ids[1:-1]) & set(tokenizer.all_special_ids)
    assert embedder(["a [SEP] b"])[0] @ embedder(["a sep b"])[0] > 0.7
    assert not np.array_equal(embedder(["a [SEP] b"]), embedder(["a b"]))
