"""How steps open the model and the SAEs that the params name."""

import logging

import torch

from kindred.models.loading import LoadedModel, load_model
from kindred.params import Params
from kindred.saes.checks import check_sae_against_model
from kindred.saes.interface import Sae
from kindred.saes.loading import load_sae


def open_model(params: Params) -> LoadedModel:
    """Load the model of params.model."""
    return load_model(
        params.model.source,
        revision=params.model.revision,
        dtype=getattr(torch, params.model.dtype),
        device=params.model.device,
    )


def open_sae(params: Params, name: str) -> Sae:
    """Load one SAE of params.saes."""
    return load_sae(name, params.saes[name], device=params.model.device)


def open_saes(params: Params, model: LoadedModel) -> list[Sae]:
    """Load every SAE that a pair names, in sorted order, and check each against the model.

    What is harmless but not as in training is logged as a warning.
    """
    saes = [
        open_sae(params, name) for name in sorted({sae for pair in params.pairs.values() for sae in pair})
    ]
    for sae in saes:
        for warning in check_sae_against_model(sae, model, params.tokens):
            logging.warning("%s", warning)
    return saes
