"""One forward pass of the model per batch serves all SAEs; only non-zero activations outlive the batch.

docs/methods.md, section 1; special positions are masked out after SAELens #333 and SAEDashboard #46: otherwise BOS
dominates every list of top activations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kindred.artefacts.activations import TokenBatch
from kindred.errors import KindredError
from kindred.models.attention import attended_positions
from kindred.models.hooks import HookPoint, embedding, run_to_hook_points
from kindred.models.loading import LoadedModel
from kindred.saes.interface import Sae, SparseRows

# Tokens in one forward pass on a CPU, where nothing is padded. At 4,096 a seventh of a small model's time went into
# memory that the system takes back and gives anew; from 2,048 down none does.
RUN_TOKENS = 1024


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


@torch.no_grad()
def encode_contexts(
    model: LoadedModel,
    saes: Sequence[Sae],
    tokens: NDArray[np.int32],
    is_special: NDArray[np.bool_],
    *,
    batch_size: int,
    first_context: int = 0,
) -> Iterator[dict[str, TokenBatch]]:
    """Encode contexts with all SAEs, keeping the non-zero activations of tokens that are not special.

    Batches are runs of ``batch_size`` contexts in order, so the result does not depend on the number of cores.
    The special positions at the end of a context are its padding: no token attends to them (`attended_positions`).
    Memory is that of one batch; a GPU computes the next one while the caller deals with the last.

    Args:
        model: The model that the SAEs were trained on.
        saes: SAEs of different names, on any hook points of the model.
        tokens: [context, position] token ids of this shard; may be memory-mapped.
        is_special: [context, position], True at BOS, EOS and padding (padding on the right).
        batch_size: Contexts per forward pass.
        first_context: Index within the corpus of the first context.

    Yields:
        For each batch, what each SAE does on its tokens.

    Raises:
        KindredError: If an SAE does not fit the model, or an activation is not a positive finite number.
    """
    _check_inputs(model, saes, tokens, is_special)
    hook_points = list(dict.fromkeys(sae.hook_point for sae in saes))
    encoded = None
    for start in range(0, len(tokens), batch_size):
        stop = start + batch_size
        batch = _compose(tokens[start:stop], is_special[start:stop], first_context + start)
        inputs = _sae_inputs(model, batch, hook_points)
        if encoded is not None:
            yield encoded
        encoded = {sae.name: _encode_batch(sae, inputs[sae.hook_point], batch) for sae in saes}
    if encoded is not None:
        yield encoded


def _check_inputs(
    model: LoadedModel, saes: Sequence[Sae], tokens: NDArray[np.int32], is_special: NDArray[np.bool_]
) -> None:
    """Raise if the SAEs or the tokens cannot belong together."""
    if tokens.shape != is_special.shape:
        raise KindredError(
            f"tokens have shape {tokens.shape}, special positions {is_special.shape}; pack them anew"
        )
    most = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    if most is not None and tokens.shape[1] > most:
        raise KindredError(
            f"the contexts have {tokens.shape[1]} positions, but the model takes {most}: lower tokens.context_length"
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


def _check_ids(model: LoadedModel, tokens: NDArray[np.int32]) -> None:
    """Raise if there is an id for which the model has no row."""
    n_rows, largest = len(embedding(model.model)), int(tokens.max(initial=0))
    if largest >= n_rows:
        raise KindredError(
            f"the corpus holds the token id {largest}, but the model's embedding has {n_rows} rows: resize it, or save "
            "the tokenizer that the model was trained with beside it"
        )


def _compose(tokens: NDArray[np.int32], is_special: NDArray[np.bool_], first_context: int) -> _Batch:
    """Cut a batch to its longest context, BOS at least, and mark its padding."""
    n_contexts, context_length = tokens.shape
    attended = attended_positions(is_special)
    longest = int(attended.sum(axis=1).max())
    return _Batch(
        first_context=first_context,
        n_contexts=n_contexts,
        context_length=context_length,
        tokens=tokens[:, :longest],
        attention=attended[:, :longest],
        kept=np.flatnonzero(~is_special),
    )


def _sae_inputs(
    model: LoadedModel, batch: _Batch, hook_points: Sequence[HookPoint]
) -> dict[HookPoint, Tensor]:
    """Run the model once; float32 [row, d_model] of the tokens kept, for each hook point."""
    _check_ids(model, batch.tokens)
    device = model.model.device
    tokens = torch.from_numpy(batch.tokens.astype(np.int64)).to(device)
    # Without padding no mask is passed, and the attention can take its faster, purely causal way.
    mask = None if batch.attention.all() else torch.from_numpy(batch.attention.astype(np.int64)).to(device)
    # Sent ahead of the forward pass: on a GPU, to send it later would be to wait for the pass to end.
    kept = torch.from_numpy(batch.kept_in_cut).to(device)
    hidden = _forward(model, tokens, mask, hook_points)
    # Hook points that name one site share a tensor, which is then gathered once.
    gathered = {
        id(tensor): tensor.reshape(-1, tensor.shape[-1]).index_select(0, kept).to(torch.float32)
        for tensor in hidden.values()
    }
    return {hook_point: gathered[id(tensor)] for hook_point, tensor in hidden.items()}


def _forward(
    model: LoadedModel, tokens: Tensor, mask: Tensor | None, hook_points: Sequence[HookPoint]
) -> dict[HookPoint, Tensor]:
    """As `run_to_hook_points`; on a CPU some contexts at a time, so that what lies between layers stays small.

    With padding the batch stays whole: whether any is in it decides which attention computes it.
    """
    at_once = max(1, RUN_TOKENS // tokens.shape[1])
    if tokens.device.type != "cpu" or mask is not None or len(tokens) <= at_once:
        return run_to_hook_points(model.model, tokens, mask, hook_points)
    runs = [run_to_hook_points(model.model, run, None, hook_points) for run in torch.split(tokens, at_once)]
    sites = {point.site: point for point in hook_points}
    joined = {site: torch.cat([run[point] for run in runs]) for site, point in sites.items()}
    return {point: joined[point.site] for point in hook_points}


def _encode_batch(sae: Sae, inputs: Tensor, batch: _Batch) -> TokenBatch:
    """The activations of one SAE on one batch; inputs are [row, d_model]."""
    finite = torch.isfinite(inputs.sum(dim=-1))
    if not bool(finite.all()):
        _refuse(finite.cpu().numpy(), batch.kept, batch, sae, "the model's output is not finite")
    count, feature, value = _fetch(sae.encode_sparse(inputs))
    good = np.isfinite(value) & (value > 0)
    if not good.all():
        flat = np.repeat(batch.kept, count)
        _refuse(good, flat, batch, sae, "an activation is not positive and finite")
    counts = np.zeros(batch.n_contexts * batch.context_length, dtype=np.int64)
    counts[batch.kept] = count
    return TokenBatch(counts, feature, value)


def _fetch(rows: SparseRows) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Count, feature and value as arrays; from a GPU in one transfer."""
    if rows.value.device.type == "cpu":
        return rows.counts.numpy(), rows.feature.numpy(), rows.value.numpy()
    return _unpack(_pack(rows).cpu().numpy(), len(rows.counts))


def _pack(rows: SparseRows) -> Tensor:
    """All three as one int32 tensor."""
    return torch.cat([rows.counts.to(torch.int32), rows.feature, rows.value.view(torch.int32)])


def _unpack(
    packed: NDArray[np.int32], n_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    counts, entries = packed[:n_rows], packed[n_rows:]
    feature, value = np.split(entries, 2)
    return counts.astype(np.int64), feature, value.view(np.float32)


def _refuse(good: NDArray[np.bool_], flat: NDArray[np.int64], batch: _Batch, sae: Sae, problem: str) -> None:
    """Raise for the first entry that is not good; ``flat`` says where in the batch each one lies."""
    context, position = divmod(int(flat[np.flatnonzero(~good)[0]]), batch.context_length)
    raise KindredError(
        f"SAE {sae.name}: {problem} at context {batch.first_context + context}, position {position}; "
        "check the weights of the model and of the SAE, or set model.dtype to float32"
    )
