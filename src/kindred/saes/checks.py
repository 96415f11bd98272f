"""Whether an SAE fits the model it is to be used on, and the text as params.yaml cuts it."""

from __future__ import annotations

import torch
from torch import nn

from kindred.errors import KindredError
from kindred.models.hooks import final_norm, has_post_norms, hooked_module
from kindred.models.loading import LoadedModel
from kindred.params.sections import TokensParams
from kindred.saes.interface import Sae

N_NAMED_FEATURES = 5


def check_sae_against_model(sae: Sae, loaded: LoadedModel, tokens: TokensParams) -> list[str]:
    """Refuse an SAE that does not fit; say what differs from its training where that is harmless.

    Args:
        sae: the SAE.
        loaded: the model it is to be used on.
        tokens: how the corpus is cut into contexts.

    Returns:
        Warnings, one sentence each, that name the SAE and what was done.

    Raises:
        KindredError: if the SAE has another width than the model, reads at a place the model does not have, was
            trained on activations that the model cannot give, or has a feature without a direction.
    """
    where = f"SAE {sae.name} ({sae.metadata.source})"
    if sae.d_model != loaded.d_model:
        raise KindredError(
            f"{where} reads activations of width {sae.d_model}, but the model's are {loaded.d_model} wide: "
            "it was trained on another model"
        )
    hooked_module(loaded.model, sae.hook_point)
    _refuse_zero_directions(sae, where)
    _refuse_other_activations(sae, loaded, where)
    return [f"{where}: {message}" for message in _differences(sae, loaded, tokens)]


def _refuse_zero_directions(sae: Sae, where: str) -> None:
    """Refuse before the pass over the corpus what the matching could not take: it needs a cosine of every feature."""
    for matrix, weights, dim in (("decoder", sae.W_dec, 1), ("encoder", sae.W_enc, 0)):
        least, largest = torch.aminmax(weights, dim=dim)
        features = ((least == 0) & (largest == 0)).nonzero().flatten().tolist()
        if features:
            named = ", ".join(map(str, features[:N_NAMED_FEATURES]))
            more = f" and {len(features) - N_NAMED_FEATURES} more" if len(features) > N_NAMED_FEATURES else ""
            raise KindredError(
                f"{where}: the {matrix} directions of features {named}{more} are zero, so no cosine with them is "
                "defined; remove these features from the SAE, or leave the SAE out of the pairs"
            )


def _refuse_other_activations(sae: Sae, loaded: LoadedModel, where: str) -> None:
    metadata = sae.metadata
    if metadata.center_residual and not isinstance(final_norm(loaded.model), nn.LayerNorm):
        raise KindredError(
            f"{where} asks for center_writing_weights, which TransformerLens ignores on a model without LayerNorm: "
            "remove it from model_from_pretrained_kwargs in its cfg.json"
        )
    by_module = ".hook_" not in metadata.hook_name
    if by_module and sae.hook_point.kind in ("mlp_out", "attn_out") and has_post_norms(loaded.model):
        raise KindredError(
            f"{where} reads the module {metadata.hook_name}, but this model norms that module's output before it is "
            f"added, and {sae.hook_point} is the normed one: SAEs before that norm are not supported"
        )


def _differences(sae: Sae, loaded: LoadedModel, tokens: TokensParams) -> list[str]:
    metadata = sae.metadata
    messages = list(metadata.notes)
    if metadata.context_size is not None and metadata.context_size < tokens.context_length:
        messages.append(
            f"was trained on contexts of {metadata.context_size} tokens; those of params.yaml "
            f"(tokens.context_length) are {tokens.context_length}, so later positions are new to it"
        )
    has_bos = loaded.tokenizer.bos_token_id is not None
    if metadata.prepend_bos is False and has_bos:
        messages.append(
            "was trained on contexts without BOS; each context begins with BOS all the same, which every "
            "statistic leaves out"
        )
    if metadata.prepend_bos and not has_bos:
        messages.append(
            "was trained on contexts that begin with BOS; the tokenizer has none, so each begins with EOS"
        )
    if metadata.center_residual:
        messages.append("was trained on a centred residual stream; the mean over d_model is subtracted first")
    return messages
