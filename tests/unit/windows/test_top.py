import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.windows import CRITERIA
from kindred.corpus.packing import PackedContexts
from kindred.errors import KindredError
from kindred.windows.top import top_windows

N_CONTEXTS, CONTEXT_LENGTH, D_SAE = 6, 12, 4


def contexts() -> PackedContexts:
    """Return contexts that begin with BOS; the third holds two documents, the last ends in padding."""
    document = np.repeat(np.arange(N_CONTEXTS, dtype=np.int32)[:, None], CONTEXT_LENGTH, axis=1)
    document[:, 0] = -1
    document[2, 6:] = 9
    document[5, 4:] = -1
    tokens = np.arange(N_CONTEXTS * CONTEXT_LENGTH, dtype=np.int32).reshape(N_CONTEXTS, CONTEXT_LENGTH)
    return PackedContexts(tokens, document < 0, document)


def index_of(dense: np.ndarray) -> FeatureIndex:
    """Return the index of activations [token, feature]."""
    feature, token = np.nonzero(dense.T)
    return FeatureIndex(
        d_sae=dense.shape[1],
        n_contexts=N_CONTEXTS,
        context_length=CONTEXT_LENGTH,
        n_tokens=int((~contexts().is_special).sum()),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(feature, minlength=dense.shape[1]))]),
        token=token.astype(np.uint32),
        value=dense.T[feature, token].astype(np.float32),
    )


def random_activations() -> np.ndarray:
    generator = np.random.default_rng(0)
    dense = generator.exponential(size=(N_CONTEXTS * CONTEXT_LENGTH, D_SAE)).astype(np.float32)
    dense *= generator.random(dense.shape) < 0.4
    dense[contexts().is_special.ravel()] = 0
    dense[:, 3] = 0
    return dense


def decode(tokens, start, stop):
    return [f"{tokens[0]}:{token}" for token in tokens[start:stop]]


def top(features=(0, 1, 2, 3), length=5, n_top=3):
    return top_windows(
        index_of(random_activations()),
        features,
        contexts(),
        length=length,
        min_length=1,
        n_top=n_top,
        decode=decode,
    )


def test_examples_and_positions_tell_of_the_same_windows():
    dense, corpus, windows = random_activations(), contexts(), top()
    for feature, by_criterion in windows.by_feature.items():
        for criterion in CRITERIA:
            examples = getattr(by_criterion, criterion)
            rows = windows.positions.query("feature == @feature and criterion == @criterion")
            assert rows["rank"].tolist() == list(range(len(examples)))
            for example, row in zip(examples, rows.itertuples(), strict=True):
                inside = slice(row.start, row.start + row.length)
                flat = slice(row.context * CONTEXT_LENGTH + row.start, None)
                acts = dense[flat, feature][: row.length]
                assert example.tokens == corpus.tokens[row.context, inside].tolist()
                assert example.acts == acts.tolist()
                assert row.mean == pytest.approx(acts.mean())
                assert row.density == pytest.approx((acts > 0).mean())
                assert row.max == acts.max() > 0
                assert not corpus.is_special[row.context, inside].any()
                assert len(set(corpus.document[row.context, inside].tolist())) == 1
                assert [text.split(":")[1] for text in example.texts] == [
                    str(token) for token in example.tokens
                ]


def test_texts_are_decoded_from_the_start_of_the_run():
    example = top(features=[0], length=3, n_top=1).by_feature[0].max[0]
    context = example.tokens[0] // CONTEXT_LENGTH
    starts = {context * CONTEXT_LENGTH + 1, 2 * CONTEXT_LENGTH + 6}
    assert {int(text.split(":")[0]) for text in example.texts} <= starts


def test_a_short_run_gives_one_window_of_what_there_is():
    dense = np.zeros((N_CONTEXTS * CONTEXT_LENGTH, 1), dtype=np.float32)
    dense[5 * CONTEXT_LENGTH + 2] = 1
    windows = top_windows(index_of(dense), [0], contexts(), length=30, min_length=3, n_top=4, decode=decode)
    assert windows.positions[["context", "start", "length"]].drop_duplicates().values.tolist() == [[5, 1, 3]]
    assert windows.by_feature[0].mean[0].acts == [0, 1, 0]


def test_windows_that_are_too_short_are_not_there_and_missed_aloud(caplog):
    dense = np.zeros((N_CONTEXTS * CONTEXT_LENGTH, 2), dtype=np.float32)
    dense[[5 * CONTEXT_LENGTH + 2, 4], 0] = 1
    dense[4, 1] = 1
    windows = top_windows(
        index_of(dense), [0, 1], contexts(), length=30, min_length=4, n_top=4, decode=decode
    )
    assert windows.positions["length"].min() >= 4
    assert [len(windows.by_feature[feature].max) for feature in (0, 1)] == [1, 1]
    (message,) = caplog.messages
    assert "1 of 2 features have fewer windows" in message
    assert message.endswith("windows.min_length = 4 tokens: 0")


def test_a_feature_that_never_fires_has_empty_lists():
    windows = top(features=[3])
    assert windows.by_feature[3].model_dump() == {"mean": [], "density": [], "max": []}
    assert len(windows.positions) == 0


def test_order_and_repetition_of_the_features_do_not_matter():
    one, other = top(features=[2, 0, 2]), top(features=[0, 2])
    assert list(one.by_feature) == [0, 2]
    assert one.by_feature == other.by_feature
    pd.testing.assert_frame_equal(one.positions, other.positions)


def test_no_features_give_a_table_of_the_same_form():
    assert top(features=[]).positions.dtypes.to_dict() == top().positions.dtypes.to_dict()
    assert top(features=[3]).positions.dtypes.to_dict() == top().positions.dtypes.to_dict()


def test_an_index_of_another_corpus_is_refused():
    corpus = contexts()
    shorter = PackedContexts(corpus.tokens[:4], corpus.is_special[:4], corpus.document[:4])
    with pytest.raises(KindredError, match="of 6 contexts of 12 tokens, the corpus of 4 of 12"):
        top_windows(
            index_of(random_activations()), [0], shorter, length=3, min_length=1, n_top=1, decode=decode
        )
