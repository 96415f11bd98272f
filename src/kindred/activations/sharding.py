"""Division of the contexts of a corpus over shards that are encoded as separate jobs."""

from kindred.errors import KindredError


def shard_contexts(n_contexts: int, n_shards: int, shard: int) -> range:
    """Return the contexts of one shard: contiguous runs in corpus order whose lengths differ by at most one.

    >>> [shard_contexts(5, 2, shard) for shard in (0, 1)]
    [range(0, 2), range(2, 5)]

    Raises:
        KindredError: If there is no such shard.
    """
    if not 0 <= shard < n_shards:
        raise KindredError(
            f"there is no shard {shard}: activations.n_shards is {n_shards} (0 to {n_shards - 1})"
        )
    return range(n_contexts * shard // n_shards, n_contexts * (shard + 1) // n_shards)
