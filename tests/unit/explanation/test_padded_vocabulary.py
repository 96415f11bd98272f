"""Rows of the embedding that only pad it change nothing: no curve, no text, no list of words."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.explanation.baselines import logit_lens
from kindred.explanation.self_explanation import explain
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel, load_model
from kindred.models.tokenizer import train_tokenizer
from kindred.params import ExplanationParams

D_MODEL, N_PADDING = 16, 27
FEATURES = [1, 4, 9]
PARAMS = {
    "template": "meaning",
    "injection": "add",
    "norm": "relative",
    "inject_layer": 0,
    "probe_layer": None,
    "n_scales": 4,
    "max_scale": 4.0,
    "alpha": 0.4,
    "failure_threshold": 0.1,
    "n_explanations": 2,
    "max_new_tokens": 6,
    "temperature": 1.0,
    "batch_size": 8,
}


def saved_and_loaded(folder, n_padding: int) -> LoadedModel:
    """A model whose padding rows stand for larger logits than those of any token."""
    tokenizer = train_tokenizer(["The meaning of the word is a number. \n\n    " * 9], 300, 128)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + n_padding,
        hidden_size=D_MODEL,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=False,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(1)
    for layer in model.model.layers:
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    with torch.no_grad():
        for table in (model.model.embed_tokens.weight, model.lm_head.weight):
            rows = torch.randn(len(tokenizer), D_MODEL, generator=generator)
            padding = 30 * torch.randn(n_padding, D_MODEL, generator=torch.Generator().manual_seed(2))
            table.copy_(torch.cat([rows, padding]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(str(folder), revision=None, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return saved_and_loaded(tmp_path_factory.mktemp("plain"), 0)


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    return saved_and_loaded(tmp_path_factory.mktemp("padded"), N_PADDING)


def explanations(loaded: LoadedModel, decoding: str, metric: str):
    tokens = torch.randint(3, len(loaded.tokenizer), (2, 12), generator=torch.Generator().manual_seed(3))
    return explain(
        loaded,
        torch.randn(len(FEATURES), D_MODEL, generator=torch.Generator().manual_seed(4)),
        FEATURES,
        neutral_tokens=tokens,
        neutral_special=torch.zeros_like(tokens, dtype=torch.bool),
        params=ExplanationParams(**PARAMS, decoding=decoding, metric=metric),
        hook_point=HookPoint.parse("blocks.0.hook_resid_post"),
        seed=5,
    )


@pytest.mark.parametrize(("decoding", "metric"), [("greedy", "entropy"), ("sample", "crossent")])
def test_a_padded_model_explains_as_the_same_model_without_padding(plain, padded, decoding, metric):
    expected, found = (explanations(loaded, decoding, metric) for loaded in (plain, padded))
    assert np.isfinite(found.entropy).all()
    np.testing.assert_allclose(found.entropy, expected.entropy, atol=1e-5)
    np.testing.assert_allclose(found.self_similarity, expected.self_similarity, atol=1e-5)
    pd.testing.assert_frame_equal(found.texts, expected.texts)
    assert (found.texts["text"] != "").mean() > 0.5


def test_the_logit_lens_lists_words_alone(padded):
    """Directions that favour a padding row, white space, or a special token."""
    tokenizer, rows = padded.tokenizer, padded.model.get_output_embeddings().weight
    favoured = [len(tokenizer) + 3, *tokenizer("\n\n", add_special_tokens=False)["input_ids"], 0, 20]
    directions = torch.nn.functional.normalize(rows[favoured], dim=-1)
    words = {str(tokenizer.decode([token])).strip() for token in range(3, len(tokenizer))} - {""}
    for text in logit_lens(padded, directions):
        listed = text.split(", ")
        assert len(listed) == len(set(listed)) == 10
        assert words.issuperset(listed)
        assert not any("\ufffd" in word for word in listed)
