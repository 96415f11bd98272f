"""Sizes that are known before a job starts: of the model, the SAEs and the artefacts, by their headers alone.

What lies on a hub and was not fetched yet has no size; the estimate then leaves it out. A file that is missing or
damaged raises OSError, ValueError or LookupError: nothing is estimated then, and whoever loads it says what is wrong.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kindred.params import Params
from kindred.params.saes import BatchTopKSae, FolderSae, SparsifySae

_ITEM_SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}
_SAFETENSORS = ("sae_weights.safetensors", "sae.safetensors")


@dataclass(frozen=True)
class ModelSize:
    """A model in the precision it is to run in.

    Attributes:
        n_bytes: Of its weights.
        itemsize: Bytes of a weight, and of an activation.
        d_model: Width of the residual stream.
        d_mlp: Width inside an MLP.
        n_layers: Blocks.
        d_key_value: Keys and values of a token in one layer, numbers.
        n_vocabulary: Logits of a position.
    """

    n_bytes: int
    itemsize: int
    d_model: int
    d_mlp: int
    n_layers: int
    d_key_value: int
    n_vocabulary: int


@dataclass(frozen=True)
class SaeSize:
    """An SAE as it is held, in float32."""

    d_sae: int
    d_model: int

    @property
    def n_bytes(self) -> int:
        """Of encoder and decoder."""
        return 2 * 4 * self.d_sae * self.d_model


def model_size(params: Params) -> ModelSize | None:
    """The size of the model, None if it is not in a local folder."""
    folder = Path(params.model.source)
    if not folder.is_dir():
        return None
    whole = json.loads((folder / "config.json").read_text())
    config = whole["text_config"] if isinstance(whole.get("text_config"), dict) else whole
    d_model = _first(config, "hidden_size", "n_embd", "d_model", "dim")
    n_heads = _first(config, "num_attention_heads", "n_head", "n_heads", default=1)
    head_dim = _first(config, "head_dim", default=d_model // n_heads)
    itemsize = _ITEM_SIZES[params.model.dtype]
    return ModelSize(
        n_bytes=_n_weights(folder) * itemsize,
        itemsize=itemsize,
        d_model=d_model,
        d_mlp=_first(config, "intermediate_size", "n_inner", default=4 * d_model),
        n_layers=_first(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        d_key_value=2 * head_dim * _first(config, "num_key_value_heads", default=n_heads),
        n_vocabulary=_first(config, "vocab_size"),
    )


def sae_size(params: Params, name: str) -> SaeSize | None:
    """The size of an SAE, None if it is not in a local folder."""
    entry = params.saes[name]
    if not isinstance(entry, FolderSae | SparsifySae | BatchTopKSae) or not Path(entry.path).is_dir():
        return None
    folder = Path(entry.path)
    if isinstance(entry, BatchTopKSae):
        config = json.loads((folder / "config.json").read_text())
        return SaeSize(_first(config, "dict_size"), _first(config, "act_size"))
    if isinstance(entry, SparsifySae) and entry.hookpoint is not None:
        folder /= entry.hookpoint
    files = [folder / name for name in _SAFETENSORS if (folder / name).is_file()]
    d_sae, d_model = _header(files[0])["W_dec"]["shape"]
    return SaeSize(d_sae, d_model)


def sae_sizes(params: Params) -> list[SaeSize]:
    """The sizes of all SAEs that a pair names, as far as they are known."""
    names = sorted({sae for pair in params.pairs.values() for sae in pair})
    return [size for size in (sae_size(params, name) for name in names) if size is not None]


def array_shape(path: Path) -> tuple[int, ...]:
    """The shape of a .npy file."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return tuple(array.shape)


def densest_feature(features: Path) -> int:
    """Activations of the feature that has most of them."""
    return int(np.diff(np.load(features / "offsets.npy", mmap_mode="r", allow_pickle=False)).max(initial=0))


def n_chosen(params: Params, sae: str) -> int:
    """Features of an SAE that are looked at closely, at most."""
    matching = params.matching
    of_pair = matching.n_best + matching.n_worst + matching.n_control
    return sum(of_pair for pair in params.pairs.values() if sae in pair)


def _n_weights(folder: Path) -> int:
    """Numbers in a model's weights; of a torch checkpoint at most (two bytes each)."""
    files = sorted(folder.glob("*.safetensors"))
    if files:
        tensors = [tensor for file in files for tensor in _header(file).values()]
        return sum(math.prod(tensor["shape"]) for tensor in tensors)
    return sum(file.stat().st_size // 2 for file in folder.glob("*.bin"))


def _header(file: Path) -> dict[str, Any]:
    """Type and shape of each tensor of a safetensors file."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            raise ValueError(f"{file} is no safetensors file")
        header: dict[str, Any] = json.loads(stream.read(length))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _first(config: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    found = next((config[name] for name in names if isinstance(config.get(name), int)), default)
    if found is None:
        raise KeyError(names[0])
    return found
