"""Training of a causal language model as a reproducible function of its data, settings and number of threads.

The stream of contexts is a pure function of the step, so an interrupted training goes on as if it had not been.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as settings_dataclass
from torch import Tensor
from transformers import PreTrainedModel

from kindred.corpus.document import Document
from kindred.corpus.packing import PackedContexts, document_hash
from kindred.errors import KindredError
from kindred.models.language_model import evaluate_loss, next_token_loss
from kindred.models.optimizers import (
    build_optimizers,
    learning_rate_factor,
    optimizer_states,
    set_learning_rate,
)

HASH_RANGE = 2**64


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainingSettings:
    """All that a training hangs on besides its data; the token budget counts special positions too."""

    seed: int = 0
    threads: int = 1
    token_budget: int = 20_000_000
    batch_size: int = 16
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    warmup_steps: int = 100
    decay_share: float = 0.25
    definition_share: float = 0.1
    validation_share: float = 0.02
    validate_every: int = 400
    validation_contexts: int = 64
    checkpoint_every: int = 200
    bfloat16: bool = True
    compile: bool = True


@dataclass(frozen=True)
class TrainingData:
    """Contexts of the documents, contexts of definition frames (may be none), and contexts held out."""

    documents: PackedContexts
    definitions: PackedContexts | None
    validation: PackedContexts


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a step; the validation loss is measured every few hundred steps only."""

    step: int
    n_steps: int
    tokens: int
    loss_nats: float
    validation_loss_nats: float | None


@dataclass(frozen=True)
class TrainingState:
    """All that a training needs to go on: weights, the optimizers' states and the number of steps done."""

    step: int
    model: dict[str, Tensor]
    optimizers: list[dict[str, Any]]


def split_documents(
    documents: Sequence[Document], validation_share: float, seed: int
) -> tuple[list[Document], list[Document]]:
    """Split documents into training and validation by a seeded hash of each, whatever their order."""
    threshold = int(validation_share * HASH_RANGE)
    training: list[Document] = []
    validation: list[Document] = []
    for document in documents:
        (validation if document_hash(document, seed) < threshold else training).append(document)
    return training, validation


def count_steps(settings: TrainingSettings, context_length: int) -> int:
    """Return the number of steps that the token budget pays for.

    Raises:
        KindredError: If it does not pay for one step.
    """
    n_steps = settings.token_budget // (settings.batch_size * context_length)
    if n_steps < 1:
        raise KindredError(
            f"language_model.token_budget is {settings.token_budget}; one step needs "
            f"{settings.batch_size * context_length} tokens"
        )
    return n_steps


def train_language_model(
    model: PreTrainedModel,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    state: TrainingState | None = None,
    save: Callable[[TrainingState], None] = lambda _: None,
    report: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Train a model in place, from a saved state on if there is one.

    Args:
        model: The model with its initial weights, in float32.
        data: Contexts to train and to validate on.
        settings: The recipe.
        state: Where an interrupted training stood.
        save: Receives the state every ``checkpoint_every`` steps and at the end, to be copied or written at once.
        report: Receives the progress after every step.
    """
    context_length = data.documents.tokens.shape[1]
    n_steps = count_steps(settings, context_length)
    optimizers = build_optimizers(model, settings.learning_rate, settings.weight_decay)
    first_step = 0
    if state is not None:
        model.load_state_dict(state.model)
        for optimizer, saved in zip(optimizers, state.optimizers, strict=True):
            optimizer.load_state_dict(saved)
        first_step = state.step
    loss_function = torch.compile(next_token_loss, dynamic=False) if settings.compile else next_token_loss
    pad = int(model.config.pad_token_id)
    model.train()
    stream = itertools.islice(batches(data, settings), first_step, n_steps)
    for step, batch in enumerate(stream, start=first_step):
        factor = learning_rate_factor(step, n_steps, settings.warmup_steps, settings.decay_share)
        set_learning_rate(optimizers, settings.learning_rate * factor)
        with _autocast(settings):
            loss = loss_function(model, torch.from_numpy(batch).long(), pad)
        torch.autograd.backward(loss)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        done = step + 1
        validation_loss = None
        if done % settings.validate_every == 0 or done == n_steps:
            validation_loss = _validate(model, data.validation, settings)
        report(Progress(done, n_steps, done * batch.size, loss.item(), validation_loss))
        if done % settings.checkpoint_every == 0 or done == n_steps:
            save(TrainingState(done, model.state_dict(), optimizer_states(optimizers)))
    model.eval()


def batches(data: TrainingData, settings: TrainingSettings) -> Iterator[NDArray[np.int32]]:
    """Yield batches without end, int32 [context, position], definitions spread evenly among documents.

    Each source is passed through in a new random order per epoch, hanging on the seed and the epoch alone.
    """
    documents = _epochs(data.documents.tokens, settings.seed, stream=0)
    definitions = (
        None if data.definitions is None else _epochs(data.definitions.tokens, settings.seed, stream=1)
    )
    for start in itertools.count(step=settings.batch_size):
        rows = []
        for position in range(start, start + settings.batch_size):
            is_definition = definitions is not None and is_definition_context(
                position, settings.definition_share
            )
            source = definitions if is_definition and definitions is not None else documents
            rows.append(next(source))
        yield np.stack(rows)


def is_definition_context(position: int, share: float) -> bool:
    """Whether the context at a position of the stream is one of definitions."""
    return int((position + 1) * share) > int(position * share)


def definition_tokens_seen(data: TrainingData, settings: TrainingSettings) -> int:
    """Count the tokens of definition frames in the whole stream, special positions left out."""
    if data.definitions is None:
        return 0
    n_contexts = count_steps(settings, data.documents.tokens.shape[1]) * settings.batch_size
    seen = sum(is_definition_context(position, settings.definition_share) for position in range(n_contexts))
    per_context = np.count_nonzero(~data.definitions.is_special, axis=1)
    epochs, rest = divmod(seen, len(per_context))
    order = _epoch_order(len(per_context), settings.seed, 1, epochs)
    return int(epochs * per_context.sum() + per_context[order[:rest]].sum())


def _epochs(contexts: NDArray[np.int32], seed: int, stream: int) -> Iterator[NDArray[np.int32]]:
    for epoch in itertools.count():
        yield from contexts[_epoch_order(len(contexts), seed, stream, epoch)]


def _epoch_order(n_contexts: int, seed: int, stream: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, stream, epoch]).permutation(n_contexts)


def _autocast(settings: TrainingSettings) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16)


def _validate(model: PreTrainedModel, validation: PackedContexts, settings: TrainingSettings) -> float:
    # Contexts stand in the corpus's order, so an even choice among them sees every package.
    chosen = slice(None, None, max(1, validation.n_contexts // settings.validation_contexts))
    few = PackedContexts(
        validation.tokens[chosen], validation.is_special[chosen], validation.document[chosen]
    )
    model.eval()
    with _autocast(settings):
        loss = evaluate_loss(model, few, settings.batch_size)
    model.train()
    return loss.nats_per_token
