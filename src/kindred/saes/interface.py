"""One interface for every sparse autoencoder: encode, decode, W_enc, W_dec, and what it was trained with.

The conventions are those of SAELens: `W_enc` [d_model, d_sae], `W_dec` [d_sae, d_model], activations >= 0.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from kindred.models.hooks import HookPoint

Normalization = Literal["none", "layer_norm", "constant_norm_rescale"]
# Rows whose pre-activations exist at once. On a CPU 2 MB of float32 at 2,048 features (fits the cache, and was the
# fastest measured), 134 MB at 131,072; fewer would read a wide encoder too often. Elsewhere half a GiB, so that a
# GPU has enough to do at a time.
CHUNK_ROWS = 256
_DEVICE_CHUNK_ENTRIES = 1 << 27
_LAYER_NORM_EPSILON = 1e-5  # added to the deviation, not the variance, as SAELens and BatchTopK do


class SparseRows(NamedTuple):
    """Non-zero activations, sorted by row and then by feature."""

    counts: Tensor  # int64 [n], entries of each row
    feature: Tensor  # int32 [nnz]
    value: Tensor  # float32 [nnz]

    @property
    def row(self) -> Tensor:
        """The row of each entry, int64 [nnz]."""
        return torch.arange(len(self.counts), device=self.counts.device).repeat_interleave(self.counts)


@dataclass(frozen=True)
class SaeMetadata:
    """What an SAE was trained with, as far as its own files say; None where they do not."""

    source: str  # the folder or release, for messages
    hook_name: str  # as the files spell it
    model_name: str | None = None
    prepend_bos: bool | None = None
    context_size: int | None = None
    normalize_activations: Normalization = "none"
    center_residual: bool = False  # trained on the activation minus its mean over d_model
    notes: tuple[str, ...] = field(default=())  # what loading had to decide, one sentence each


class _InputScale(NamedTuple):
    """What `prepare` took out of an input: x = prepared * scale + mean."""

    mean: Tensor | None  # [..., 1]
    scale: Tensor | None  # [..., 1]


class Sae(ABC):
    """A trained sparse autoencoder, for inference.

    Weights keep the precision in which they were stored, as float32; all arithmetic is float32.
    """

    architecture: str

    def __init__(
        self,
        name: str,
        hook_point: HookPoint,
        weights: Mapping[str, Tensor],
        metadata: SaeMetadata,
        *,
        apply_b_dec_to_input: bool,
    ) -> None:
        """Take the weights as float32.

        Args:
            name: the SAE's name in params.yaml.
            hook_point: where it reads.
            weights: `W_enc` [d_model, d_sae], `W_dec` [d_sae, d_model], `b_dec` [d_model], and those
                of the architecture.
            metadata: what it was trained with.
            apply_b_dec_to_input: whether the encoder reads x - b_dec.
        """
        self.name = name
        self.hook_point = hook_point
        self.weights = {key: tensor.detach().to(torch.float32) for key, tensor in weights.items()}
        self.metadata = metadata
        self.apply_b_dec_to_input = apply_b_dec_to_input

    @property
    def W_enc(self) -> Tensor:  # noqa: N802
        """The encoder, [d_model, d_sae]."""
        return self.weights["W_enc"]

    @property
    def W_dec(self) -> Tensor:  # noqa: N802
        """The decoder, [d_sae, d_model]; row f is the direction that feature f writes."""
        return self.weights["W_dec"]

    @property
    def d_model(self) -> int:
        """Width of the activations it reads."""
        return int(self.W_enc.shape[0])

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return int(self.W_enc.shape[1])

    def to(self, device: str) -> Self:
        """The same SAE with its weights on another device."""
        moved = copy.copy(self)
        moved.weights = {key: tensor.to(device) for key, tensor in self.weights.items()}
        return moved

    def prepare(self, x: Tensor) -> Tensor:
        """What the SAE was trained to read: x [..., d_model] centred and normalised as its config says."""
        return self._prepare(x)[0]

    def encode(self, x: Tensor) -> Tensor:
        """Activations of all features, [..., d_sae], for model activations x [..., d_model]."""
        return self._activate(self._encoder_input(x))

    def encode_sparse(self, x: Tensor) -> SparseRows:
        """The non-zero activations for x [n, d_model]; dense ones exist of some rows at a time."""
        n_rows = _rows_at_once(self.d_sae, x.device)
        scratch = torch.empty(min(n_rows, len(x)) if x.device.type == "cpu" else 0, self.d_sae)
        parts = [self._encode_rows(rows, scratch[: len(rows)]) for rows in torch.split(x, n_rows)]
        return SparseRows(*(torch.cat(arrays) for arrays in zip(*parts, strict=True)))

    def decode(self, acts: Tensor, x: Tensor | None = None) -> Tensor:
        """Reconstruction [..., d_model] from acts [..., d_sae], in the space of the model's activations.

        Args:
            acts: activations of features.
            x: the model activations that were encoded; needed by an SAE that centres or normalises each
                input, since its output has to be brought back by the same mean and scale.

        Raises:
            ValueError: if x is needed and not given.
        """
        out = self._decode(acts) + self.weights["b_dec"]
        if x is None:
            if self.metadata.center_residual or self.metadata.normalize_activations != "none":
                raise ValueError(f"SAE {self.name} normalises each input: decode(acts, x) needs the input x")
            return out
        _, (mean, scale) = self._prepare(x)
        out = out if scale is None else out * scale
        return out if mean is None else out + mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x), x), [..., d_model]."""
        return self.decode(self.encode(x), x)

    def _encode_rows(self, x: Tensor, scratch: Tensor) -> SparseRows:
        """As `encode_sparse`; scratch [n, d_sae] is memory for pre-activations, on a CPU."""
        acts = self.encode(x)
        row, feature = acts.nonzero(as_tuple=True)
        return SparseRows(row.bincount(minlength=len(x)), feature.to(torch.int32), acts[row, feature])

    def _encoder_input(self, x: Tensor) -> Tensor:
        prepared = self.prepare(x)
        return prepared - self.weights["b_dec"] if self.apply_b_dec_to_input else prepared

    def _prepare(self, x: Tensor) -> tuple[Tensor, _InputScale]:
        x = x.to(torch.float32)
        normalization = self.metadata.normalize_activations
        mean = scale = None
        if self.metadata.center_residual or normalization == "layer_norm":
            mean = x.mean(dim=-1, keepdim=True)
            x = x - mean
        if normalization == "layer_norm":
            deviation = x.std(dim=-1, keepdim=True)
            return x / (deviation + _LAYER_NORM_EPSILON), _InputScale(mean, deviation)
        if normalization == "constant_norm_rescale":
            factor = self.d_model**0.5 / x.norm(dim=-1, keepdim=True)
            x, scale = x * factor, 1 / factor
        return x, _InputScale(mean, scale)

    @abstractmethod
    def _activate(self, encoder_input: Tensor) -> Tensor:
        """Activations [..., d_sae] of the prepared input [..., d_model], b_dec already taken off."""

    def _decode(self, acts: Tensor) -> Tensor:
        """The decoder without its bias."""
        return acts @ self.W_dec


def _rows_at_once(d_sae: int, device: torch.device) -> int:
    return CHUNK_ROWS if device.type == "cpu" else max(CHUNK_ROWS, _DEVICE_CHUNK_ENTRIES // d_sae)
