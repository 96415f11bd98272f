from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.scoring import COLUMNS, Scores, Truncation, load, save, truncation_note
from kindred.errors import KindredError

WHOLE = Truncation(limit=256, contexts=0, windows=0, explanations=0, passages=0)
CUT = Truncation(limit=256, contexts=3, windows=2, explanations=1, passages=0)


def frame(name, n_rows):
    strings = {"method", "kind", "text"}
    integers = {"feature", "rank", "decile", "context", "start", "length", "n_positive", "n_negative"}
    columns = {}
    for place, column in enumerate(COLUMNS[name]):
        if column in strings:
            columns[column] = pd.Series([f"{column} \u4e2d {row}" for row in range(n_rows)], dtype="str")
        elif column in integers:
            columns[column] = np.arange(n_rows) + place
        else:
            columns[column] = np.where(np.arange(n_rows) == 1, np.nan, 0.1 * place)
    return pd.DataFrame(columns)


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    vectors = [generator.normal(size=(n, 3)).astype(np.float32) for n in (4, 2)]
    vectors[1][1] = np.nan
    return Scores(
        frame("table", 2), frame("contexts", 4), vectors[0], frame("explanations", 2), vectors[1], CUT
    )


def test_what_is_saved_is_loaded(scores, tmp_path):
    save(scores, tmp_path)
    loaded = load(tmp_path)
    for name in ("table", "contexts", "explanations"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(scores, name))
    np.testing.assert_array_equal(loaded.context_embeddings, scores.context_embeddings)
    np.testing.assert_array_equal(loaded.explanation_embeddings, scores.explanation_embeddings)
    assert loaded.truncation == scores.truncation


def test_bytes_are_the_same_each_time(scores, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save(scores, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 6
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files
    )


def test_embeddings_of_other_texts_are_refused(scores, tmp_path):
    save(scores, tmp_path)
    np.save(tmp_path / "context_embeddings.npy", scores.context_embeddings[:3])
    with pytest.raises(KindredError, match="4 contexts but 3 embeddings"):
        load(tmp_path)


def test_what_was_read_in_part_is_said_over_all_saes(scores):
    assert truncation_note([replace(scores, truncation=WHOLE)] * 2) is None
    note = truncation_note([scores, scores, replace(scores, truncation=WHOLE)])
    for part in (
        "first 256 tokens",
        "of 12 test contexts 6",
        "of 6 explanations 2",
        "4 top windows",
        "0 random",
    ):
        assert part in note
