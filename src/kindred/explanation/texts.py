"""The text of every method for every feature: self-explanations and the baselines beside them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kindred.artefacts.explanation import METHODS, TEXT_COLUMNS
from kindred.explanation.baselines import CONTINUATION_SCALE, logit_lens, steered_continuations
from kindred.explanation.generation import Decoding, end_of_text_ids, generate, uniform_draws
from kindred.explanation.prompt_pass import SteeredPrompt, row_batches
from kindred.explanation.row_cache import RowCache
from kindred.explanation.template import CLOSING_QUOTE
from kindred.models.loading import LoadedModel
from kindred.params import ExplanationParams


class Speaker:
    """Makes the rows of the table of texts, one method at a time."""

    def __init__(
        self,
        loaded: LoadedModel,
        cache: RowCache,
        params: ExplanationParams,
        seed: int,
        features: NDArray[np.int64],
        directions: Tensor,
        advance: Callable[[int], None],
    ) -> None:
        self._loaded = loaded
        self._cache = cache
        self._params = params
        self._seed = seed
        self._features = features
        self._directions = directions  # unit vectors, [feature, d_model]
        self._advance = advance

    def self_explanations(
        self, prompt: SteeredPrompt, scales: NDArray[np.float32], chosen: NDArray[np.int64]
    ) -> pd.DataFrame:
        """One text for each feature and rank; ``chosen`` are indices into the grid, [feature, rank]."""
        n_ranks = chosen.shape[1]
        rows, ranks = np.divmod(np.arange(chosen.size), n_ranks)
        row_scales = scales[chosen.reshape(-1)]
        seeds = [("self", feature, rank) for feature, rank in zip(self._features[rows], ranks, strict=True)]
        texts = self._prompted(prompt, self._directions[torch.from_numpy(rows)], row_scales, seeds)
        return _table(self._features[rows], "self", ranks, row_scales, texts)

    def unsteered(self, prompt: SteeredPrompt) -> pd.DataFrame:
        """The text at scale 0, generated once and given to every feature."""
        nowhere = self._directions.new_zeros(1, self._directions.shape[1])
        texts = self._prompted(prompt, nowhere, np.zeros(1, dtype=np.float32), [("unsteered", 0, 0)])
        return self._one_each("unsteered", 0.0, texts * len(self._features))

    def continuations(self, boundary: int, mean_norm: float) -> pd.DataFrame:
        """The continuation of a neutral word under each feature's direction, at the natural norm there."""
        texts: list[str] = []
        vectors = self._directions * (CONTINUATION_SCALE * mean_norm)
        decoding = self._decoding(stop_text=None)
        for batch in row_batches(len(vectors), self._params.batch_size):
            uniforms = self._uniforms([("continuation", feature, 0) for feature in self._features[batch]])
            texts += steered_continuations(
                self._loaded, self._cache, vectors[batch], boundary, decoding, uniforms
            )
            self._advance(batch.stop - batch.start)
        return self._one_each("continuation", CONTINUATION_SCALE, texts)

    def lens(self) -> pd.DataFrame:
        """The tokens that each direction favours."""
        return self._one_each("logit_lens", float("nan"), logit_lens(self._loaded, self._directions))

    def _prompted(
        self,
        prompt: SteeredPrompt,
        directions: Tensor,
        scales: NDArray[np.float32],
        seeds: list[tuple[str, int, int]],
    ) -> list[str]:
        loaded = self._loaded
        texts: list[str] = []
        decoding = self._decoding(stop_text=CLOSING_QUOTE)
        for batch in row_batches(len(scales), self._params.batch_size):
            state = prompt.run(directions[batch], torch.from_numpy(scales[batch]).to(directions.device))
            uniforms = self._uniforms(seeds[batch])
            texts += generate(
                loaded.model, loaded.tokenizer, state.cache, state.logits, decoding, uniforms=uniforms
            )
            self._advance(batch.stop - batch.start)
        return texts

    def _decoding(self, stop_text: str | None) -> Decoding:
        temperature = self._params.temperature if self._params.decoding == "sample" else None
        return Decoding(self._params.max_new_tokens, temperature, end_of_text_ids(self._loaded), stop_text)

    def _uniforms(self, rows: list[tuple[str, int, int]]) -> NDArray[np.float64] | None:
        """Draw for rows of (method, feature, rank), each from a stream of its own; greedy decoding needs none."""
        if self._params.decoding == "greedy":
            return None
        seeds = [
            (self._seed, METHODS.index(method), int(feature), int(rank)) for method, feature, rank in rows
        ]
        return uniform_draws(seeds, self._params.max_new_tokens)

    def _one_each(self, method: str, scale: float, texts: list[str]) -> pd.DataFrame:
        n_features = len(self._features)
        ranks = np.zeros(n_features, dtype=np.int64)
        return _table(self._features, method, ranks, np.full(n_features, scale, dtype=np.float32), texts)


def _table(
    features: NDArray[np.int64],
    method: str,
    ranks: NDArray[np.int64],
    scales: NDArray[np.float32],
    texts: list[str],
) -> pd.DataFrame:
    columns = [features, np.full(len(features), method, dtype=object), ranks, scales]
    table = dict(zip(TEXT_COLUMNS, [*columns, np.array(texts, dtype=object)], strict=True))
    return pd.DataFrame(table)
