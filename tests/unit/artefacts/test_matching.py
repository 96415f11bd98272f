from pathlib import Path

import numpy as np
import pandas as pd

from kindred.artefacts import matching as artefact
from kindred.matching.pairing import match_features
from kindred.matching.similarity import Dictionary


def small_matching(n_control: int = 2) -> artefact.Matching:
    rows = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    counts = np.full(8, 3)
    return match_features(
        Dictionary("a", rows, rows, counts),
        Dictionary("b", rows[:6], rows[:6], counts[:6]),
        similarity="both",
        threshold=0.7,
        n_best=2,
        n_worst=1,
        n_control=n_control,
        min_contexts=1,
        generator=np.random.default_rng(1),
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_what_is_loaded_is_what_was_saved(tmp_path):
    saved = small_matching()
    artefact.save(saved, tmp_path)
    loaded = artefact.load(tmp_path)
    for name in ("left", "right", "similarity"):
        assert getattr(loaded, name).dtype == getattr(saved, name).dtype
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    pd.testing.assert_frame_equal(loaded.chosen, saved.chosen)
    for name in ("ratios", "passed_over", "notes", "n_left", "n_right"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert loaded.proofs.keys() == saved.proofs.keys() == {"both", "decoder", "encoder"}
    for name, proof in saved.proofs.items():
        for field, value in vars(proof).items():
            np.testing.assert_array_equal(getattr(loaded.proofs[name], field), value)
        assert 0 <= proof.gap < 1e-9


def test_the_same_matching_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        artefact.save(small_matching(), tmp_path / name)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_an_empty_group_survives(tmp_path):
    artefact.save(small_matching(n_control=0), tmp_path)
    assert "control" not in set(artefact.load(tmp_path).chosen["group"])
