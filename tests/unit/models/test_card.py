import pytest
import torch

from kindred.corpus.packing import pack_documents
from kindred.models.card import PROMPTS, greedy_continuation, language_model_card
from kindred.models.language_model import ArchitectureSettings, build_language_model, evaluate_loss
from kindred.models.tokenizer import encode_documents, special_tokens, train_tokenizer
from kindred.models.training import TrainingData, TrainingSettings

TEXTS = ["Return the sum of the elements.", "The order of the matrix."] * 5


@pytest.fixture(scope="module")
def made():
    tokenizer = train_tokenizer(TEXTS, 300, 64)
    special = special_tokens(tokenizer)
    settings = ArchitectureSettings(
        hidden_size=16, n_layers=1, n_heads=2, intermediate_size=32, context_length=64
    )
    model = build_language_model(settings, len(tokenizer), special, seed=0).eval()
    packed = pack_documents(encode_documents(tokenizer, TEXTS), 64, special, pack=True)
    return model, tokenizer, TrainingData(packed, packed, packed)


def test_the_card_says_what_was_measured(made):
    model, tokenizer, data = made
    settings = TrainingSettings(token_budget=64 * 16 * 3 + 1, validation_contexts=1)
    card = language_model_card(model, tokenizer, data, settings, n_samples=2)
    assert card.tokens_seen == 64 * 16 * 3
    assert card.validation_loss_nats == pytest.approx(evaluate_loss(model, data.validation).nats_per_token)
    assert card.n_validation_tokens == data.validation.n_document_tokens
    assert 0 < card.definition_tokens < card.tokens_seen
    assert set(card.greedy) == set(PROMPTS)
    assert len(card.sampled) == 2
    assert card == language_model_card(model, tokenizer, data, settings, n_samples=2)


def test_greedy_is_the_likeliest_token_each_time(made):
    model, tokenizer, _ = made
    text = greedy_continuation(model, tokenizer, "Return", n_tokens=3)
    tokens = tokenizer("Return", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = model.generate(
            tokens, max_new_tokens=3, do_sample=False, attention_mask=torch.ones_like(tokens)
        )
    assert text == tokenizer.decode(expected[0, tokens.shape[1] :], skip_special_tokens=True)


def test_prompts_open_an_answer():
    assert PROMPTS[2] == 'What is the meaning of the word "array"?\nThe meaning of the word "array" is "'
