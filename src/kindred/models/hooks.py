"""Sites in a causal LM of transformers, and a forward pass that goes no further than the deepest one in use.

Names and meanings are TransformerLens's (`hook_resid_pre`, `hook_resid_post`, `hook_mlp_out`,
`hook_attn_out`), since that is what published SAEs name in their configs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from kindred.errors import KindredError

if TYPE_CHECKING:  # SAEs are read by steps that run no model: to import transformers' takes seconds
    from transformers import PreTrainedModel

Kind = Literal["resid_pre", "resid_post", "mlp_out", "attn_out"]

_TRANSFORMER_LENS_NAME = re.compile(r"blocks\.(\d+)\.hook_(resid_pre|resid_post|mlp_out|attn_out)")
_MODULE_NAME = re.compile(r"(?:.*\.)?(?:layers|h)\.(\d+)(?:\.(mlp|self_attn|attn|attention))?")
_ATTENTION_NAMES = ("self_attn", "attn", "attention")
_MLP_NAMES = ("mlp", "block_sparse_moe", "feed_forward")
_FINAL_NORM_NAMES = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
# A block that has `post_feedforward_layernorm` (Gemma-2, Gemma-3, OLMo-2) norms what its attention and MLP
# add to the stream; elsewhere `post_attention_layernorm` is the norm *before* the MLP (Llama, Mistral, Qwen).
_SANDWICH_MARK = "post_feedforward_layernorm"
_POST_NORM_NAMES = {"attn_out": "post_attention_layernorm", "mlp_out": "post_feedforward_layernorm"}


@dataclass(frozen=True, order=True)
class HookPoint:
    """A place in the model at which an SAE reads.

    `attn_out` and `mlp_out` are what the attention and the MLP *add to the residual stream*: the module's
    output, after the block's post-norm where it has one (Gemma-2, Gemma-3), as in TransformerLens.
    """

    kind: Kind
    layer: int

    @property
    def site(self) -> HookPoint:
        """The canonical name of the place: resid_pre of block L > 0 is resid_post of block L - 1."""
        if self.kind == "resid_pre" and self.layer > 0:
            return HookPoint("resid_post", self.layer - 1)
        return self

    @classmethod
    def parse(cls, name: str) -> HookPoint:
        """Read a TransformerLens hook name, or the name of a module of transformers (its output is the site).

        >>> HookPoint.parse("blocks.3.hook_resid_pre")
        HookPoint(kind='resid_pre', layer=3)
        >>> HookPoint.parse("model.layers.3.mlp"), HookPoint.parse("h.3")
        (HookPoint(kind='mlp_out', layer=3), HookPoint(kind='resid_post', layer=3))

        Raises:
            KindredError: for any other place, with the list of what is supported.
        """
        if match := _TRANSFORMER_LENS_NAME.fullmatch(name):
            return cls(cast(Kind, match[2]), int(match[1]))
        if match := _MODULE_NAME.fullmatch(name):
            part: Kind = "resid_post" if match[2] is None else "mlp_out" if match[2] == "mlp" else "attn_out"
            return cls(part, int(match[1]))
        raise KindredError(
            f"hook point {name!r} is not supported: it must be blocks.<layer>.hook_<kind> (kind resid_pre, "
            "resid_post, mlp_out or attn_out), or the module of a block, its MLP or its attention "
            "(layers.<layer>, layers.<layer>.mlp, layers.<layer>.self_attn)"
        )

    def __str__(self) -> str:
        return f"blocks.{self.layer}.hook_{self.kind}"


class _DeepestReachedError(Exception):
    """Ends the forward pass; never leaves this module."""


def _decoder(model: PreTrainedModel) -> nn.Module:
    """The text stack of the model, also inside a multimodal wrapper (Gemma-3)."""
    decoder = model.get_decoder()
    return cast(nn.Module, model if decoder is None else decoder)


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder blocks of the text model, in order.

    Raises:
        KindredError: if no list of `num_hidden_layers` blocks is found.
    """
    n_layers = int(model.config.get_text_config().num_hidden_layers)
    for module in _decoder(model).modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == n_layers
            and _child(module[0], _ATTENTION_NAMES)
        ):
            return module
    raise KindredError(
        f"{type(model).__name__}: no list of {n_layers} decoder blocks found; architecture not supported"
    )


def final_norm(model: PreTrainedModel) -> nn.Module:
    """The norm between the last block and the unembedding."""
    norm = _child(_decoder(model), _FINAL_NORM_NAMES)
    if norm is None:
        raise KindredError(f"{type(model).__name__}: no final norm found; architecture not supported")
    return norm


def embedding(model: PreTrainedModel) -> Tensor:
    """The token embedding matrix, [vocab, d_model], without the scale or positions that the model applies."""
    return cast(Tensor, cast(nn.Module, model.get_input_embeddings()).weight)


def unembedding(model: PreTrainedModel) -> Tensor:
    """The unembedding matrix, [vocab, d_model] (its bias, which Phi has, is left out).

    Raises:
        KindredError: if the model has no output embedding, that is, is not a language model.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise KindredError(f"{type(model).__name__} has no unembedding: a causal language model is needed")
    return cast(Tensor, head.weight)


def check_parts(model: PreTrainedModel) -> None:
    """See that a model has all parts that any step uses, so that none is missed after hours of work.

    Raises:
        KindredError: if blocks, final norm or unembedding are not found, or the unembedding does not read the residual
            stream itself (OPT-350m projects it to another width first).
    """
    blocks(model)
    final_norm(model)
    width, d_model = int(unembedding(model).shape[1]), int(model.config.get_text_config().hidden_size)
    if width != d_model:
        raise KindredError(
            f"{type(model).__name__}: the residual stream is {d_model} wide, the unembedding {width}; architecture not "
            "supported"
        )


def has_post_norms(model: PreTrainedModel) -> bool:
    """Whether blocks norm what they add to the stream, so that `mlp_out` is not the MLP module's output."""
    return _child(blocks(model)[0], (_SANDWICH_MARK,)) is not None


def _child(module: nn.Module, names: Iterable[str]) -> nn.Module | None:
    children = dict(module.named_children())
    return next((children[name] for name in names if name in children), None)


def hooked_module(model: PreTrainedModel, hook_point: HookPoint) -> nn.Module:
    """The module whose output (for resid_pre: whose input) is the hook point.

    Raises:
        KindredError: if the model has no such layer, or its blocks no such part.
    """
    layers = blocks(model)
    if not 0 <= hook_point.layer < len(layers):
        raise KindredError(
            f"hook point {hook_point}: the model has {len(layers)} blocks, 0 to {len(layers) - 1}"
        )
    block = layers[hook_point.layer]
    if hook_point.kind in ("resid_pre", "resid_post"):
        return block
    if has_post_norms(model):
        names: tuple[str, ...] = (_POST_NORM_NAMES[hook_point.kind],)
    else:
        names = _ATTENTION_NAMES if hook_point.kind == "attn_out" else _MLP_NAMES
    module = _child(block, names)
    if module is None:
        raise KindredError(f"hook point {hook_point}: {type(block).__name__} has none of {', '.join(names)}")
    return module


@torch.no_grad()
def run_to_hook_points(
    model: PreTrainedModel,
    tokens: Tensor,
    attention_mask: Tensor | None,
    hook_points: Sequence[HookPoint],
    *,
    position_ids: Tensor | None = None,
) -> dict[HookPoint, Tensor]:
    """Activations at the hook points, from one forward pass that ends at the deepest of them.

    No later block, final norm or unembedding is computed. Two names of one site share a hook and a tensor.

    Args:
        model: a causal LM.
        tokens: int64 [batch, position].
        attention_mask: 1 for tokens, 0 for padding, [batch, position]; None if nothing is padded. With
            padding on the left also pass `position_ids`: transformers counts positions from the padding.
        hook_points: at least one.
        position_ids: int64 [batch, position], or None for 0, 1, 2, ...

    Returns:
        For each hook point, [batch, position, d_model] in the model's dtype.
    """
    pending = {point.site for point in hook_points}
    captured: dict[HookPoint, Tensor] = {}
    if not pending:
        return {}

    def capture(site: HookPoint, value: Any) -> None:
        tensor = value[0] if isinstance(value, tuple) else value
        # A block may go on to change the tensor in place, except at the place where the pass ends.
        captured[site] = tensor.clone() if len(pending) > 1 else tensor
        pending.discard(site)
        if not pending:
            raise _DeepestReachedError

    modules = {site: hooked_module(model, site) for site in pending}
    handles = [_register(module, site, capture) for site, module in modules.items()]
    # Arguments left at None are not passed: some models do not know them.
    optional = {"attention_mask": attention_mask, "position_ids": position_ids}
    try:
        model(
            input_ids=tokens,
            use_cache=False,
            **{name: value for name, value in optional.items() if value is not None},
        )
    except _DeepestReachedError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return {point: captured[point.site] for point in hook_points}


def _register(
    module: nn.Module, site: HookPoint, capture: Callable[[HookPoint, Any], None]
) -> torch.utils.hooks.RemovableHandle:
    if site.kind == "resid_pre":

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            capture(site, args[0] if args else kwargs["hidden_states"])

        return module.register_forward_pre_hook(before, with_kwargs=True)

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        capture(site, output)

    return module.register_forward_hook(after)
