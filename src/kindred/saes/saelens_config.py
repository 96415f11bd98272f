"""SAELens's `cfg.json`, of version 6 and older, reduced to what inference needs.

Source: SAELens 6, `SAEConfig` and `handle_pre_6_0_config` (older versions kept the metadata beside the other
keys, and TopK as an activation function of the standard architecture).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch

from kindred.errors import KindredError
from kindred.saes.interface import Normalization, SaeMetadata
from kindred.saes.reading import required

Architecture = Literal["standard", "gated", "jumprelu", "topk"]
_ARCHITECTURES = ("standard", "gated", "jumprelu", "topk")
_NORMALIZATIONS = ("none", "layer_norm", "constant_norm_rescale", "expected_average_only_in")
_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Ways of loading a model in TransformerLens that leave the residual stream and all that is added to it alone.
_HARMLESS_MODEL_KWARGS = {
    "fold_ln",
    "center_unembed",
    "fold_value_biases",
    "refactor_factored_attn_matrices",
    "dtype",
    "torch_dtype",
    "device",
}


@dataclass(frozen=True)
class SaeLensConfig:
    """A validated config."""

    architecture: Architecture
    d_model: int
    d_sae: int
    dtype: torch.dtype
    apply_b_dec_to_input: bool
    scaled_input: bool  # trained on inputs times one constant (`expected_average_only_in`)
    finetuned_scale: bool  # the weights hold a factor for each feature's activation
    k: int  # 0 unless the architecture is topk
    rescale_acts_by_decoder_norm: bool
    metadata: SaeMetadata


def parse_config(config: Mapping[str, Any], source: str) -> SaeLensConfig:
    """Validate a config.

    Args:
        config: the content of `cfg.json`.
        source: for messages.

    Raises:
        KindredError: if a key is missing, or its value is not supported.
    """
    architecture = _architecture(config, source)
    normalization = _normalization(config, source)
    for key, supported in (("reshape_activations", (None, "none")), ("hook_head_index", (None,))):
        if _lookup(config, key) not in supported:
            raise KindredError(f"{source}: {key}={_lookup(config, key)!r} is not supported (SAEs of heads)")
    dtype = str(config.get("dtype", "float32")).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise KindredError(f"{source}: dtype {dtype!r} is not one of {', '.join(_DTYPES)}")
    scaled_input = normalization == "expected_average_only_in"
    return SaeLensConfig(
        architecture=architecture,
        d_model=int(required(config, "d_in", source)),
        d_sae=int(required(config, "d_sae", source)),
        dtype=_DTYPES[dtype],
        apply_b_dec_to_input=bool(config.get("apply_b_dec_to_input", True)),
        scaled_input=scaled_input,
        finetuned_scale=bool(config.get("finetuning_scaling_factor", False)),
        k=_k(config, source) if architecture == "topk" else 0,
        rescale_acts_by_decoder_norm=bool(config.get("rescale_acts_by_decoder_norm", False)),
        metadata=_metadata(config, source, "none" if scaled_input else cast(Normalization, normalization)),
    )


def _lookup(config: Mapping[str, Any], *names: str) -> Any:
    """The first of the names that the metadata or the config has a value for."""
    metadata = config.get("metadata") or {}
    values = (place.get(name) for name in names for place in (metadata, config))
    return next((value for value in values if value is not None), None)


def _is_before_6(config: Mapping[str, Any]) -> bool:
    version = str(_lookup(config, "sae_lens_version") or "0")
    return int(version.split(".", 1)[0]) < 6


def _architecture(config: Mapping[str, Any], source: str) -> Architecture:
    architecture = config.get("architecture", "standard")
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    if architecture in ("standard", "topk") and activation == "topk":
        return "topk"
    if architecture not in _ARCHITECTURES:
        raise KindredError(
            f"{source}: architecture {architecture!r} is not supported; it must be one of "
            f"{', '.join(_ARCHITECTURES)} (SAELens saves BatchTopK SAEs as jumprelu)"
        )
    if activation != "relu":
        raise KindredError(f"{source}: activation function {activation!r} is not supported (relu or topk)")
    return cast(Architecture, architecture)


def _normalization(config: Mapping[str, Any], source: str) -> str:
    value = config.get("normalize_activations")
    if value is None or value is False:
        return "none"
    if value is True:
        return "expected_average_only_in"
    if value not in _NORMALIZATIONS:
        raise KindredError(
            f"{source}: normalize_activations={value!r} is not supported; supported are "
            f"{', '.join(_NORMALIZATIONS)} (fold covariance_whitening into the weights with SAELens first)"
        )
    return str(value)


def _k(config: Mapping[str, Any], source: str) -> int:
    k = config.get("k") or (config.get("activation_fn_kwargs") or {}).get("k")
    d_sae = int(required(config, "d_sae", source))
    if not isinstance(k, int) or not 0 < k <= d_sae:
        raise KindredError(f"{source}: a topk SAE needs k between 1 and d_sae={d_sae}, not {k!r}")
    return k


def _metadata(config: Mapping[str, Any], source: str, normalization: Normalization) -> SaeMetadata:
    hook_name = _lookup(config, "hook_name", "hook_point")
    if hook_name is None:
        raise KindredError(
            f"{source}: the config does not say where the SAE reads; add metadata.hook_name to it"
        )
    model_kwargs = dict(_lookup(config, "model_from_pretrained_kwargs") or {})
    centred = bool(model_kwargs.pop("center_writing_weights", False))
    notes = [
        f"trained on a model loaded with {key}={value!r}; the model is loaded as params.yaml says"
        for key, value in sorted(model_kwargs.items())
        if key not in _HARMLESS_MODEL_KWARGS
    ]
    prepend_bos = _lookup(config, "prepend_bos")
    if prepend_bos is None and _is_before_6(config):
        prepend_bos = True  # the default of that time
    return SaeMetadata(
        source=source,
        hook_name=str(hook_name),
        model_name=_lookup(config, "model_name"),
        prepend_bos=prepend_bos,
        context_size=_lookup(config, "context_size"),
        normalize_activations=normalization,
        center_residual=centred,
        notes=tuple(notes),
    )
