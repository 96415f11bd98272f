import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from kindred.artefacts.scoring import COLUMNS
from kindred.artefacts.windows import CRITERIA
from kindred.errors import KindredError
from kindred.scoring.chunks import cut_chunks


def spans(rows, n_positions):
    """The flat token indices of each row's passage."""
    return [
        set(range(row.context * n_positions + row.start, row.context * n_positions + row.start + row.length))
        for row in rows.itertuples()
    ]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1000), st.sampled_from(["random", "decoder", "embedding"]))
def test_examples_are_never_tested_on(bench, seed, kind):
    contexts = bench.score(seed=seed, negatives=kind).contexts
    windows = bench.windows(bench.features).positions
    for feature in bench.features:
        tested = spans(contexts[contexts["feature"] == feature], bench.index.context_length)
        examples = set().union(*spans(windows[windows["feature"] == feature], bench.index.context_length))
        assert examples
        assert not any(own & examples for own in tested)


def test_contexts_are_what_they_are_called(bench):
    contexts = bench.score().contexts
    assert tuple(contexts.columns) == COLUMNS["contexts"]
    for row in contexts.itertuples():
        token, value = bench.index.of(row.feature)
        start = row.context * bench.index.context_length + row.start
        own = value[(token >= start) & (token < start + row.length)]
        assert bool(len(own)) == (row.kind == "positive")
        assert (row.decile >= 0) == (row.kind == "positive")
        words = bench.contexts.tokens[row.context, row.start : row.start + row.length]
        assert row.text == "".join(f" w{word}" for word in words)
    for _, own in contexts.groupby("feature"):
        assert not own.duplicated(["context", "start"]).any()


def test_the_table_is_as_computed_one_by_one(bench):
    scores = bench.score()
    assert tuple(scores.table.columns) == COLUMNS["table"]
    assert len(scores.table) == 15
    for place, row in enumerate(scores.table.itertuples()):
        own = scores.contexts[scores.contexts["feature"] == row.feature]
        query = bench.embedder([scores.explanations["text"][place]])[0]
        cosines = (bench.embedder(own["text"]) @ query).round(6)
        positive = (own["kind"] == "positive").to_numpy()
        assert row.auroc == pytest.approx(roc_auc_score(positive, cosines))
        assert row.auroc_low <= row.auroc <= row.auroc_high
        assert (row.n_positive, row.n_negative) == (positive.sum(), (~positive).sum())
        windows = bench.windows(bench.features).by_feature[row.feature]
        shown = [
            "".join(example.texts)
            for kind in (windows.mean, windows.density, windows.max)
            for example in kind
        ]
        weakest = own[own["decile"] == 0]["text"]
        gap = (bench.embedder(shown) @ query).mean() - (bench.embedder(weakest) @ query).mean()
        assert row.embedding_gap == pytest.approx(gap, abs=1e-6)


def test_an_explanation_that_names_the_feature_scores_above_its_nulls(bench):
    table = bench.score().table.groupby("method")[["auroc", "null_permuted", "null_random"]].mean()
    assert table.loc["self", "auroc"] > 0.9
    assert abs(table.loc["self", "null_permuted"] - 0.5) < 0.1
    assert abs(table["null_random"] - 0.5).max() < 0.15
    assert table.loc["top_tokens", "auroc"] > 0.9
    # The same text for all features: putting another's in its place changes nothing.
    assert table.loc["unsteered", "auroc"] == pytest.approx(table.loc["unsteered", "null_permuted"])


def test_the_permuted_null_is_scored_on_the_features_own_contexts(bench):
    features = bench.features[:2]  # two features: the only derangement swaps them
    scores = bench.score(features)
    own = scores.contexts[scores.contexts["feature"] == features[0]]
    other = scores.explanations[
        (scores.explanations["feature"] == features[1]) & (scores.explanations["method"] == "self")
    ]
    cosines = (bench.embedder(own["text"]) @ bench.embedder(other["text"])[0]).round(6)
    row = scores.table.iloc[0]
    assert row["null_permuted"] == pytest.approx(roc_auc_score(own["kind"] == "positive", cosines))
    assert row["null_permuted_low"] == row["null_permuted_high"] == pytest.approx(row["null_permuted"])


def test_top_tokens_come_from_outside_the_test_contexts(bench):
    scores = bench.score(n_activating=1000)  # every positive there is
    texts = scores.explanations.set_index(["feature", "method"])["text"]
    windows = bench.windows(bench.features).positions
    for feature in bench.features:
        token, _ = bench.index.of(feature)
        tested = set().union(
            *spans(scores.contexts[scores.contexts["feature"] == feature], bench.index.context_length)
        )
        outside = [flat for flat in token.tolist() if flat not in tested]
        assert texts[feature, "top_tokens"] == (f"w{feature + 3}" if outside else "")
    assert len(windows)


def test_what_a_feature_is_tested_on_does_not_hang_on_the_others(bench):
    all_scores, alone = bench.score(), bench.score([11])
    own = all_scores.contexts[all_scores.contexts["feature"] == 11].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone.contexts)
    columns = ["method", "rank", "auroc", "auroc_low", "auroc_high", "embedding_gap", "null_random"]
    pd.testing.assert_frame_equal(
        all_scores.table[all_scores.table["feature"] == 11][columns].reset_index(drop=True),
        alone.table[columns],
    )
    assert alone.table["null_permuted"].isna().all()
    assert bench.score([11], seed=1).contexts["start"].tolist() != alone.contexts["start"].tolist()


def test_equal_runs_are_equal(bench):
    first, second = bench.score(), bench.score(bench.features[::-1])
    pd.testing.assert_frame_equal(first.table, second.table)
    assert np.array_equal(first.context_embeddings, second.context_embeddings)


def test_each_text_is_embedded_once(bench):
    bench.score()
    assert len(bench.seen) == len(set(bench.seen))


def test_embeddings_stand_in_the_order_of_their_texts(bench):
    scores = bench.score()
    np.testing.assert_array_equal(scores.context_embeddings, bench.embedder(scores.contexts["text"]))
    np.testing.assert_array_equal(scores.explanation_embeddings, bench.embedder(scores.explanations["text"]))


def test_the_query_is_made_from_the_template(bench):
    scores = bench.score(query_template="w1 {explanation} w1")
    queries = [f"w1 {text} w1" for text in scores.explanations["text"]]
    np.testing.assert_array_equal(scores.explanation_embeddings, bench.embedder(queries))


def test_a_silent_feature_keeps_its_rows_without_scores(with_silent):
    table = with_silent.score().table.set_index(["feature", "method"])
    silent = table.loc[39]
    assert (silent["n_positive"] == 0).all()
    assert (silent["n_negative"] == 20).all()
    assert silent.drop(columns=["rank", "n_positive", "n_negative"]).isna().all(axis=None)
    assert table.loc[5].loc["self"].notna().all()


def test_an_empty_explanation_has_no_score(bench):
    bench.texts.loc[0, "text"] = "  "
    scores = bench.score()
    columns = ["auroc", "auroc_low", "auroc_high", "embedding_gap", "null_permuted", "null_random"]
    assert scores.table.loc[0, columns].isna().all()
    assert scores.table.loc[1:, columns].notna().all(axis=None)
    assert np.isnan(scores.explanation_embeddings[0]).all()
    assert scores.table.loc[0, "n_positive"] > 0


def test_no_features_give_empty_tables(bench):
    scores = bench.score([])
    assert len(scores.table) == len(scores.contexts) == len(scores.explanation_embeddings) == 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (lambda texts: texts[texts["feature"] != 11], "feature 11 has no explanation"),
        (
            lambda texts: pd.concat([texts, texts[:1]]),
            "feature 2 has two explanations of method 'self' and rank 0",
        ),
    ],
)
def test_missing_and_doubled_explanations_are_refused(bench, texts, message):
    bench.texts = texts(bench.texts)
    with pytest.raises(KindredError, match=message):
        bench.score()


def test_chunks_of_the_bench_cover_both_documents(bench):
    chunks = cut_chunks(bench.contexts, 8)
    assert len(set(bench.contexts.document.ravel()[chunks.at(np.arange(len(chunks))).start].tolist())) > 120


@pytest.mark.parametrize("limit", [None, 1, 100])
def test_texts_that_the_embedder_reads_in_part_are_counted(bench, limit):
    bench.limit = limit
    scores = bench.score()
    own = scores.truncation
    assert own.limit == limit
    if limit != 1:
        assert own.n_cut == 0
        return
    windows = bench.windows(bench.features)
    shown = [
        example for one in windows.by_feature.values() for name in CRITERIA for example in getattr(one, name)
    ]
    assert own.contexts == (scores.contexts["length"] > 1).sum() > 0
    assert own.windows == sum(len(example.tokens) > 1 for example in shown) > 0
    assert own.explanations == (scores.explanations["text"].str.split().str.len() > 1).sum() > 0
    assert own.passages == own.explanations
