"""Gathering to feature-major order, against copying as many bytes from one memory map to another."""

import os
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from measure import Row, Settings, by_turns
from synthetic_store import SAE, Store, make_store

from kindred.artefacts.features import array_file
from kindred.features.gather import gather

CONTEXT_LENGTH, K = 128, 32
COPIED = 1 << 16  # entries at a time, which stay in the cache


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the comparison with the copy."""
    n_contexts, d_sae = (200, 512) if settings.small else (16_384, 16_384)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(
            Path(folder), n_contexts=n_contexts, context_length=CONTEXT_LENGTH, d_sae=d_sae, k=K
        )
        target = Path(folder, "target")
        target.mkdir()
        ways = {
            "ours": lambda: _gather(store, target),
            "copy": lambda: _copy(store, target),
        }
        seconds = by_turns(ways, settings)
    yield Row(
        step="gather",
        case=f"{n_contexts * CONTEXT_LENGTH / 1e6:.1f} M tokens, d_sae {d_sae}, k {K}",
        against="limit",
        reference="copy of as many bytes, read once and written once, map to map",
        seconds=seconds["ours"],
        reference_seconds=seconds["copy"],
        rounds=settings.rounds,
        target=1 / 3,
        note="one thread both",
    )


def _gather(store: Store, target: Path) -> None:
    gather(store.shards, SAE, store.contexts.is_special, directory=target)
    for name in ("token", "value"):
        array_file(target, name).unlink()


def _copy(store: Store, target: Path) -> None:
    """Read what the gather reads and write as much as it writes: 4 bytes of token and 4 of value for each entry."""
    for shard in store.shards:
        activations = shard.saes[SAE]
        path = array_file(target, "copy")
        written = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.uint32, shape=(2 * len(activations.value),)
        )
        with path.open("rb+") as file:  # as the gather does, so that a full disk is an error and no signal
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        to = 0
        read = (activations.indptr.view(np.uint32), activations.feature, activations.value.view(np.uint32))
        for part in chain.from_iterable(_parts(array) for array in read):
            part_of = part[: len(written) - to]
            written[to : to + len(part_of)] = part_of
            to += len(part_of)
        while to < len(written):  # what is written beyond what is read
            part_of = written[: min(COPIED, len(written) - to)]
            written[to : to + len(part_of)] = part_of
            to += len(part_of)
        path.unlink()


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[first : first + COPIED] for first in range(0, len(array), COPIED))
