"""Models whose embedding has more rows than the tokenizer has tokens, and tokenizers that have more tokens."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AddedToken, Gemma2Config, LlamaConfig, PreTrainedTokenizerFast

from kindred.errors import KindredError
from kindred.models.loading import load_model
from kindred.models.vocabulary import hide_ids, ids_without_token, refuse_larger_tokenizer

from .conftest import GROUPED, HEADS, build_model

# Ids 3 and 6 have no token.
VOCABULARY = {"<bos>": 0, "<eos>": 1, "<pad>": 2, "hello": 4, "world": 5, "<unk>": 7}
HOLES = [3, 6]


@pytest.fixture
def tokenizer():
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


def test_rows_beyond_the_tokenizer_and_holes_within_it_have_no_token(tokenizer):
    assert ids_without_token(tokenizer, 8) == HOLES
    assert ids_without_token(tokenizer, 11) == [*HOLES, 8, 9, 10]
    tokenizer.add_tokens(["more"])
    assert ids_without_token(tokenizer, 11) == sorted({*range(11)} - set(tokenizer.get_vocab().values()))


@pytest.mark.parametrize("config", [LlamaConfig(**GROUPED), Gemma2Config(**HEADS, sliding_window=4)])
@pytest.mark.parametrize("ids", [[48, 49], [3, 9, 49], []])
def test_hidden_ids_have_no_probability_and_the_others_keep_their_logits(config, ids):
    """Gemma-2 caps its logits, so to hide a row of the unembedding would not do."""
    tokens = torch.arange(10)[None]
    with torch.no_grad():
        plain = build_model(config)(tokens).logits
        model = build_model(config)
        hide_ids(model, ids)
        logits = model(tokens).logits
    others = [token for token in range(50) if token not in ids]
    assert torch.equal(logits[..., others], plain[..., others])
    assert logits.softmax(-1)[..., ids].sum() == 0


def saved(folder, tokenizer, n_rows):
    build_model(LlamaConfig(**{**GROUPED, "vocab_size": n_rows})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def load(folder):
    return load_model(folder, revision=None, dtype=torch.float32, device="cpu")


def test_a_loaded_model_never_predicts_an_id_without_token(tokenizer, tmp_path):
    loaded = load(saved(tmp_path, tokenizer, 12))
    with torch.no_grad():
        probabilities = loaded.model(torch.tensor([[0, 4, 5]])).logits.softmax(-1)
    assert probabilities[..., [*HOLES, 8, 9, 10, 11]].sum() == 0
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(1, 3))


def test_a_tokenizer_larger_than_the_model_is_refused_with_both_sizes(tokenizer, tmp_path):
    with pytest.raises(
        KindredError, match=r"6 tokens, the model's embedding 7 rows, so token '<unk>' \(id 7\)"
    ):
        load(saved(tmp_path, tokenizer, 7))


def test_a_special_token_beyond_the_rows_is_refused_only_if_it_can_come_up(tokenizer):
    tokenizer.add_tokens([AddedToken("<image>", special=True)])
    refuse_larger_tokenizer(tokenizer, 8, "the model")
    tokenizer.pad_token = "<image>"
    with pytest.raises(KindredError, match="'<image>'"):
        refuse_larger_tokenizer(tokenizer, 8, "the model")
