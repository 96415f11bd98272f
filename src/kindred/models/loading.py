"""Causal language models of transformers with their tokenizers, from a local folder or the hub."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from kindred.errors import KindredError
from kindred.models.hooks import blocks, embedding


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for forward passes: in eval mode, without gradients."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    n_layers: int
    d_model: int


def load_model(source: str, *, revision: str | None, dtype: torch.dtype, device: str) -> LoadedModel:
    """Load a causal LM and its tokenizer.

    Args:
        source: a local folder in Hugging Face format, or a hub name.
        revision: a branch, tag or commit of the hub; None for its default branch.
        dtype: of weights and activations.
        device: where the weights go.

    Raises:
        KindredError: if it is not found, a file of it is missing or damaged, or it is no causal LM.
    """
    if Path(source).is_dir() and revision is not None:
        raise KindredError(f"model.revision is {revision!r}, but {source} is a local folder: set it to null")
    model = _load_weights(source, revision, dtype).to(device).eval()
    model.requires_grad_(False)
    return LoadedModel(
        model=model,
        tokenizer=load_tokenizer(source, revision=revision),
        n_layers=len(blocks(model)),
        d_model=int(embedding(model).shape[1]),
    )


def load_tokenizer(source: str, *, revision: str | None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model.

    Args:
        source: a local folder in Hugging Face format, or a hub name.
        revision: a branch, tag or commit of the hub; None for its default branch.

    Raises:
        KindredError: if there is none, or its files are damaged.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, revision=revision)
    except Exception as error:  # each tokenizer class fails in its own way; all become one message
        raise KindredError(f"the tokenizer of {_described(source)} could not be loaded: {error}") from error
    # Some classes (GPT-2's) make up an empty vocabulary where the files are missing.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise KindredError(
            f"{_described(source)} has no tokenizer (tokenizer.json or its like): save the model's tokenizer there"
        )
    return tokenizer


def _load_weights(source: str, revision: str | None, dtype: torch.dtype) -> PreTrainedModel:
    described = _described(source)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, dtype=dtype, output_loading_info=True
        )
    except SafetensorError as error:
        raise KindredError(
            f"{described}: a safetensors file is corrupt or truncated ({error}): fetch or copy it again"
        ) from error
    except pickle.UnpicklingError as error:
        raise KindredError(
            f"{described}: the weights are a pickle that may carry code, so they were not loaded: "
            "convert them to safetensors"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise KindredError(f"{described} could not be loaded: {error}") from error
    # transformers fills what is missing with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise KindredError(
            f"{described}: {len(missing)} weights are missing, {missing[0]} first: copy it again"
        )
    return model


def _described(source: str) -> str:
    if Path(source).is_dir():
        return f"the model folder {source}"
    return f"the model {source!r} (not a local folder, so a hub name)"
