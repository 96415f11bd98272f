"""Text that the model writes from BOS alone, at temperature 1 and without truncation: its own distribution.

Source: FaithfulSAE (2506.17673), which trains sparse autoencoders on such text.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from kindred.corpus.packing import SpecialTokens

# Rows that have ended are dropped from the batch once they are this share of it: dropping copies the cache.
DROP_SHARE = 0.25


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]  # the library's classes are untyped
    """Keys and values of one layer in buffers of their final length: growing by concatenation copies all, each step."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate buffers [row, head, position, dimension] for the shapes first seen."""
        super().lazy_initialization(key_states, value_states)
        rows, heads, _, _ = key_states.shape
        self.key_buffer = key_states.new_empty(rows, heads, self.capacity, key_states.shape[-1])
        self.value_buffer = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
        self._show(0)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Append keys and values, and return all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.keys.shape[-2]
        stop = start + key_states.shape[-2]
        self.key_buffer[:, :, start:stop] = key_states
        self.value_buffer[:, :, start:stop] = value_states
        self._show(stop)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the given rows only."""
        self.key_buffer = self.key_buffer[indices]
        self.value_buffer = self.value_buffer[indices]
        self._show(self.keys.shape[-2])

    def _show(self, length: int) -> None:
        self.keys = self.key_buffer[:, :, :length]
        self.values = self.value_buffer[:, :, :length]


def sample_contexts(
    model: PreTrainedModel,
    n_contexts: int,
    length: int,
    generator: torch.Generator,
    batch_size: int,
    *,
    special: SpecialTokens,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.int32]:
    """Sample contexts from BOS alone; a context whose document ends (EOS) is padded from there on.

    Args:
        model: A causal language model, on the device of the generator. One that `load_model` opened never draws an
            id for which the tokenizer has no token.
        n_contexts: Number of contexts.
        length: Positions per context, BOS included.
        generator: The only source of randomness; the draws hang on the batch size too.
        batch_size: Contexts sampled at once.
        special: Ids of BOS, EOS and padding, as the tokenizer has them.
        progress: Called with the numbers of contexts done and in all, after each batch.

    Returns:
        Token ids, int32 [context, position].
    """
    contexts = np.full((n_contexts, length), special.pad, dtype=np.int32)
    for start in range(0, n_contexts, batch_size):
        stop = min(start + batch_size, n_contexts)
        contexts[start:stop] = _sample_batch(model, stop - start, length, generator, special).numpy()
        progress(stop, n_contexts)
    return contexts


@torch.inference_mode()
def _sample_batch(
    model: PreTrainedModel, rows: int, length: int, generator: torch.Generator, special: SpecialTokens
) -> Tensor:
    """Sample one batch; int32 [row, position] on the CPU."""
    result = torch.full((rows, length), special.pad, dtype=torch.int32)
    result[:, 0] = special.bos
    cache = Cache(layers=[PreallocatedLayer(length) for _ in range(model.config.num_hidden_layers)])
    alive = torch.arange(rows)  # rows of the result that the batch's rows stand for
    running = torch.ones(rows, dtype=torch.bool)
    tokens = torch.full((rows, 1), special.bos, device=model.device)
    forbidden = [token for token in {special.bos, special.pad} if token != special.eos]
    for position in range(1, length):
        logits = model(input_ids=tokens, past_key_values=cache, use_cache=True).logits[:, -1].float()
        logits[:, forbidden] = -torch.inf
        tokens = draw(logits, generator)
        drawn = tokens[:, 0].cpu()
        result[alive[running], position] = drawn[running].int()
        running &= drawn != special.eos
        if not running.any():
            break
        if running.float().mean() <= 1 - DROP_SHARE:
            kept = running.nonzero()[:, 0]
            cache.batch_select_indices(kept.to(model.device))
            alive, tokens, running = alive[kept], tokens[kept.to(model.device)], running[kept]
    return result


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a token per row from softmax(logits) by inversion: one uniform number per row.

    Args:
        logits: Float [row, token].
        generator: Source of the uniform numbers, on the device of the logits.

    Returns:
        Token ids, int64 [row, 1].
    """
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64, device=logits.device)
    # A uniform number is below 1, so the product is below the last sum: the first sum above it always exists.
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
