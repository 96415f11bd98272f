"""Causal language models of transformers with their tokenizers, from a local folder or the hub.

To import this module costs nothing, and to load a tokenizer of the generic class needs neither torch nor the classes of
the models, which take seconds to import: some steps read text and no model.
"""

from __future__ import annotations

import json
import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from kindred.errors import KindredError, one_line
from kindred.models.vocabulary import hide_ids, ids_without_token, refuse_larger_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The class of every tokenizer that is wholly described by its tokenizer.json, as transformers 5 writes its name.
_GENERIC_TOKENIZER = "TokenizersBackend"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for forward passes: in eval mode, without gradients.

    Ids for which its tokenizer has no token have no probability in any pass (`kindred.models.vocabulary`).
    """

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
        KindredError: if it is not found, a file of it is missing or damaged, it is no causal LM, it lacks a
            part that a later step needs, or its tokenizer has tokens for which it has no row.
    """
    from kindred.models.hooks import blocks, check_parts, embedding, unembedding  # noqa: PLC0415  (imports torch)

    if Path(source).is_dir() and revision is not None:
        raise KindredError(f"model.revision is {revision!r}, but {source} is a local folder: set it to null")
    model = _on_device(_load_weights(source, revision, dtype), device).eval()
    model.requires_grad_(False)
    # Some configs ask for tuples; outputs are read by name here.
    model.config.return_dict = model.config.get_text_config().return_dict = True
    check_parts(model)
    tokenizer = load_tokenizer(source, revision=revision)
    refuse_larger_tokenizer(tokenizer, len(embedding(model)), _described(source))
    hide_ids(model, ids_without_token(tokenizer, len(unembedding(model))))
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
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
        tokenizer = _open_tokenizer(source, revision)
    except Exception as error:  # each tokenizer class fails in its own way; all become one message
        raise KindredError(
            f"the tokenizer of {_described(source)} could not be loaded: {one_line(error)}"
        ) from error
    # Some classes (GPT-2's) make up an empty vocabulary where the files are missing.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise KindredError(
            f"{_described(source)} has no tokenizer (tokenizer.json or its like): save the model's tokenizer there"
        )
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, source: str, *, revision: str | None) -> None:
    """Hold a tokenizer against the number of rows in the model's config, before anything is made with it.

    A config that does not say the number is passed over: the weights are asked when they are loaded.

    Raises:
        KindredError: if it has tokens for which the model has no row.
    """
    from transformers.utils.hub import cached_file  # noqa: PLC0415  (the tokenizer has imported it)

    try:
        file = cached_file(source, "config.json", revision=revision)
        config = json.loads(Path(file).read_bytes())
    except (OSError, ValueError, TypeError):
        return  # what is wrong is said when the weights are loaded
    if not isinstance(config, dict):
        return
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    if isinstance(text.get("vocab_size"), int):
        refuse_larger_tokenizer(tokenizer, text["vocab_size"], _described(source))


def _open_tokenizer(source: str, revision: str | None) -> PreTrainedTokenizerBase:
    """Open a tokenizer by the class its folder names if that is the generic one, else as AutoTokenizer finds it."""
    if _is_generic(Path(source)):
        from transformers import TokenizersBackend as Tokenizer  # noqa: PLC0415  (a second to import)
    else:
        from transformers import AutoTokenizer as Tokenizer  # noqa: PLC0415  (imports torch and all models)
    opened: PreTrainedTokenizerBase = Tokenizer.from_pretrained(
        source, revision=revision, trust_remote_code=False
    )
    return opened


def _is_generic(folder: Path) -> bool:
    config = folder / "tokenizer_config.json"
    if not config.is_file():
        return False
    settings = json.loads(config.read_bytes())
    return settings.get("tokenizer_class") == _GENERIC_TOKENIZER and "auto_map" not in settings


def _load_weights(source: str, revision: str | None, dtype: torch.dtype) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM  # noqa: PLC0415  (imports torch and all models)

    described = _described(source)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named below; transformers would refer to its own log
            trust_remote_code=False,  # or it would ask the terminal
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
    except Exception as error:  # each model class fails in its own way; all become one message
        if "trust_remote_code" in str(error):
            raise KindredError(
                f"{described} brings code of its own (auto_map in its config.json), which is not run: only the "
                "architectures that transformers has are supported"
            ) from error
        raise KindredError(f"{described} could not be loaded: {one_line(error)}") from error
    # transformers fills what is missing with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise KindredError(
            f"{described}: {len(missing)} weights are missing, {missing[0]} first: copy it again"
        )
    if mismatched := sorted(report["mismatched_keys"]):
        name, in_file, in_model = mismatched[0]
        raise KindredError(
            f"{described}: {len(mismatched)} weights have other shapes than its config.json says, {name} first: "
            f"{tuple(in_file)} in the file, {tuple(in_model)} by the config; bring both from one place"
        )
    if unexpected := sorted(report["unexpected_keys"]):
        logging.warning(
            "%s: %d weights in its files are no part of a %s of its config.json, and are not read (%s first)",
            described,
            len(unexpected),
            type(model).__name__,
            unexpected[0],
        )
    return model


def _on_device(model: PreTrainedModel, device: str) -> PreTrainedModel:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise KindredError(
            f"model.device is {device!r}, but the model could not be put there: {one_line(error)}; choose another "
            "device"
        ) from error


def _described(source: str) -> str:
    if Path(source).is_dir():
        return f"the model folder {source}"
    return f"the model {source!r} (not a local folder, so a hub name)"
