import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kindred.errors import KindredError
from kindred.models.tokenizer import encode_documents, special_tokens, train_tokenizer

TEXTS = ["Return the sum of the elements over the axis.", 'The word "X" is a name, "Y" too.'] * 20
QUESTION = 'What is the word "X"?\nThe word "X" is "'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, 280, 32).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def test_bos_comes_by_itself_once_and_its_id_is_zero(tokenizer):
    ids = tokenizer("Return the sum")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == 0
    assert ids.count(0) == 1
    assert tokenizer("Return the sum", add_special_tokens=False)["input_ids"] == ids[1:]
    special = special_tokens(tokenizer)
    assert (special.bos, special.eos, special.pad) == (0, 1, 2)


def test_the_placeholder_is_a_token_of_its_own(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(QUESTION)["input_ids"])
    assert tokens.count("X") == QUESTION.count("X")


@given(text=st.text())
def test_every_text_comes_back(tokenizer, text):
    (ids,) = encode_documents(tokenizer, [text])
    assert tokenizer.decode(ids) == text


def test_equal_texts_give_equal_files(folder, tmp_path):
    train_tokenizer(iter(TEXTS), 280, 32).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_chunks_change_nothing(tokenizer):
    assert encode_documents(tokenizer, TEXTS, chunk=7) == encode_documents(tokenizer, TEXTS)


def test_vocabulary_has_the_size_asked_for(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    assert len(content["model"]["vocab"]) == 280


def test_a_vocabulary_without_room_for_the_bytes_is_an_error():
    with pytest.raises(KindredError, match="vocab_size is 100"):
        train_tokenizer(TEXTS, 100, 32)


def test_tokenizers_without_bos_or_padding_use_eos(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokenizer.pad_token = None
    special = special_tokens(tokenizer)
    assert (special.bos, special.eos, special.pad) == (1, 1, 1)
    tokenizer.eos_token = None
    with pytest.raises(KindredError, match="no EOS"):
        special_tokens(tokenizer)
