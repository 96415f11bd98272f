"""A text that spells a special token is text: by every kind of tokenizer, no special id stands unmarked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kindred.corpus.packing import NO_DOCUMENT, PackedContexts, SpecialTokens, pack_documents
from kindred.errors import KindredError
from kindred.explanation.template import build_prompt
from kindred.models.tokenizer import encode_documents, special_tokens, train_tokenizer

SPELLINGS = ("<|bos|>", "<|eos|>", "<|pad|>", "<turn>", "</s>", "<pad>", "<unk>", "<extra_id_3>", "<tool>")
PIECES = st.sampled_from([*SPELLINGS, " ", "a", "b\n", "\N{SNOWMAN}", "<|eos", "|>"])
TEXTS = st.lists(st.lists(PIECES, min_size=1, max_size=8).map("".join), min_size=1, max_size=5)


def byte_level(**settings: object) -> PreTrainedTokenizerBase:
    tokenizer = train_tokenizer(["a b a b"], 300, 64)
    for name, value in settings.items():
        setattr(tokenizer, name, value)
    tokenizer.add_tokens([AddedToken("<turn>", special=True), AddedToken("<tool>", special=False)])
    return tokenizer


def unigram() -> PreTrainedTokenizerBase:
    """The spellings are words of the vocabulary, as in tokenizers that come from SentencePiece."""
    pieces = [
        ("<unk>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        *((letter, -2.0) for letter in dict.fromkeys("ab <>/spdunk|eo")),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="</s>"
    )


def words() -> PreTrainedTokenizerBase:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "a": 2, "b": 3}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")


TOKENIZERS = {
    "byte level": byte_level(),
    "byte level that splits": byte_level(split_special_tokens=True),
    "unigram": unigram(),
    "words": words(),
    "slow": ByT5Tokenizer(),
}


def packed(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, pack: bool = False) -> PackedContexts:
    return pack_documents(encode_documents(tokenizer, texts), 16, special_tokens(tokenizer), pack=pack)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(deadline=None)  # the first packing compiles
@given(texts=TEXTS, pack=st.booleans())
def test_no_special_id_stands_unmarked(name, texts, pack):
    tokenizer = TOKENIZERS[name]
    # The last text makes sure that there is something to pack.
    contexts = packed(tokenizer, [*texts, "a b"], pack=pack)
    special = {*tokenizer.all_special_ids, *special_tokens(tokenizer).others}
    special |= {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    assert special.isdisjoint(contexts.tokens[~contexts.is_special].tolist())
    assert (contexts.is_special == (contexts.document == NO_DOCUMENT)).all()


@pytest.mark.parametrize("name", ["byte level", "byte level that splits", "slow"])
@settings(deadline=None)
@given(texts=TEXTS)
def test_a_spelling_comes_back_as_the_text_it_is(name, texts):
    tokenizer = TOKENIZERS[name]
    for text, ids in zip(texts, encode_documents(tokenizer, texts), strict=True):
        assert not special_tokens(tokenizer).ids & set(ids)
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_word_that_is_a_special_token_keeps_its_place_and_is_marked():
    contexts = packed(TOKENIZERS["unigram"], ["a</s>b"])
    assert contexts.tokens[0, :4].tolist() == [2, 3, 2, 4]  # BOS (here EOS), a, </s>, b
    assert contexts.is_special[0, :4].tolist() == [True, False, True, False]
    assert contexts.n_document_tokens == 2


def test_added_tokens_that_are_not_special_stay_tokens():
    (ids,) = encode_documents(TOKENIZERS["byte level"], ["a<tool>b"])
    assert TOKENIZERS["byte level"].convert_tokens_to_ids("<tool>") in ids


def test_reserved_tokens_are_special():
    tokenizer = TOKENIZERS["byte level"]
    assert tokenizer.convert_tokens_to_ids("<turn>") in special_tokens(tokenizer).ids
    assert tokenizer.convert_tokens_to_ids("<tool>") not in special_tokens(tokenizer).ids


def test_a_corpus_of_special_tokens_alone_is_an_error():
    with pytest.raises(KindredError, match="nothing but special tokens"):
        packed(TOKENIZERS["words"], ["c d", "e"])


def test_marking_goes_over_all_blocks(monkeypatch):
    monkeypatch.setattr("kindred.corpus.packing._BLOCK_TOKENS", 8)
    contexts = pack_documents([[5, 1, 6], [5, 9, 9], [1, 6]], 4, SpecialTokens(0, 1, 2, frozenset({9})))
    expected = [[True, False, True, False], [True, False, True, True], [True, True, False, True]]
    np.testing.assert_array_equal(contexts.is_special, expected)


@pytest.mark.parametrize("splits", [False, True])
def test_a_chat_template_may_spell_special_tokens(splits, tmp_path):
    tokenizer = byte_level(split_special_tokens=splits)
    tokenizer.chat_template = "<|bos|><turn>{{ messages[0].content }}<|eos|>"
    tokenizer.save_pretrained(tmp_path)
    prompt = build_prompt(AutoTokenizer.from_pretrained(tmp_path), "meaning")
    assert prompt.token_ids[:2] == (tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids("<turn>"))
    assert tokenizer.eos_token_id in prompt.token_ids
