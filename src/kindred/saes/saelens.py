"""SAEs in SAELens's format: from a folder, without importing SAELens, or by release and id, fetched by it.

Format: SAELens 6, `SAE.save_model`: `cfg.json` and `sae_weights.safetensors`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.architectures import GatedSae, JumpReluSae, StandardSae, TopKSae
from kindred.saes.interface import Sae
from kindred.saes.reading import check_weights, read_json, read_safetensors
from kindred.saes.saelens_config import SaeLensConfig, parse_config

_ENCODER_WEIGHTS = {
    "standard": ("b_enc",),
    "gated": ("b_gate", "r_mag", "b_mag"),
    "jumprelu": ("b_enc", "threshold"),
    "topk": ("b_enc",),
}
_CLASSES: dict[str, type[StandardSae | GatedSae | JumpReluSae]] = {
    "standard": StandardSae,
    "gated": GatedSae,
    "jumprelu": JumpReluSae,
}


def load_saelens_folder(name: str, folder: Path) -> Sae:
    """Read a folder of `cfg.json` and `sae_weights.safetensors`, written by any version of SAELens.

    A training checkpoint's `activation_scaler.json` (a scale of inputs not yet in the weights) is obeyed.

    Raises:
        KindredError: if a file is missing or damaged, or the config asks for what is not supported.
    """
    config = read_json(folder / "cfg.json")
    weights = read_safetensors(folder / "sae_weights.safetensors")
    scaler = folder / "activation_scaler.json"
    factor = read_json(scaler).get("scaling_factor") if scaler.is_file() else None
    return from_saelens(name, config, weights, source=str(folder), input_scale=factor)


def load_saelens_release(name: str, release: str, sae_id: str) -> Sae:
    """Fetch an SAE of SAELens's directory of pretrained SAEs, with SAELens's own loader for that release.

    Args:
        name: the SAE's name in params.yaml.
        release: a release, or a hub repository in SAELens's format.
        sae_id: the SAE's id within it.

    Raises:
        KindredError: if SAELens does not know it or cannot fetch it, or as in `load_saelens_folder`.
    """
    # Imported here: it takes seconds, and no other loader needs it.
    from sae_lens import SAE  # noqa: PLC0415

    source = f"SAELens release {release!r}, id {sae_id!r}"
    try:
        with warnings.catch_warnings():
            # It advises loading the model otherwise; kindred centres the activations instead.
            warnings.filterwarnings(
                "ignore", message=r"\s*This SAE has non-empty model_from_pretrained_kwargs"
            )
            # It says that a scale is unknown, which from_saelens refuses.
            warnings.filterwarnings("ignore", message="norm_scaling_factor not found")
            sae = SAE.from_pretrained(release, sae_id, device="cpu", dtype="float32")
    except (ValueError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        raise KindredError(f"{source} could not be loaded: {error}") from error
    return from_saelens(name, sae.cfg.to_dict(), sae.state_dict(), source=source, input_scale=None)


def from_saelens(
    name: str,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    source: str,
    input_scale: float | None,
) -> Sae:
    """Build an SAE from SAELens's config and weights.

    Args:
        name: the SAE's name in params.yaml.
        config: the content of `cfg.json`.
        weights: tensors by SAELens's names.
        source: for messages.
        input_scale: what inputs were multiplied by in training, where the weights do not contain it yet.

    Raises:
        KindredError: as in `load_saelens_folder`.
    """
    parsed = parse_config(config, source)
    hook_point = HookPoint.parse(parsed.metadata.hook_name)
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (parsed.d_model, parsed.d_sae),
        "W_dec": (parsed.d_sae, parsed.d_model),
        "b_dec": (parsed.d_model,),
        **dict.fromkeys(_ENCODER_WEIGHTS[parsed.architecture], (parsed.d_sae,)),
    }
    check_weights(weights, shapes, source)
    # Rounded to the precision it was trained in, then computed in float32.
    tensors = {key: weights[key].to(parsed.dtype).to(torch.float32) for key in shapes}
    tensors, notes = _fold(tensors, parsed, weights.get("scaling_factor"), input_scale, source)
    metadata = replace(parsed.metadata, notes=(*parsed.metadata.notes, *notes))
    if parsed.architecture == "topk":
        return TopKSae(
            name,
            hook_point,
            tensors,
            metadata,
            apply_b_dec_to_input=parsed.apply_b_dec_to_input,
            k=parsed.k,
            rescale_acts_by_decoder_norm=parsed.rescale_acts_by_decoder_norm,
        )
    build = _CLASSES[parsed.architecture]
    return build(name, hook_point, tensors, metadata, apply_b_dec_to_input=parsed.apply_b_dec_to_input)


def _fold(
    tensors: dict[str, Tensor],
    parsed: SaeLensConfig,
    feature_scale: Tensor | None,
    input_scale: float | None,
    source: str,
) -> tuple[dict[str, Tensor], list[str]]:
    """Put into the weights what SAELens may keep beside them, and say so."""
    notes = []
    if feature_scale is not None and not torch.allclose(feature_scale, torch.ones_like(feature_scale)):
        if not parsed.finetuned_scale:
            raise KindredError(
                f"{source}: has a scaling_factor, but no finetuning_scaling_factor in its config"
            )
        tensors = {**tensors, "W_dec": tensors["W_dec"] * feature_scale.to(torch.float32)[:, None]}
        notes.append("the finetuned scale of each feature was multiplied into its decoder row")
    if parsed.scaled_input:
        if input_scale is None:
            raise KindredError(
                f"{source}: was trained on activations scaled to a constant mean norm, by an unknown factor. "
                "Fold it into the weights with SAELens's fold_activation_norm_scaling_factor and save again"
            )
        tensors = {
            **tensors,
            "W_enc": tensors["W_enc"] * input_scale,
            "W_dec": tensors["W_dec"] / input_scale,
            "b_dec": tensors["b_dec"] / input_scale,
        }
        notes.append(f"the scale of inputs, {input_scale:.6g}, was folded into the weights")
    return tensors, notes
