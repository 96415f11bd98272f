"""SAEs in the format of FaithfulSAE: `config.json` and `sae.pt`, as written by the BatchTopK trainer.

Sources: Bussmann et al. 2024 (2412.06410) and its training code; FaithfulSAE (2506.17673), which evaluates its
SAEs, BatchTopK ones included, by the k largest activations of each token. A checkpoint that carries a trained
`threshold` is encoded with it instead, which is BatchTopK's own rule for inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.architectures import JumpReluSae, StandardSae, TopKSae
from kindred.saes.interface import Sae, SaeMetadata
from kindred.saes.reading import check_weights, read_json, read_torch, required

_TYPES = ("topk", "batchtopk", "vanilla", "jumprelu")


def load_batch_topk(name: str, folder: Path, hook_point: str | None) -> Sae:
    """Read a folder of `config.json` and `sae.pt`.

    Args:
        name: the SAE's name in params.yaml.
        folder: the local folder.
        hook_point: where it reads, if the config's word is not to be taken.

    Raises:
        KindredError: if a file is missing, damaged or carries code, or the config asks for what is not supported.
    """
    config = read_json(folder / "config.json")
    kind = required(config, "sae_type", folder)
    _refuse_unsupported(config, kind, folder)
    weights = read_torch(folder / "sae.pt")
    d_model = int(required(config, "act_size", folder))
    d_sae = int(required(config, "dict_size", folder))
    shapes = {"W_enc": (d_model, d_sae), "W_dec": (d_sae, d_model), "b_enc": (d_sae,), "b_dec": (d_model,)}
    trained = {"jumprelu.log_threshold": (d_sae,)} if kind == "jumprelu" else {}
    check_weights(weights, {**shapes, **trained}, folder)
    tensors = {key: weights[key] for key in shapes}
    notes = []
    if kind in ("topk", "batchtopk") and not config.get("use_encoder_bias", False):
        if tensors["b_enc"].any():
            notes.append("the encoder bias in the file was left out, as in training")
        tensors["b_enc"] = torch.zeros_like(tensors["b_enc"])
    threshold = _threshold(kind, weights, d_sae)
    if kind == "batchtopk" and threshold is None:
        notes.append(
            "BatchTopK without a trained threshold: the top_k largest activations of each token are kept"
        )
    hook_name = hook_point or str(required(config, "hook_point", folder))
    metadata = SaeMetadata(
        source=str(folder),
        hook_name=hook_name,
        model_name=config.get("model_name"),
        prepend_bos=True,  # the trainer's to_tokens(prepend_bos=True), not a setting of it
        context_size=config.get("seq_len"),
        normalize_activations="layer_norm" if config.get("input_unit_norm") else "none",
        notes=tuple(notes),
    )
    return _build(name, HookPoint.parse(hook_name), tensors, metadata, threshold, config, folder)


def _build(
    name: str,
    hook_point: HookPoint,
    tensors: dict[str, Tensor],
    metadata: SaeMetadata,
    threshold: Tensor | None,
    config: Mapping[str, Any],
    folder: Path,
) -> Sae:
    kind = config["sae_type"]
    if threshold is not None:
        # The trainer's JumpReLU reads x itself, every other type x - b_dec.
        minus_b_dec = kind != "jumprelu"
        return JumpReluSae(
            name,
            hook_point,
            {**tensors, "threshold": threshold},
            metadata,
            apply_b_dec_to_input=minus_b_dec,
        )
    if kind == "vanilla":
        return StandardSae(name, hook_point, tensors, metadata, apply_b_dec_to_input=True)
    k, d_sae = int(required(config, "top_k", folder)), tensors["W_enc"].shape[1]
    if not 0 < k <= d_sae:
        raise KindredError(f"{folder}: top_k={k} must lie between 1 and dict_size={d_sae}")
    return TopKSae(name, hook_point, tensors, metadata, apply_b_dec_to_input=True, k=k)


def _threshold(kind: str, weights: Mapping[str, Tensor], d_sae: int) -> Tensor | None:
    """The threshold of each feature, [d_sae], where the checkpoint has been given one in training."""
    if kind == "jumprelu":
        return weights["jumprelu.log_threshold"].exp()
    if kind == "batchtopk" and "threshold" in weights and bool((weights["threshold"] > 0).all()):
        return weights["threshold"].expand(d_sae)
    return None


def _refuse_unsupported(config: Mapping[str, Any], kind: str, folder: Path) -> None:
    if kind not in _TYPES:
        raise KindredError(f"{folder}: sae_type {kind!r} is not one of {', '.join(_TYPES)}")
    if config.get("tied_weights"):
        raise KindredError(f"{folder}: tied_weights is not supported")
    if config.get("activation", "relu") != "relu":
        raise KindredError(f"{folder}: activation {config['activation']!r} is not supported (relu)")
