import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from kindred.artefacts import windows as artefact
from kindred.artefacts.windows import ActExample, FeatureWindows, Windows


def small_windows() -> Windows:
    act = float(np.float32(0.1))
    example = ActExample(tokens=[1, 2, 3], texts=[" né", "", "🎉\n\x00\ufffd"], acts=[0.0, act, 1e-7])
    empty = FeatureWindows(mean=[], density=[], max=[])
    positions = pd.DataFrame(
        {
            "feature": [10, 10],
            "criterion": pd.Series(["mean", "max"], dtype="str"),
            "rank": [0, 0],
            "context": [4, 4],
            "start": [1, 1],
            "length": [3, 3],
            "mean": [0.1, 0.1],
            "density": [2 / 3, 2 / 3],
            "max": [act, act],
        }
    )
    return Windows({10: FeatureWindows(mean=[example], density=[], max=[example]), 2: empty}, positions)


def test_what_is_loaded_is_what_was_saved(tmp_path):
    saved = small_windows()
    artefact.save(saved, tmp_path)
    loaded = artefact.load(tmp_path)
    assert loaded.by_feature == saved.by_feature
    assert list(loaded.by_feature) == [2, 10]
    pd.testing.assert_frame_equal(loaded.positions, saved.positions)


def test_the_same_windows_give_the_same_bytes(tmp_path):
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        artefact.save(small_windows(), tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValidationError, match="of one length, not 1, 2 and 1"):
        ActExample(tokens=[1], texts=["a", "b"], acts=[0.0])


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="extra"):
        FeatureWindows.model_validate({"mean": [], "density": [], "max": [], "median": []})
