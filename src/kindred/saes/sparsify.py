"""SAEs written by EleutherAI's sparsify: `cfg.json` and `sae.safetensors`, one folder for each hook point.

Format: sparsify, `SparseCoder.save_to_disk`. Activations are the ReLU of W (x - b_dec) + b, of which the k
largest are kept (`topk`), or the largest of each of k groups (`groupmax`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.saes.architectures import GroupMaxSae, TopKSae
from kindred.saes.interface import SaeMetadata
from kindred.saes.reading import check_weights, read_json, read_safetensors, required

_CLASSES = {"topk": TopKSae, "groupmax": GroupMaxSae}
_DEFAULT_EXPANSION = 32  # sparsify's own
# Options under which the files hold something other than an autoencoder of one activation.
_UNSUPPORTED = (
    "transcode",
    "skip_connection",
    "embed_skip",
    "gram_lookup",
    "signed",
    "matching_pursuit",
    "slice_encoder",
    "slice_decoder",
)


def load_sparsify(name: str, folder: Path) -> TopKSae:
    """Read the folder of one hook point; its name says where the SAE reads (`layers.6.mlp`, `h.3`).

    Raises:
        KindredError: if a file is missing or damaged, or it is a transcoder or the like.
    """
    config = read_json(folder / "cfg.json")
    _refuse_unsupported(config, folder)
    weights = read_safetensors(folder / "sae.safetensors")
    d_model = int(required(config, "d_in", folder))
    d_sae = int(config.get("num_latents") or d_model * config.get("expansion_factor", _DEFAULT_EXPANSION))
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.weight": (d_sae, d_model),
        "encoder.bias": (d_sae,),
        "W_dec": (d_sae, d_model),
        "b_dec": (d_model,),
    }
    check_weights(weights, shapes, folder)
    k = int(required(config, "k", folder))
    activation = config.get("activation", "topk")
    if not 0 < k <= d_sae or (activation == "groupmax" and d_sae % k):
        raise KindredError(f"{folder}: k={k} does not suit {activation} with {d_sae} latents")
    tensors = {
        "W_enc": weights["encoder.weight"].T.contiguous(),
        "b_enc": weights["encoder.bias"],
        "W_dec": weights["W_dec"],
        "b_dec": weights["b_dec"],
    }
    metadata = SaeMetadata(source=str(folder), hook_name=folder.name)
    hook_point = HookPoint.parse(folder.name)
    return _CLASSES[activation](name, hook_point, tensors, metadata, apply_b_dec_to_input=True, k=k)


def _refuse_unsupported(config: dict[str, Any], folder: Path) -> None:
    asked = [key for key in _UNSUPPORTED if config.get(key)]
    if asked:
        raise KindredError(
            f"{folder}: {', '.join(asked)} in cfg.json is not supported: it is no plain sparse autoencoder"
        )
    if config.get("activation", "topk") not in _CLASSES:
        raise KindredError(f"{folder}: activation {config['activation']!r} is not topk or groupmax")
