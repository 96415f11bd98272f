"""Sparse activations of all SAEs over one shard of the contexts, as CSR arrays (one row per token)."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts.growing import GrowingArray
from kindred.errors import KindredError

KIND = "activations"
VERSION = 1

_ARRAYS = ("indptr", "feature", "value")
_SHARD_FILE = "shard.json"


@dataclass(frozen=True, eq=False)
class SparseActivations:
    """Non-zero activations of one SAE, compressed by row; a row is a token, special ones have empty rows.

    Attributes:
        indptr: int64 [n_tokens + 1]; row t holds entries indptr[t] to indptr[t + 1].
        feature: uint16 or uint32 [nnz], ascending within a row.
        value: float32 [nnz], all positive and finite.
    """

    indptr: NDArray[np.int64]
    feature: NDArray[np.unsignedinteger]
    value: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not (self.feature.shape == self.value.shape == (int(self.indptr[-1]),)):
            raise KindredError(
                f"sparse activations do not fit together: indptr ends at {int(self.indptr[-1])}, "
                f"feature has shape {self.feature.shape} and value {self.value.shape}; make the shard anew"
            )


@dataclass(frozen=True, eq=False)
class ActivationShard:
    """What every SAE does on contexts first_context to first_context + n_contexts.

    Attributes:
        first_context: Index of the first context within the corpus.
        n_contexts: Contexts in this shard (may be 0).
        context_length: Positions per context.
        d_sae: Features of each SAE, by name.
        saes: Activations of each SAE, by name; row = context_of_shard * context_length + position.
    """

    first_context: int
    n_contexts: int
    context_length: int
    d_sae: Mapping[str, int]
    saes: Mapping[str, SparseActivations]

    def __post_init__(self) -> None:
        n_rows = self.n_contexts * self.context_length
        for name, activations in self.saes.items():
            if activations.indptr.shape != (n_rows + 1,):
                raise KindredError(
                    f"activations of {name} have {activations.indptr.shape[0] - 1} rows, but "
                    f"{self.n_contexts} contexts of {self.context_length} tokens; make the shard anew"
                )


def feature_dtype(d_sae: int) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest of uint16 and uint32 that holds every feature index below ``d_sae``."""
    return np.uint16 if d_sae <= 1 << 16 else np.uint32


class TokenBatch(NamedTuple):
    """What one SAE does on the tokens of a run of contexts.

    Attributes:
        counts: int64 [n_tokens], entries of each token; 0 at the special ones.
        feature: Integers [nnz], ascending within a token.
        value: float32 [nnz], all positive and finite.
    """

    counts: NDArray[np.int64]
    feature: NDArray[np.integer[Any]]
    value: NDArray[np.float32]


@contextmanager
def writing_shard(
    directory: Path, first_context: int, n_contexts: int, context_length: int, d_sae: Mapping[str, int]
) -> Iterator[Callable[[Mapping[str, TokenBatch]], None]]:
    """Write a shard into an empty directory batch by batch; memory is that of one batch.

    The files are those of `save`.

    Args:
        directory: The empty directory.
        first_context: As in `ActivationShard`.
        n_contexts: Of all batches together.
        context_length: As in `ActivationShard`.
        d_sae: Features of each SAE, by name.

    Yields:
        The function that appends a batch: of each SAE the activations on the tokens that come next.
    """
    with ExitStack() as files:
        rows = {name: _GrowingRows(directory / name, features, files) for name, features in d_sae.items()}

        def append(batch: Mapping[str, TokenBatch]) -> None:
            for name, activations in batch.items():
                rows[name].append(activations)

        yield append
        for of_sae in rows.values():
            of_sae.finish()
    shard = {
        "first_context": first_context,
        "n_contexts": n_contexts,
        "context_length": context_length,
        "d_sae": dict(d_sae),
    }
    (directory / _SHARD_FILE).write_text(json.dumps(shard, indent=1, sort_keys=True) + "\n")


class _GrowingRows:
    """The three files of one SAE."""

    def __init__(self, directory: Path, d_sae: int, files: ExitStack) -> None:
        directory.mkdir()
        dtypes = (np.int64, feature_dtype(d_sae), np.float32)
        self._arrays = tuple(
            GrowingArray(files.enter_context((directory / f"{array}.npy").open("wb")), np.dtype(dtype))
            for array, dtype in zip(_ARRAYS, dtypes, strict=True)
        )
        self._n_entries = 0
        self._arrays[0].append(np.zeros(1, np.int64))

    def append(self, batch: TokenBatch) -> None:
        indptr, feature, value = self._arrays
        ends = np.cumsum(batch.counts, dtype=np.int64)
        indptr.append(ends + self._n_entries)
        feature.append(batch.feature)
        value.append(batch.value)
        self._n_entries += len(batch.value)

    def finish(self) -> None:
        for array in self._arrays:
            array.finish()


def save(value: ActivationShard, directory: Path) -> None:
    """Write a shard into an empty directory.

    Files:
        shard.json: first_context, n_contexts, context_length, and d_sae by SAE.
        {sae}/indptr.npy: Where the row of each token begins and ends, int64 [n_tokens + 1].
        {sae}/feature.npy: The features that fire, uint16 or uint32 [nnz].
        {sae}/value.npy: Their activations, float32 [nnz].
    """
    d_sae = {name: value.d_sae[name] for name in value.saes}
    with writing_shard(
        directory, value.first_context, value.n_contexts, value.context_length, d_sae
    ) as append:
        append(
            {
                name: TokenBatch(np.diff(activations.indptr), activations.feature, activations.value)
                for name, activations in value.saes.items()
            }
        )


def load(directory: Path) -> ActivationShard:
    """Open a shard; its arrays are memory-mapped, so only what is touched is read.

    Raises:
        KindredError: If the arrays do not fit together.
    """
    shard = json.loads((directory / _SHARD_FILE).read_text())
    saes = {
        name: SparseActivations(
            *(
                np.load(directory / name / f"{array}.npy", mmap_mode="r", allow_pickle=False)
                for array in _ARRAYS
            )
        )
        for name in shard["d_sae"]
    }
    return ActivationShard(
        shard["first_context"], shard["n_contexts"], shard["context_length"], shard["d_sae"], saes
    )
