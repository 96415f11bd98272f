"""The activation rules of the supported SAEs: ReLU, gated, JumpReLU, TopK and GroupMax.

Sources: Cunningham et al. 2023 (standard); Rajamanoharan et al. 2024 (gated 2404.16014, JumpReLU 2407.14435);
Gao et al. 2024 (TopK 2406.04093). BatchTopK (Bussmann et al. 2412.06410) is one of these at inference.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kindred.models.hooks import HookPoint
from kindred.saes.interface import Sae, SaeMetadata, SparseRows
from kindred.saes.selection import Selected, above, largest


class StandardSae(Sae):
    """ReLU of a linear encoder."""

    architecture = "standard"

    def _encode_rows(self, x: Tensor, scratch: Tensor) -> SparseRows:
        if x.device.type != "cpu":
            return super()._encode_rows(x, scratch)
        return self._above(self._encoder_input(x), torch.zeros(self.d_sae), scratch)

    def _above(self, encoder_input: Tensor, floor: Tensor, scratch: Tensor) -> SparseRows:
        """The pre-activations above their feature's floor [d_sae]; NaN is kept, for the caller to refuse."""
        pre = torch.mm(encoder_input, self.W_enc, out=scratch).numpy()
        bias = self.weights["b_enc"].contiguous().numpy()
        return _rows(above(pre, bias, floor.numpy(), torch.get_num_threads()))

    def _activate(self, encoder_input: Tensor) -> Tensor:
        return torch.relu(encoder_input @ self.W_enc + self.weights["b_enc"])


class GatedSae(Sae):
    """One linear map gates, a rescaled copy of it gives the magnitudes."""

    architecture = "gated"

    def _activate(self, encoder_input: Tensor) -> Tensor:
        weights = self.weights
        gate = encoder_input @ self.W_enc + weights["b_gate"] > 0
        magnitude = torch.relu(encoder_input @ (self.W_enc * weights["r_mag"].exp()) + weights["b_mag"])
        return gate * magnitude


class JumpReluSae(StandardSae):
    """ReLU that is zero up to a threshold of each feature; also the inference form of SAELens's BatchTopK."""

    architecture = "jumprelu"

    def _encode_rows(self, x: Tensor, scratch: Tensor) -> SparseRows:
        if x.device.type != "cpu":
            return super()._encode_rows(x, scratch)
        return self._above(self._encoder_input(x), self.weights["threshold"].relu(), scratch)

    def _activate(self, encoder_input: Tensor) -> Tensor:
        pre = encoder_input @ self.W_enc + self.weights["b_enc"]
        return torch.relu(pre) * (pre > self.weights["threshold"])


class TopKSae(Sae):
    """The k largest pre-activations of each token, those of them that are positive."""

    architecture = "topk"

    def __init__(
        self,
        name: str,
        hook_point: HookPoint,
        weights: Mapping[str, Tensor],
        metadata: SaeMetadata,
        *,
        apply_b_dec_to_input: bool,
        k: int,
        rescale_acts_by_decoder_norm: bool = False,
    ) -> None:
        """As `Sae`, and how many features fire.

        Args:
            name: as in `Sae`.
            hook_point: as in `Sae`.
            weights: as in `Sae`.
            metadata: as in `Sae`.
            apply_b_dec_to_input: as in `Sae`.
            k: at most so many features fire at a token.
            rescale_acts_by_decoder_norm: activations are scaled as if the decoder's rows had norm one.
        """
        super().__init__(name, hook_point, weights, metadata, apply_b_dec_to_input=apply_b_dec_to_input)
        self.k = k
        if rescale_acts_by_decoder_norm:
            self.weights["decoder_norm"] = self.W_dec.norm(dim=-1)

    def _encode_rows(self, x: Tensor, scratch: Tensor) -> SparseRows:
        encoder_input = self._encoder_input(x)
        if x.device.type == "cpu":
            found = self._largest(encoder_input, scratch)
            if found is not None:
                return found
        value, feature = self._top(encoder_input)
        feature, order = feature.sort(dim=-1)
        value = value.gather(-1, order)
        kept = value != 0  # NaN is kept, for the caller to refuse
        return SparseRows(kept.sum(dim=-1), feature[kept].to(torch.int32), value[kept])

    def _largest(self, encoder_input: Tensor, scratch: Tensor) -> SparseRows | None:
        """What `_top` would choose, several times as fast; None where it has to choose among equal values."""
        pre, bias = torch.mm(encoder_input, self.W_enc, out=scratch), self.weights["b_enc"].contiguous()
        if "decoder_norm" in self.weights:
            pre.add_(bias).mul_(self.weights["decoder_norm"])
            bias = torch.zeros_like(bias)
        selected = largest(pre.numpy(), bias.numpy(), self.k, torch.get_num_threads())
        return None if selected is None else _rows(selected)

    def _activate(self, encoder_input: Tensor) -> Tensor:
        value, feature = self._top(encoder_input)
        acts = value.new_zeros((*value.shape[:-1], self.d_sae))
        return acts.scatter_(-1, feature, value)

    def _pre_activations(self, encoder_input: Tensor) -> Tensor:
        pre = encoder_input @ self.W_enc + self.weights["b_enc"]
        return pre * self.weights["decoder_norm"] if "decoder_norm" in self.weights else pre

    def _top(self, encoder_input: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen features of each token and their values >= 0, [..., k]; ties as in torch.topk."""
        value, feature = self._pre_activations(encoder_input).topk(self.k, dim=-1, sorted=False)
        return value.relu(), feature

    def _decode(self, acts: Tensor) -> Tensor:
        if "decoder_norm" in self.weights:
            acts = acts * (1 / self.weights["decoder_norm"])
        return super()._decode(acts)


class GroupMaxSae(TopKSae):
    """The largest pre-activation of each of k equal groups of features (sparsify's `groupmax`)."""

    architecture = "groupmax"

    def _largest(self, encoder_input: Tensor, scratch: Tensor) -> SparseRows | None:
        return None

    def _top(self, encoder_input: Tensor) -> tuple[Tensor, Tensor]:
        pre = self._pre_activations(encoder_input)
        value, slot = pre.view(*pre.shape[:-1], self.k, self.d_sae // self.k).max(dim=-1)
        first_of_group = torch.arange(0, self.d_sae, self.d_sae // self.k, device=slot.device)
        return value.relu(), slot + first_of_group


def _rows(selected: Selected) -> SparseRows:
    return SparseRows(*(torch.from_numpy(array) for array in selected))
