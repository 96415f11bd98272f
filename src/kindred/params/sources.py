"""What the files of a local model or SAE say of themselves (depth, width, site), read without torch."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred.folders import folder_files
from kindred.params.saes import BatchTopKSae, FolderSae, SparsifySae
from kindred.params.sites import SUPPORTED, Site, parse_site

_LAYER_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WIDTH_KEYS = ("hidden_size", "n_embd", "d_model", "dim")
_POSITION_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_MODEL_WEIGHTS = ", ".join([*_WEIGHTS, *_INDEXES])

LocalSae = FolderSae | SparsifySae | BatchTopKSae


class SourceError(Exception):
    """What is wrong with a folder, as a clause of a message; turned into a `Problem` by the caller."""


@dataclass(frozen=True)
class ModelFacts:
    """A local model, by its config.json."""

    n_layers: int
    d_model: int
    max_positions: int | None


@dataclass(frozen=True)
class SaeFacts:
    """What is known of an SAE without loading it; None where nothing says."""

    site: Site | None = None
    d_model: int | None = None


def read_model(folder: Path) -> ModelFacts:
    """Read depth, width and positions from a model's config.json, and see that its weights are there.

    Raises:
        SourceError: if a file is missing, or the config does not say what it must.
    """
    config = _read_json(folder / "config.json")
    if (folder / "adapter_config.json").is_file():
        raise SourceError(
            f"{folder} holds an adapter (adapter_config.json), whose base model lies elsewhere: merge the two and "
            "save that"
        )
    # A multimodal model (Gemma-3) keeps its language model's config one level down.
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    _check_model_weights(folder)
    positions = _first_integer(text, _POSITION_KEYS)
    return ModelFacts(
        n_layers=_required(text, _LAYER_KEYS, folder / "config.json"),
        d_model=_required(text, _WIDTH_KEYS, folder / "config.json"),
        max_positions=positions,
    )


def read_sae(folder: Path, entry: LocalSae) -> SaeFacts:
    """Read site and width from an SAE's folder, and see that its weights are there and whole.

    Raises:
        SourceError: if a file is missing, cut off or unclear, or the hook point is not supported.
    """
    if isinstance(entry, FolderSae):
        return _read_saelens(folder)
    if isinstance(entry, SparsifySae):
        return _read_sparsify(folder, entry)
    return _read_batch_topk(folder, entry)


def _read_saelens(folder: Path) -> SaeFacts:
    config = _read_json(folder / "cfg.json")
    # SAELens 6 moved what is not needed for inference into `metadata`.
    metadata = config["metadata"] if isinstance(config.get("metadata"), dict) else config
    hook_name = metadata.get("hook_name", config.get("hook_name"))
    d_model = _required(config, ("d_in",), folder / "cfg.json")
    _check_safetensors(folder / "sae_weights.safetensors", d_model, _first_integer(config, ("d_sae",)))
    return SaeFacts(_site(hook_name, folder / "cfg.json"), d_model)


def _read_sparsify(folder: Path, entry: SparsifySae) -> SaeFacts:
    inner = folder / entry.hookpoint if entry.hookpoint else folder
    if not inner.is_dir():
        found = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())) or "none"
        raise SourceError(f"holds no folder {entry.hookpoint} (sub-folders: {found})")
    d_model = _required(_read_json(inner / "cfg.json"), ("d_in",), inner / "cfg.json")
    _check_safetensors(inner / "sae.safetensors", d_model, None)
    return SaeFacts(_site(entry.hookpoint or inner.name, inner), d_model)


def _read_batch_topk(folder: Path, entry: BatchTopKSae) -> SaeFacts:
    config = _read_json(folder / "config.json")
    if not (folder / "sae.pt").is_file():
        raise SourceError(f"{folder / 'sae.pt'} is missing")
    hook_name = entry.hook_point or config.get("hook_point")
    return SaeFacts(
        _site(hook_name, folder / "config.json"), _required(config, ("act_size",), folder / "config.json")
    )


def _site(name: object, file: Path) -> Site:
    site = parse_site(name) if isinstance(name, str) else None
    if site is None:
        raise SourceError(
            f"{file} names the hook point {name}, which is not supported (allowed: {SUPPORTED})"
        )
    return site


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise SourceError(f"{file} is missing")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise SourceError(f"{file} holds no JSON object")
    return values


def _first_integer(config: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((config[key] for key in keys if isinstance(config.get(key), int)), None)


def _required(config: Mapping[str, Any], keys: tuple[str, ...], file: Path) -> int:
    found = _first_integer(config, keys)
    if found is None:
        raise SourceError(f"{file} holds none of {', '.join(keys)}")
    return found


def _check_model_weights(folder: Path) -> None:
    if any((folder / name).is_file() for name in _WEIGHTS):
        return
    index = next((folder / name for name in _INDEXES if (folder / name).is_file()), None)
    if index is None:
        raise SourceError(f"{folder} holds no weights (allowed: {_MODEL_WEIGHTS})")
    missing = [name for name in _shards(index) if not (folder / name).is_file()]
    if missing:
        raise SourceError(f"{folder} lacks weights that {index.name} lists: {', '.join(missing)}")


def _shards(index: Path) -> list[str]:
    """List the files that an index of weights names, sorted.

    Raises:
        SourceError: if it names none, or one outside of its folder, which would be read and not hashed.
    """
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise SourceError(f"{index} holds no weight_map")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SourceError(f"{index} names weights outside of the folder: {name}; put all files into it")
    return names


def check_embedder(folder: Path) -> None:
    """See that no index in an embedder's folder names weights outside of it.

    Raises:
        SourceError: if one does.
    """
    for file in folder_files(folder):
        if file.name in _INDEXES:
            _shards(file)


def _check_safetensors(file: Path, d_model: int, d_sae: int | None) -> None:
    """See, by the header alone, that the file is whole and its decoder [d_sae, d_model] as the config says."""
    if not file.is_file():
        raise SourceError(f"{file} is missing")
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            header = stream.read(length) if length < size else b""
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}") from error
    try:
        tensors = {name: value for name, value in json.loads(header).items() if name != "__metadata__"}
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        shape = [*map(int, tensors["W_dec"]["shape"])] if "W_dec" in tensors else None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise SourceError(f"{file} is no safetensors file, or cut off") from error
    if size != 8 + length + end:
        raise SourceError(f"{file} has {size} bytes where its header says {8 + length + end}: cut off")
    if shape is None:
        return
    if len(shape) != 2:
        raise SourceError(
            f"{file} has a decoder of {len(shape)} dimensions; allowed are two, [d_sae, d_model]"
        )
    if shape[1] != d_model:
        raise SourceError(f"{file} has a decoder of width {shape[1]} where its config says {d_model}")
    if d_sae is not None and shape[0] != d_sae:
        raise SourceError(f"{file} has a decoder of {shape[0]} features where its config says {d_sae}")
