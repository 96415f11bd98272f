import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.activations.sharding import shard_contexts
from kindred.errors import KindredError


@given(st.integers(0, 500), st.integers(1, 40))
def test_shards_cover_each_context_once_and_are_balanced(n_contexts: int, n_shards: int) -> None:
    shards = [shard_contexts(n_contexts, n_shards, shard) for shard in range(n_shards)]
    assert [context for shard in shards for context in shard] == list(range(n_contexts))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("shard", [-1, 3])
def test_a_shard_that_does_not_exist_is_refused(shard: int) -> None:
    with pytest.raises(KindredError, match=f"no shard {shard}"):
        shard_contexts(10, 3, shard)
