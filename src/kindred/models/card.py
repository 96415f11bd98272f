"""What a language model's card says: how much it read, what it reached, and how it writes."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kindred.corpus.definitions import ANSWER, QUESTION
from kindred.models.language_model import count_parameters, evaluate_loss
from kindred.models.sampling import sample_contexts
from kindred.models.tokenizer import special_tokens
from kindred.models.training import TrainingData, TrainingSettings, count_steps, definition_tokens_seen

_OPEN_ANSWER = ANSWER.partition("{sentence}")[0]
PROMPTS = (
    "Return the",
    "The matrix",
    *(f"{QUESTION}\n{_OPEN_ANSWER}".format(name=name) for name in ("array", "eigenvalues", "tokenizer", "X")),
)


@dataclass(frozen=True)
class LanguageModelCard:
    """Facts about a trained model that hang on its recipe alone (no times, hosts or paths).

    Attributes:
        n_parameters: Parameters, tied ones once.
        tokens_seen: Positions trained on, special ones counted.
        definition_tokens: Tokens of definition frames among them, special positions not counted.
        validation_loss_nats: Mean next-token cross-entropy on the documents held out.
        perplexity: Its exponential.
        n_validation_tokens: Tokens that the loss is a mean over.
        greedy: The likeliest continuation of each prompt.
        sampled: Texts from BOS alone at temperature 1.
    """

    n_parameters: int
    tokens_seen: int
    definition_tokens: int
    validation_loss_nats: float
    perplexity: float
    n_validation_tokens: int
    greedy: dict[str, str]
    sampled: list[str]


def language_model_card(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: TrainingData,
    settings: TrainingSettings,
    n_samples: int = 8,
) -> LanguageModelCard:
    """Measure a trained model on all the contexts held out, and let it write."""
    loss = evaluate_loss(model, data.validation, settings.batch_size)
    generator = torch.Generator().manual_seed(settings.seed)
    length = data.validation.tokens.shape[1]
    contexts = sample_contexts(
        model, n_samples, length, generator, batch_size=n_samples, special=special_tokens(tokenizer)
    )
    return LanguageModelCard(
        n_parameters=count_parameters(model),
        tokens_seen=count_steps(settings, length) * settings.batch_size * length,
        definition_tokens=definition_tokens_seen(data, settings),
        validation_loss_nats=loss.nats_per_token,
        perplexity=loss.perplexity,
        n_validation_tokens=loss.n_tokens,
        greedy={prompt: greedy_continuation(model, tokenizer, prompt) for prompt in PROMPTS},
        sampled=tokenizer.batch_decode(contexts, skip_special_tokens=True),
    )


@torch.inference_mode()
def greedy_continuation(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, n_tokens: int = 30
) -> str:
    """Continue a prompt with the likeliest tokens, up to EOS or a number of tokens."""
    tokens = tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
    start = tokens.shape[1]
    for _ in range(n_tokens):
        following = model(input_ids=tokens, use_cache=False).logits[:, -1:].argmax(dim=-1)
        if following.item() == tokenizer.eos_token_id:
            break
        tokens = torch.cat([tokens, following], dim=1)
    return str(tokenizer.decode(tokens[0, start:]))
