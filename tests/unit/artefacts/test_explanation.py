from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kindred.artefacts.explanation import METHODS, TEXT_COLUMNS, Explanations, load, save
from kindred.errors import KindredError

ARRAYS = ("features", "scales", "self_similarity", "entropy", "composite", "best_scale", "self_explainable")


@pytest.fixture
def explanations() -> Explanations:
    generator = np.random.default_rng(0)
    curves = generator.random((3, 2, 4), dtype=np.float32)
    rows = [
        (feature, method, 0, np.nan if method == "logit_lens" else 0.5, f'“{method}”\n{feature}, "a"')
        for feature in (7, 1900)
        for method in METHODS
    ]
    texts = pd.DataFrame(rows, columns=list(TEXT_COLUMNS)).astype({"scale": np.float32})
    return Explanations(
        features=np.array([7, 1900]),
        scales=np.linspace(0, 8, 4, dtype=np.float32),
        self_similarity=curves[0],
        entropy=curves[1],
        composite=curves[2],
        best_scale=np.array([2, 8], dtype=np.float32),
        self_explainable=np.array([True, False]),
        texts=texts,
        settings={"template": "meaning", "probe_layer": None, "prompt": 'the word "X"', "unit": 1.25},
    )


def test_what_is_saved_is_loaded(explanations: Explanations, tmp_path: Path) -> None:
    save(explanations, tmp_path)
    loaded = load(tmp_path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(explanations, name))
        assert getattr(loaded, name).dtype == getattr(explanations, name).dtype
    pd.testing.assert_frame_equal(loaded.texts, explanations.texts)
    assert loaded.settings == explanations.settings


def test_the_same_value_gives_the_same_bytes(explanations: Explanations, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for directory in (first, second):
        directory.mkdir()
    save(explanations, first)
    save(load(first), second)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_no_features_can_be_saved(explanations: Explanations, tmp_path: Path) -> None:
    none = {name: getattr(explanations, name)[:0] for name in ARRAYS if name != "scales"}
    save(replace(explanations, **none, texts=explanations.texts[:0]), tmp_path)
    assert load(tmp_path).self_similarity.shape == (0, 4)


def test_curves_that_do_not_fit_are_refused(explanations: Explanations) -> None:
    with pytest.raises(KindredError, match="do not fit together"):
        replace(explanations, scales=explanations.scales[:-1])
