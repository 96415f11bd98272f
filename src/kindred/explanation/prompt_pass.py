"""The steered prompt, many rows at a time: what precedes the first placeholder is computed once and shared.

Rows are pairs of a feature and a scale; all have the same tokens, so there is no padding to mistake for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from kindred.explanation.injection import Steering, injected, last_residual
from kindred.explanation.row_cache import RowCache
from kindred.explanation.template import PlaceholderPrompt


@dataclass(frozen=True)
class PromptPass:
    """The state after the last prompt token of each row.

    Attributes:
        cache: Keys and values of the whole prompt, ready for generation; valid until the next pass, which writes
            to the same memory.
        logits: Of the first answer token, float32 [row, vocabulary].
        residual: The output of the probed block at the last prompt token, float32 [row, d_model].
    """

    cache: DynamicCache
    logits: Tensor
    residual: Tensor


class SteeredPrompt:
    """A prompt whose placeholders hold another vector in each row."""

    def __init__(
        self,
        model: PreTrainedModel,
        prompt: PlaceholderPrompt,
        steering: Steering,
        probe_layer: int,
        cache: RowCache,
    ) -> None:
        """Run the tokens before the first placeholder, on which nothing that is injected has any effect.

        The cache has room for a batch of rows and for the prompt and what is generated after it.
        """
        self._model = model
        self._steering = steering
        self._probe_layer = probe_layer
        self._suffix = torch.tensor(prompt.token_ids[prompt.n_shared :], device=model.device)
        self._positions = [position - prompt.n_shared for position in prompt.positions]
        self._cache = cache
        self._shared_cache = DynamicCache(config=model.config)
        if prompt.n_shared > 0:
            shared = torch.tensor(prompt.token_ids[: prompt.n_shared], device=model.device)
            with torch.no_grad():
                model(shared[None], past_key_values=self._shared_cache, use_cache=True, logits_to_keep=1)

    def run(self, directions: Tensor, scales: Tensor) -> PromptPass:
        """Run the rest of the prompt with rows of a unit vector, [row, d_model], and a scale, [row]."""
        n_rows = len(directions)
        self._cache.begin(n_rows, self._shared_cache)
        vectors = self._steering.vectors(directions, scales)
        with (
            torch.no_grad(),
            injected(
                self._model,
                self._steering.boundary,
                vectors,
                self._positions,
                replaces=self._steering.replaces,
            ),
            last_residual(self._model, self._probe_layer) as residuals,
        ):
            output = self._model(
                self._suffix.expand(n_rows, -1), past_key_values=self._cache, use_cache=True, logits_to_keep=1
            )
        return PromptPass(self._cache, output.logits[:, -1].float(), residuals[0])


def row_batches(n_rows: int, batch_size: int) -> Iterator[slice]:
    """Yield slices of at most ``batch_size`` rows that cover ``n_rows``."""
    for start in range(0, n_rows, batch_size):
        yield slice(start, min(start + batch_size, n_rows))
