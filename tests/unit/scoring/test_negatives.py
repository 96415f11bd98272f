from dataclasses import replace

import numpy as np
import pytest

from kindred.scoring.chunks import chunk_activations, cut_chunks
from kindred.scoring.contexts import Firing, firing
from kindred.scoring.negatives import (
    N_NEIGHBOURS,
    POOL_FACTOR,
    CandidatePool,
    from_neighbours,
    nearest_by_embedding,
    nearest_features,
)
from kindred.scoring.selection import select_contexts


def firing_of(active):
    return Firing(
        np.array(active, np.int64), np.ones(len(active), np.float32), np.zeros(0, np.int64), np.arange(10_000)
    )


def test_the_pool_is_of_silent_chunks_and_shared():
    pool = CandidatePool(np.arange(10_000), 10, seed=0)
    few, none = pool.silent(firing_of(range(0, 10_000, 2))), pool.silent(firing_of([]))
    assert (few % 2 == 1).all()
    assert len(none) == POOL_FACTOR * 10
    assert set(few.tolist()) <= set(none.tolist())
    assert (np.diff(none) > 0).all()
    assert CandidatePool(np.arange(10_000), 10, seed=1).silent(firing_of([])).tolist() != none.tolist()


def test_the_pool_grows_for_a_feature_that_is_seldom_silent():
    silent = np.arange(0, 5000, 100)
    fires = firing_of(np.setdiff1d(np.arange(5000), silent))
    found = CandidatePool(np.arange(5000), 20, seed=0).silent(fires)
    assert 20 <= len(found) <= 50
    assert set(found.tolist()) <= set(silent.tolist())
    assert CandidatePool(np.arange(5000), 1000, seed=0).silent(fires).tolist() == silent.tolist()


@pytest.mark.parametrize("kind", ["random", "decoder"])
def test_negatives_change_by_about_as_many_as_cease_to_be_silent(bench, kind):
    feature = bench.features[1]
    chunks = cut_chunks(bench.contexts, 8)
    params = bench.params.model_copy(update={"negatives": kind})

    def negatives(index, seed=0):
        windows = bench.windows(bench.features).positions
        features = np.array([feature])
        sets = select_contexts(
            features,
            chunks,
            index,
            windows,
            np.arange(len(chunks)),
            {},
            bench.decoder_rows,
            None,
            params,
            seed,
        )
        return set(sets[0].negatives.tolist())

    before = negatives(bench.index)
    assert before != negatives(bench.index, seed=1)
    for chunk in sorted(before):
        after = negatives(fires_also(bench.index, feature, chunks.at(np.array([chunk])).start[0]))
        assert chunk in before - after
        assert len(before - after) == len(after - before) <= (1 if kind == "random" else 3)


def fires_also(index, feature, token):
    """The index with one activation more."""
    place = index.offsets[feature] + np.searchsorted(index.of(feature)[0], token)
    return replace(
        index,
        offsets=index.offsets + (np.arange(len(index.offsets)) > feature),
        token=np.insert(index.token, place, token),
        value=np.insert(index.value, place, np.float32(1e-6)),
    )


def test_negatives_by_embedding_are_the_nearest():
    angle = np.linspace(0, np.pi, 50)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    found = nearest_by_embedding(np.arange(5, 50), np.array([0, 2]), lambda chunks: vectors[chunks], 4)
    assert found.tolist() == [5, 6, 7, 8]
    nobody = np.zeros(0, np.int64)
    assert not len(nearest_by_embedding(np.arange(5), nobody, lambda chunks: vectors[chunks], 4))


def test_neighbours_are_the_nearest_features_that_fire():
    rows = np.eye(4, dtype=np.float32)
    rows[2] = [0.8, 0.6, 0, 0]
    rows[3] = [0.6, 0, 0.8, 0]
    everywhere = np.ones(4, dtype=bool)
    assert nearest_features(0, rows, everywhere).tolist() == [2, 3, 1]
    assert nearest_features(0, rows, np.array([True, True, False, True])).tolist() == [3, 1]


def test_negatives_by_decoder_are_of_neighbours_in_equal_shares(bench):
    chunks = cut_chunks(bench.contexts, 8)
    feature = 5
    directions = bench.decoder_rows / np.linalg.norm(bench.decoder_rows, axis=1, keepdims=True)
    fires = firing(
        chunks,
        bench.index,
        bench.windows([feature]).positions,
        feature,
        texts=np.arange(len(chunks)),
        sharing=np.zeros(0, np.int64),
    )
    found = from_neighbours(feature, fires, chunks, bench.index, directions, 30, 0)
    neighbours = nearest_features(feature, directions, np.diff(bench.index.offsets) > 0)
    assert len(neighbours) == N_NEIGHBOURS
    active = [set(chunk_activations(chunks, *bench.index.of(int(other)))[0].tolist()) for other in neighbours]
    assert len(set(found.tolist())) == len(found) == 30
    assert fires.is_silent(found).all()
    assert all(any(chunk in own for own in active) for chunk in found.tolist())
    assert min(len(own & set(found.tolist())) for own in active) >= 3


@pytest.mark.parametrize("kind", ["random", "decoder", "embedding"])
def test_no_negative_is_one_where_the_feature_fires(bench, kind):
    scores = bench.score(negatives=kind)
    negatives = scores.contexts[scores.contexts["kind"] == "negative"]
    assert (scores.table["n_negative"] == 20).all()
    for feature, rows in negatives.groupby("feature"):
        token, _ = bench.index.of(feature)
        for row in rows.itertuples():
            start = row.context * bench.index.context_length + row.start
            assert not ((token >= start) & (token < start + row.length)).any()


def test_negatives_by_embedding_are_harder(bench):
    def nearness(kind):
        contexts = bench.score(negatives=kind).contexts
        own = contexts[contexts["feature"] == 5]
        vectors = {side: bench.embedder(rows["text"]) for side, rows in own.groupby("kind")}
        return (vectors["negative"] @ vectors["positive"].mean(axis=0)).mean()

    assert nearness("embedding") > nearness("random") + 0.02
