"""The measures of an SAE's card against whole passes over each context alone, and against the step activations."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.activations.encoding import encode_contexts
from kindred.corpus.packing import SpecialTokens, pack_documents
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.saes.architectures import StandardSae
from kindred.saes.evaluation import evaluate_sae
from kindred.saes.interface import SaeMetadata

D_MODEL, D_SAE, VOCABULARY, LENGTH = 16, 24, 40, 12
SPECIAL = SpecialTokens(bos=0, eos=1, pad=2)
SITE = HookPoint("resid_post", 1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=D_MODEL,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def sae():
    generator = torch.Generator().manual_seed(1)
    shapes = {"W_enc": (D_MODEL, D_SAE), "W_dec": (D_SAE, D_MODEL), "b_enc": (D_SAE,), "b_dec": (D_MODEL,)}
    weights = {name: 0.5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    metadata = SaeMetadata(source="test", hook_name=str(SITE))
    return StandardSae("a", SITE, weights, metadata, apply_b_dec_to_input=True)


@pytest.fixture(scope="module")
def contexts():
    """Packed contexts: each but one has an EOS in its middle, and padding."""
    generator = np.random.default_rng(0)
    documents = [generator.integers(3, VOCABULARY, n).tolist() for n in (4, 5, 3, 6, 2, 9, 4, 3, 11)]
    packed = pack_documents(documents, LENGTH, SPECIAL, pack=True)
    inside = packed.is_special[:, 1:-1] & ~packed.is_special[:, 2:]
    assert inside.any(axis=1).sum() >= 3
    return packed


def evaluate(model, sae, contexts, batch_size=2):
    return evaluate_sae(
        model, sae, contexts.tokens, contexts.is_special, batch_size=batch_size, progress=lambda *_: None
    )


def test_an_sae_sees_the_same_activations_as_in_the_pipeline(model, sae, contexts):
    found = evaluate(model, sae, contexts)
    loaded = LoadedModel(model, cast(Any, None), 3, D_MODEL)
    batches = encode_contexts(loaded, [sae], contexts.tokens, contexts.is_special, batch_size=3)
    counts = np.concatenate([batch["a"].counts for batch in batches])
    assert found.n_tokens == contexts.n_document_tokens
    assert found.l0 == pytest.approx(counts.sum() / contexts.n_document_tokens)


def test_the_loss_is_that_of_each_context_alone_without_padding(model, sae, contexts):
    total, count = 0.0, 0
    for tokens, is_special in zip(contexts.tokens, contexts.is_special, strict=True):
        length = int(np.flatnonzero(~is_special)[-1]) + 1
        ids = torch.from_numpy(tokens[:length].astype(np.int64))[None]
        targets = torch.from_numpy(~is_special[1:length])
        with torch.no_grad():
            logits = model(ids).logits[0, :-1]
        total += float(cross_entropy(logits[targets], ids[0, 1:][targets], reduction="sum"))
        count += int(targets.sum())
    assert evaluate(model, sae, contexts).ce_nats == pytest.approx(total / count, rel=1e-5)


def test_batches_do_not_matter(model, sae, contexts):
    one, other = (evaluate(model, sae, contexts, batch_size) for batch_size in (1, 4))
    assert one.ce_sae_nats == pytest.approx(other.ce_sae_nats, rel=1e-5)
    assert one.n_silent == other.n_silent
