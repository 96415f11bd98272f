"""The small causal language model of the default experiment, and the loss by which it is judged.

Architecture: Llama (Touvron et al. 2023) with tied embeddings, in Hugging Face form, which every tool reads.
"""

import math
from dataclasses import dataclass

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as settings_dataclass
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from kindred.corpus.packing import PackedContexts, SpecialTokens
from kindred.errors import KindredError


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ArchitectureSettings:
    """Sizes of the language model; the defaults are what one CPU core trains in an hour."""

    hidden_size: int = 256
    n_layers: int = 6
    n_heads: int = 4
    intermediate_size: int = 704
    context_length: int = 256


@dataclass(frozen=True)
class Loss:
    """Mean cross-entropy of next-token prediction over the tokens of documents."""

    nats_per_token: float
    n_tokens: int

    @property
    def perplexity(self) -> float:
        """Exponential of the loss in nats."""
        return math.exp(self.nats_per_token)


def build_language_model(
    settings: ArchitectureSettings, vocab_size: int, special: SpecialTokens, seed: int
) -> LlamaForCausalLM:
    """Build a model with random weights that hang on the seed alone; global random state is untouched."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        max_position_embeddings=settings.context_length,
        tie_word_embeddings=True,
        bos_token_id=special.bos,
        eos_token_id=special.eos,
        pad_token_id=special.pad,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def count_parameters(model: PreTrainedModel) -> int:
    """Count the parameters, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def next_token_loss(model: PreTrainedModel, tokens: Tensor, pad: int) -> Tensor:
    """Return the mean cross-entropy over all targets that are not padding.

    Args:
        model: A causal language model.
        tokens: Token ids, int64 [context, position].
        pad: Id of the padding token.
    """
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1), ignore_index=pad)


@torch.inference_mode()
def evaluate_loss(model: PreTrainedModel, contexts: PackedContexts, batch_size: int = 16) -> Loss:
    """Measure the loss over the tokens of documents; special tokens are context, never targets.

    Raises:
        KindredError: If the contexts hold no token of a document after their first position.
    """
    total, count = 0.0, 0
    for start in range(0, contexts.n_contexts, batch_size):
        rows = slice(start, start + batch_size)
        tokens = torch.from_numpy(contexts.tokens[rows]).long().to(model.device)
        counted = torch.from_numpy(~contexts.is_special[rows, 1:]).to(model.device)
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
        total += float(cross_entropy(logits[counted].float(), tokens[:, 1:][counted], reduction="sum"))
        count += int(counted.sum())
    if count == 0:
        raise KindredError(
            "no token to evaluate the language model on; give more documents or a larger validation_share"
        )
    return Loss(total / count, count)
