import math

import numpy as np
import pytest
import torch

from kindred.corpus.packing import PackedContexts, SpecialTokens, pack_documents
from kindred.errors import KindredError
from kindred.models.language_model import (
    ArchitectureSettings,
    Loss,
    build_language_model,
    count_parameters,
    evaluate_loss,
    next_token_loss,
)

SPECIAL = SpecialTokens(0, 1, 2)
SETTINGS = ArchitectureSettings(hidden_size=16, n_layers=2, n_heads=2, intermediate_size=32, context_length=8)
CONTEXTS = pack_documents([[3, 4, 5], [6, 7, 8, 9, 10, 11, 12, 13, 14], [15]], 8, SPECIAL, pack=True)


@pytest.fixture(scope="module")
def model():
    return build_language_model(SETTINGS, 30, SPECIAL, seed=0).eval()


def test_weights_hang_on_the_seed_and_leave_the_global_generator_alone(model):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    again = build_language_model(SETTINGS, 30, SPECIAL, seed=0)
    torch.testing.assert_close(torch.rand(3), expected)
    other = build_language_model(SETTINGS, 30, SPECIAL, seed=1)
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(model.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(model.state_dict()[name], other.state_dict()[name])


def test_tied_embeddings_count_once(model):
    block = 4 * 16 * 16 + 3 * 16 * 32 + 2 * 16
    assert count_parameters(model) == 30 * 16 + 2 * block + 16
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_the_loss_counts_tokens_of_documents_only(model):
    total, count = 0.0, 0
    for row in range(CONTEXTS.n_contexts):
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(CONTEXTS.tokens[row : row + 1]).long()).logits[0]
        for position in range(1, 8):
            if not CONTEXTS.is_special[row, position]:
                total -= float(torch.log_softmax(logits[position - 1], 0)[CONTEXTS.tokens[row, position]])
                count += 1
    for batch_size in (1, 2, 16):
        loss = evaluate_loss(model, CONTEXTS, batch_size)
        assert loss.n_tokens == count == CONTEXTS.n_document_tokens
        assert loss.nats_per_token == pytest.approx(total / count, rel=1e-5)


def test_perplexity_is_the_exponential():
    assert Loss(math.log(7), 1).perplexity == pytest.approx(7)


def test_no_token_to_evaluate_is_an_error(model):
    nothing = PackedContexts(
        np.zeros((1, 4), np.int32), np.ones((1, 4), np.bool_), np.full((1, 4), -1, np.int32)
    )
    with pytest.raises(KindredError, match="no token to evaluate"):
        evaluate_loss(model, nothing)


def test_the_training_loss_ignores_padding(model):
    tokens = torch.tensor([[0, 3, 4, 2, 2]])
    with torch.no_grad():
        torch.testing.assert_close(
            next_token_loss(model, tokens, 2), next_token_loss(model, tokens[:, :3], 2)
        )
