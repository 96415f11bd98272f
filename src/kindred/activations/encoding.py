"""One forward pass of the model per batch serves all SAEs; only non-zero activations outlive the batch.

docs/methods.md, section 1; special positions are masked out after SAELens #333 and SAEDashboard #46: otherwise BOS
dominates every list of top activations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kindred.artefacts.activations import ActivationShard, SparseActivations, feature_dtype
from kindred.errors import KindredError
from kindred.models.hooks import HookPoint, run_to_hook_points
from kindred.models.loading import LoadedModel
from kindred.saes.interface import Sae

# Tokens whose pre-activations exist at once: 2 MB of float32 at 2,048 features (fits the cache, and was the fastest
# measured), 134 MB at 131,072; fewer would read a wide encoder too often.
CHUNK_ROWS = 256


@dataclass(frozen=True, eq=False)
class _Batch:
    """Contexts that pass through the model together.

    Attributes:
        tokens: int32 [context, position], cut to the longest context of the batch.
        attention: bool [context, position], False at the padding.
        kept: int64 [row], flat positions (context_of_batch * context_length + position) that are not special.
    """

    first_context: int
    n_contexts: int
    context_length: int
    tokens: NDArray[np.int32]
    attention: NDArray[np.bool_]
    kept: NDArray[np.int64]

    @property
    def kept_in_cut(self) -> NDArray[np.int64]:
        """Flat positions within the cut tokens."""
        context, position = np.divmod(self.kept, self.context_length)
        cut: NDArray[np.int64] = context * self.tokens.shape[1] + position
        return cut


@dataclass(frozen=True, eq=False)
class _Collected:
    """Sparse activations of one SAE so far, one array per batch."""

    counts: list[NDArray[np.int64]] = field(default_factory=list)
    features: list[NDArray[np.unsignedinteger]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def compressed(self, d_sae: int) -> SparseActivations:
        """Return all batches as one compressed matrix."""
        counts = np.concatenate([np.zeros(0, dtype=np.int64), *self.counts])
        indptr = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        features = np.concatenate([np.zeros(0, dtype=feature_dtype(d_sae)), *self.features])
        values = np.concatenate([np.zeros(0, dtype=np.float32), *self.values])
        return SparseActivations(indptr, features, values)


@torch.no_grad()
def encode_contexts(
    model: LoadedModel,
    saes: Sequence[Sae],
    tokens: NDArray[np.int32],
    is_special: NDArray[np.bool_],
    *,
    batch_size: int,
    first_context: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ActivationShard:
    """Encode contexts with all SAEs, keeping the non-zero activations of tokens that are not special.

    Batches are runs of ``batch_size`` contexts in order, so the result does not depend on the number of cores.
    The special positions at the end of a context are its padding: no token attends to them.

    Args:
        model: The model that the SAEs were trained on.
        saes: SAEs of different names, on any hook points of the model.
        tokens: [context, position] token ids of this shard.
        is_special: [context, position], True at BOS, EOS and padding (padding on the right).
        batch_size: Contexts per forward pass.
        first_context: Index within the corpus of the first context.
        progress: Called after each batch with its number of contexts.

    Raises:
        KindredError: If an SAE does not fit the model, or an activation is not a positive finite number.
    """
    _check_inputs(model, saes, tokens, is_special)
    hook_points = list(dict.fromkeys(sae.hook_point for sae in saes))
    collected = {sae.name: _Collected() for sae in saes}
    for start in range(0, len(tokens), batch_size):
        stop = start + batch_size
        batch = _compose(tokens[start:stop], is_special[start:stop], first_context + start)
        inputs = _sae_inputs(model, batch, hook_points)
        for sae in saes:
            _encode_batch(sae, inputs[sae.hook_point], batch, collected[sae.name])
        if progress is not None:
            progress(batch.n_contexts)
    return ActivationShard(
        first_context=first_context,
        n_contexts=len(tokens),
        context_length=tokens.shape[1],
        d_sae={sae.name: sae.d_sae for sae in saes},
        saes={sae.name: collected[sae.name].compressed(sae.d_sae) for sae in saes},
    )


def _check_inputs(
    model: LoadedModel, saes: Sequence[Sae], tokens: NDArray[np.int32], is_special: NDArray[np.bool_]
) -> None:
    """Raise if the SAEs or the tokens cannot belong together."""
    if tokens.shape != is_special.shape:
        raise KindredError(
            f"tokens have shape {tokens.shape}, special positions {is_special.shape}; pack them anew"
        )
    if len({sae.name for sae in saes}) != len(saes):
        raise KindredError(f"two SAEs share a name: {', '.join(sae.name for sae in saes)}; names must differ")
    for sae in saes:
        if sae.d_model != model.d_model:
            raise KindredError(
                f"SAE {sae.name} reads {sae.d_model} dimensions, the model has {model.d_model}: "
                "it was trained on another model; correct saes or model.source"
            )
        for name, weight in sae.weights.items():
            # An infinite threshold is a feature that never fires; NaN is never meant.
            if bool(weight.isnan().any()):
                raise KindredError(f"SAE {sae.name}: its {name} holds NaN; train or fetch the SAE again")


def _compose(tokens: NDArray[np.int32], is_special: NDArray[np.bool_], first_context: int) -> _Batch:
    """Cut a batch to its longest context, BOS at least, and mark its padding."""
    n_contexts, context_length = tokens.shape
    positions = np.arange(context_length)
    lengths = np.where(is_special, 0, positions + 1).max(axis=1, initial=1)
    longest = int(lengths.max())
    return _Batch(
        first_context=first_context,
        n_contexts=n_contexts,
        context_length=context_length,
        tokens=tokens[:, :longest],
        attention=positions[:longest] < lengths[:, None],
        kept=np.flatnonzero(~is_special),
    )


def _sae_inputs(
    model: LoadedModel, batch: _Batch, hook_points: Sequence[HookPoint]
) -> dict[HookPoint, Tensor]:
    """Run the model once; float32 [row, d_model] of the tokens kept, for each hook point."""
    device = model.model.device
    tokens = torch.from_numpy(batch.tokens.astype(np.int64)).to(device)
    # Without padding no mask is passed, and the attention can take its faster, purely causal way.
    mask = None if batch.attention.all() else torch.from_numpy(batch.attention.astype(np.int64)).to(device)
    hidden = run_to_hook_points(model.model, tokens, mask, list(hook_points))
    kept = torch.from_numpy(batch.kept_in_cut).to(device)
    # Hook points that name one site share a tensor, which is then gathered once.
    gathered = {
        id(tensor): tensor.reshape(-1, tensor.shape[-1]).index_select(0, kept).to(torch.float32)
        for tensor in hidden.values()
    }
    return {hook_point: gathered[id(tensor)] for hook_point, tensor in hidden.items()}


def _encode_batch(sae: Sae, inputs: Tensor, batch: _Batch, collected: _Collected) -> None:
    """Append the activations of one SAE on one batch; inputs are [row, d_model]."""
    _check(torch.isfinite(inputs.sum(dim=-1)), batch.kept, batch, sae, "the model's output is not finite")
    dtype = feature_dtype(sae.d_sae)
    counts = np.zeros(batch.n_contexts * batch.context_length, dtype=np.int64)
    for start in range(0, len(inputs), CHUNK_ROWS):
        entries = sae.encode_sparse(inputs[start : start + CHUNK_ROWS])
        flat = batch.kept[start : start + CHUNK_ROWS][entries.row.cpu().numpy()]
        value = entries.value
        _check(
            torch.isfinite(value) & (value > 0), flat, batch, sae, "an activation is not positive and finite"
        )
        counts += np.bincount(flat, minlength=len(counts))
        collected.features.append(entries.feature.cpu().numpy().astype(dtype))
        collected.values.append(value.to(torch.float32).cpu().numpy())
    collected.counts.append(counts)


def _check(good: Tensor, flat: NDArray[np.int64], batch: _Batch, sae: Sae, problem: str) -> None:
    """Raise for the first entry that is not good; ``flat`` says where in the batch each one lies."""
    if bool(good.all()):
        return
    first = int(torch.nonzero(~good)[0])
    context, position = divmod(int(flat[first]), batch.context_length)
    raise KindredError(
        f"SAE {sae.name}: {problem} at context {batch.first_context + context}, position {position}; "
        "check the weights of the model and of the SAE, or set model.dtype to float32"
    )
