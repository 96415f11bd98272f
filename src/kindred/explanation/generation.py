"""Batched generation from a filled cache: greedy, or sampled with one stream of random numbers for each row.

A row's draws do not depend on which rows share its batch. Rows that have ended leave the batch together.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from kindred.characters import mend_surrogates
from kindred.models.loading import LoadedModel

Steer = Callable[[list[int]], AbstractContextManager[None]]

# Of the rows in a batch, when they leave it: to leave is to copy the keys and values of all that stay.
_ENDED_SHARE = 0.25


@dataclass(frozen=True)
class Decoding:
    """How a text goes on and where it ends.

    Attributes:
        max_new_tokens: Length limit.
        temperature: Of sampling; None decodes greedily.
        stop_ids: Tokens that end a text, EOS above all.
        stop_text: Text that ends a text; what comes after it in the same token is cut off too.
    """

    max_new_tokens: int
    temperature: float | None
    stop_ids: frozenset[int]
    stop_text: str | None


def end_of_text_ids(loaded: LoadedModel) -> frozenset[int]:
    """Return the tokenizer's EOS id and those that the model's own generation settings name (end of turn)."""
    named = loaded.model.generation_config.eos_token_id
    ids = list(named) if isinstance(named, (list, tuple)) else [named]
    return frozenset(token for token in [loaded.tokenizer.eos_token_id, *ids] if token is not None)


def uniform_draws(seeds: Sequence[tuple[int, ...]], n_draws: int) -> NDArray[np.float64]:
    """Return numbers in [0, 1), [row, draw]; a tuple of integers >= 0 seeds each row."""
    return np.stack([np.random.default_rng(seed).random(n_draws) for seed in seeds])


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cache: DynamicCache,
    logits: Tensor,
    decoding: Decoding,
    *,
    uniforms: NDArray[np.float64] | None = None,
    steer: Steer | None = None,
) -> list[str]:
    """Continue each row of a cache and return the texts, stripped and without what ended them.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        cache: Keys and values of the prompt; used up by this call.
        logits: Of the first new token, [row, vocabulary].
        decoding: Length, temperature and ends.
        uniforms: Random numbers of each row, [row, max_new_tokens]; needed for sampling alone.
        steer: Makes the context of each later forward pass from the indices of the rows in the batch.
    """
    generated = generate_tokens(model, tokenizer, cache, logits, decoding, uniforms=uniforms, steer=steer)
    return [_text(tokenizer, tokens, decoding) for tokens in generated]


def generate_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cache: DynamicCache,
    logits: Tensor,
    decoding: Decoding,
    *,
    uniforms: NDArray[np.float64] | None = None,
    steer: Steer | None = None,
) -> list[list[int]]:
    """Return what `generate` makes texts of: the new token ids of each row, up to the one that ended it."""
    generated: list[list[int]] = [[] for _ in range(len(logits))]
    rows = list(range(len(logits)))  # those in the batch, of which some may have ended
    running = rows
    is_end = _EndDetector(tokenizer, decoding)
    for step in range(decoding.max_new_tokens):
        draws = None if uniforms is None else torch.from_numpy(uniforms[rows, step])
        chosen = _choose(logits, decoding.temperature, draws)
        tokens = dict(zip(rows, chosen.tolist(), strict=True))
        for row in running:
            generated[row].append(tokens[row])
        running = [row for row in running if not is_end(tokens[row])]
        if step + 1 == decoding.max_new_tokens or not running:
            break
        if len(running) <= (1 - _ENDED_SHARE) * len(rows):
            kept = torch.tensor(np.searchsorted(rows, running), device=logits.device)
            cache.reorder_cache(kept)
            rows, chosen = running, chosen[kept]
        with torch.no_grad(), steer(rows) if steer else nullcontext():
            output = model(chosen[:, None], past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = output.logits[:, -1].float()
    return generated


class _EndDetector:
    """Says whether a token ends a text; decodes each token of the vocabulary at most once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decoding: Decoding) -> None:
        self._tokenizer = tokenizer
        self._stop_text = decoding.stop_text
        self._known = dict.fromkeys(decoding.stop_ids, True)

    def __call__(self, token: int) -> bool:
        if token not in self._known:
            self._known[token] = self._stop_text is not None and self._stop_text in self._tokenizer.decode(
                [token]
            )
        return self._known[token]


def _choose(logits: Tensor, temperature: float | None, draws: Tensor | None) -> Tensor:
    """Return each row's likeliest token, or the one whose share of the cumulative sum holds the draw."""
    if temperature is None:
        return _likeliest(logits)
    if draws is None:
        raise ValueError("sampling needs random numbers; pass uniforms")
    logits = logits.double()
    # Less the largest first: divided by a tiny temperature, logits would be infinite.
    relative = (logits - logits.max(dim=-1, keepdim=True).values) / temperature
    cumulative = torch.softmax(relative, dim=-1).cumsum(-1)
    target = draws.to(cumulative.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def _likeliest(logits: Tensor) -> Tensor:
    """Return the index of each row's maximum, the first of equal ones."""
    if logits.device.type == "cpu":
        # Many times as fast as torch's argmax there, which takes as long as a layer of a small model.
        return torch.from_numpy(logits.numpy().argmax(-1))
    return logits.argmax(-1)


def _text(tokenizer: PreTrainedTokenizerBase, tokens: list[int], decoding: Decoding) -> str:
    kept = tokens[:-1] if tokens[-1] in decoding.stop_ids else tokens
    text = mend_surrogates(
        str(tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    )
    if decoding.stop_text is not None:
        text = text.split(decoding.stop_text, 1)[0]
    return text.strip()
