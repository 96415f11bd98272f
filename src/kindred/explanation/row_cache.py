"""Keys and values of many rows in memory that is allocated once: no pass copies what earlier tokens left.

The cache of transformers that grows (`DynamicCache`) joins old and new anew in every layer at every token; the one
that is allocated (`StaticCache`) attends to its empty end behind a mask. Here a layer is written in place and read as
a view of what is filled, so that attention sees the shapes, and gives the numbers, of the one that grows.
"""

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


class _AllocatedLayer(DynamicLayer):  # type: ignore[misc]  # the library's classes are untyped
    """A layer of full or sliding-window attention, of which only the first ``_n_rows`` rows are in use.

    A window is a view too: it shows what the growing cache would have kept.
    """

    def __init__(self, n_rows: int, n_tokens: int, window: int | None) -> None:
        super().__init__()
        self.is_sliding = window is not None
        self._capacity = (n_rows, n_tokens)
        self._window = window
        self._buffers: tuple[Tensor, Tensor] | None = None  # each [row, head, token, head dimension]
        self._n_rows = 0
        self._n_seen = 0

    def begin(self, n_rows: int, prefix: Any) -> None:
        """Forget all, and let each row begin with the one row of a layer of a ``DynamicCache``."""
        if n_rows > self._capacity[0]:
            raise ValueError(f"{n_rows} rows in a cache of {self._capacity[0]}")
        self._n_rows, self._n_seen = n_rows, prefix.get_seq_length()
        if self._n_seen > 0:
            n_kept = prefix.keys.shape[-2]  # of a window, the last ones
            self._write(prefix.keys, prefix.values, self._n_seen - n_kept)

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write what is new, [row, head, token, head dimension], and return all that may be attended to."""
        n_new = key_states.shape[-2]
        first_visible = self._hidden()
        self._write(key_states, value_states, self._n_seen)
        self._n_seen += n_new
        return self._view(first_visible)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep these rows, in this order, in the memory that they have."""
        keys, values = (
            states.index_select(0, beam_idx.to(states.device)) for states in self._view(self._hidden())
        )
        self._n_rows = len(beam_idx)
        self._write(keys, values, self._hidden())

    def get_seq_length(self) -> int:
        """Return the number of tokens seen."""
        return self._n_seen

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys the next pass attends to, and the position of the first."""
        return self._n_seen - self._hidden() + query_length, self._hidden()

    def _hidden(self) -> int:
        """Number of tokens at the beginning that lie outside the window of every later query."""
        return 0 if self._window is None else max(self._n_seen - self._window + 1, 0)

    def _view(self, first: int) -> tuple[Tensor, Tensor]:
        keys, values = self._allocated()
        shown = slice(self._n_rows), slice(None), slice(first, self._n_seen)
        return keys[shown], values[shown]

    def _write(self, keys: Tensor, values: Tensor, first: int) -> None:
        if self._buffers is None:
            sizes = [(self._capacity[0], s.shape[1], self._capacity[1], s.shape[3]) for s in (keys, values)]
            self._buffers = keys.new_empty(sizes[0]), values.new_empty(sizes[1])
        last = first + keys.shape[-2]
        if last > self._capacity[1]:
            raise ValueError(f"{last} tokens in a cache of {self._capacity[1]}")
        for buffer, states in zip(self._buffers, (keys, values), strict=True):
            buffer[: self._n_rows, :, first:last] = states

    def _allocated(self) -> tuple[Tensor, Tensor]:
        if self._buffers is None:
            raise ValueError("nothing was written to this cache")
        return self._buffers


class RowCache(DynamicCache):  # type: ignore[misc]  # the library's classes are untyped
    """The cache of one batch of rows after another, allocated at the first and used again for the next.

    Layers of full and of sliding-window attention are allocated; any other kind (a recurrent state, keys shared
    between layers) is the one that transformers would make.
    """

    def __init__(self, config: PreTrainedConfig, n_rows: int, n_tokens: int) -> None:
        """Make room for at most ``n_rows`` rows of at most ``n_tokens`` tokens; `begin` comes first."""
        super().__init__(config=config)
        self._config = config
        self.layers: list[Any] = [_allocated(layer, n_rows, n_tokens) for layer in self.layers]

    def begin(self, n_rows: int, prefix: DynamicCache | None = None) -> None:
        """Begin a batch: what the last one left is forgotten.

        Args:
            n_rows: Rows of this batch.
            prefix: A cache of one row with what all rows have in common; None for nothing.
        """
        source = DynamicCache(config=self._config) if prefix is None else prefix
        everywhere = torch.zeros(n_rows, dtype=torch.long)
        for index, (layer, shared) in enumerate(zip(self.layers, source.layers, strict=True)):
            if isinstance(layer, _AllocatedLayer):
                layer.begin(n_rows, shared)
            else:
                own = copy.deepcopy(shared)
                own.reorder_cache(everywhere)
                self.layers[index] = own


def cache_bytes(config: PreTrainedConfig, n_rows: int, n_tokens: int, dtype: torch.dtype) -> int:
    """Return the size of a `RowCache` in bytes: keys and values of every row, token and layer of attention.

    An upper bound where layers share keys or keep a recurrent state.

    Args:
        config: The model's.
        n_rows: Rows that there is room for.
        n_tokens: Tokens of each.
        dtype: In which the model runs.

    Example:
        6 layers of 4 heads of 64 in float32 are 12,288 bytes a token: 256 rows of 47 tokens take 141 MiB.
    """
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * n_rows * n_tokens * heads * width * text.num_hidden_layers * dtype.itemsize)


def _allocated(layer: Any, n_rows: int, n_tokens: int) -> Any:
    # Subclasses hold more than keys and values, so the type has to be the very one.
    if type(layer) is DynamicLayer:
        return _AllocatedLayer(n_rows, n_tokens, None)
    if type(layer) is DynamicSlidingWindowLayer:
        return _AllocatedLayer(n_rows, n_tokens, layer.sliding_window)
    return layer
