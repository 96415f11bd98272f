"""Texts of tokens by real tokenizers of every kind, trained here on text with accents, CJK and emoji."""

import io
from functools import cache

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast, T5Tokenizer

from kindred.windows.text import PassageDecoder, token_texts

SENTENCES = [
    "Hello world, this is a test of the tokenizer (it isn't long).",
    "Le café naïf coûte 3 € à l'hôtel.",
    "日本語のテキストと中文字符。",
    "Emoji 🎉 party 👩‍👩‍👧 at noon ☕ , again .",
    "  def f(x):\n\treturn x ** 2\n",
] * 40
PROBES = [
    "Hello world",
    " leading and trailing ",
    "two  spaces   three",
    "🎉🎉 日本 café",
    "👩‍👩‍👧",
    "\n\ttab\n",
    "ƶ unseen ዐ",
    "a � b",
    "it is n't , so .",
]


@cache
def byte_level_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<bos>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>")


def sentencepiece_model(model_type, vocab_size):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=vocab_size,
        model_type=model_type,
        byte_fallback=True,
        character_coverage=0.98,
        hard_vocab_limit=False,
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return model.getvalue()


@cache
def llama(directory):
    (directory / "tokenizer.model").write_bytes(sentencepiece_model("bpe", 420))
    return LlamaTokenizer.from_pretrained(directory)


@cache
def t5(directory):
    (directory / "spiece.model").write_bytes(sentencepiece_model("unigram", 400))
    return T5Tokenizer.from_pretrained(directory, extra_ids=0)


@cache
def unigram_with_bytes():
    """Return what a SentencePiece unigram model with byte fallback is in the tokenizers library."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(Regex("[\U0001f300-\U0001ffff]"), "é")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    pieces = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256))]
    learnt = [(piece, -float(rank)) for piece, rank in tokenizer.get_vocab().items() if piece != "<unk>"]
    whole = Tokenizer(models.Unigram(pieces + sorted(learnt), unk_id=0, byte_fallback=True))
    whole.pre_tokenizer = pre_tokenizers.Metaspace()
    whole.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="<unk>")


@cache
def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=True)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    return {
        "byte_level_bpe": byte_level_bpe(),
        "llama": llama(tmp_path_factory.mktemp("llama")),
        "t5": t5(tmp_path_factory.mktemp("t5")),
        "unigram_with_bytes": unigram_with_bytes(),
        "word_piece": word_piece(),
    }


KINDS = ["byte_level_bpe", "llama", "t5", "unigram_with_bytes", "word_piece"]
LOSSLESS = ["byte_level_bpe", "llama"]


def decoded(tokenizer, tokens):
    return tokenizer.decode(tokens, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_texts_of_any_tokens_join_to_what_the_tokenizer_decodes(tokenizers, kind, data):
    tokenizer = tokenizers[kind]
    tokens = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=25))
    texts = token_texts(tokenizer, tokens)
    assert len(texts) == len(tokens)
    assert "".join(texts) == decoded(tokenizer, tokens)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_texts_of_any_string_join_to_it_in_whole_and_in_part(tokenizers, kind, data):
    tokenizer = tokenizers[kind]
    string = data.draw(st.one_of(st.text(max_size=20), st.sampled_from(PROBES), st.sampled_from(SENTENCES)))
    tokens = tokenizer.encode(string, add_special_tokens=False)
    texts = token_texts(tokenizer, tokens)
    assert "".join(texts) == decoded(tokenizer, tokens)
    # A SentencePiece model cannot tell a leading space, nor its own mark for spaces, from the space it adds.
    lossless = kind == "byte_level_bpe" or (kind == "llama" and string[:1] != " " and "▁" not in string)
    assert not lossless or "".join(texts) == string
    start = data.draw(st.integers(0, len(tokens)))
    stop = data.draw(st.integers(start, len(tokens)))
    part = PassageDecoder(tokenizer)(tokens, start, stop)
    assert len(part) == stop - start
    assert part == texts[start:stop]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("string", [*PROBES, *SENTENCES[:5]])
def test_the_quick_way_splits_as_the_thorough_one(tokenizers, kind, string):
    tokens = tokenizers[kind].encode(string, add_special_tokens=False)
    assert token_texts(tokenizers[kind], tokens) == PassageDecoder(tokenizers[kind]).by_prefixes(tokens)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_character_goes_whole_to_the_token_that_completes_it(tokenizers, kind):
    tokens = tokenizers[kind].encode("xዐy", add_special_tokens=False)
    texts = token_texts(tokenizers[kind], tokens)
    assert "".join(texts) == "xዐy"
    assert texts[-4:] == ["", "", "ዐ", "y"]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_bytes_that_never_make_a_character_are_kept_as_replacements(tokenizers, kind):
    tokenizer = tokenizers[kind]
    tokens = tokenizer.encode("xዐ", add_special_tokens=False)[:-1]
    texts = token_texts(tokenizer, tokens)
    assert "".join(texts) == decoded(tokenizer, tokens)
    assert texts[0].endswith("x")
    assert set("".join(texts[1:])) == {"\ufffd"}


@pytest.mark.parametrize("kind", ["byte_level_bpe", "llama", "t5", "unigram_with_bytes"])
def test_a_part_of_a_passage_begins_with_the_space_it_was_written_with(tokenizers, kind):
    tokenizer = tokenizers[kind]
    tokens = tokenizer.encode("Hello world test", add_special_tokens=False)
    texts = token_texts(tokenizer, tokens)
    cut = next(n for n in range(1, len(tokens)) if "".join(texts[:n]) == "Hello")
    assert "".join(PassageDecoder(tokenizer)(tokens, cut)) == " world test"


def test_each_token_has_a_text_of_its_own_under_transformers_5(tokenizers):
    tokens = tokenizers["byte_level_bpe"].encode("Hello world", add_special_tokens=False)
    assert len(token_texts(tokenizers["byte_level_bpe"], tokens)) == len(tokens) > 1


def test_an_empty_passage_has_no_texts(tokenizers):
    for tokenizer in tokenizers.values():
        assert token_texts(tokenizer, []) == []
