import numpy as np
import pandas as pd
import pytest

from kindred.errors import KindredError
from kindred.matching.pairing import match_features
from kindred.matching.similarity import Dictionary

SETTINGS = {
    "similarity": "decoder",
    "threshold": 0.7,
    "n_best": 2,
    "n_worst": 2,
    "n_control": 2,
    "min_contexts": 5,
}


def dictionary(name, decoder, encoder=None, counts=None):
    decoder = np.asarray(decoder, dtype=np.float32)
    encoder = decoder if encoder is None else np.asarray(encoder, dtype=np.float32)
    counts = np.full(len(decoder), 10) if counts is None else np.array(counts)
    return Dictionary(name, decoder, encoder, counts)


def match(left, right, **changes):
    return match_features(left, right, **{**SETTINGS, **changes}, generator=np.random.default_rng(0))


def at_angle(cosine: float, n: int = 4, plane: tuple[int, int] = (0, 1)) -> np.ndarray:
    row = np.zeros(n)
    row[plane[0]], row[plane[1]] = cosine, np.sqrt(1 - cosine**2)
    return row


def test_the_ratios_of_a_worked_example():
    left = np.eye(4)[:3]
    # Partners at cosines 1, 0.6 and 0.8; the encoders of the third pair point apart.
    right_decoder = [np.eye(4)[0] * 3, at_angle(0.6, plane=(1, 3)), at_angle(0.8, plane=(2, 3))]
    right_encoder = [np.eye(4)[0], np.eye(4)[1], at_angle(0.5, plane=(2, 3))]
    matching = match(dictionary("a", left), dictionary("b", right_decoder, right_encoder))
    assert matching.right.tolist() == [0, 1, 2]
    np.testing.assert_allclose(matching.similarity, [1, 0.6, 0.8], atol=1e-6)
    assert matching.similarity.dtype == np.float32
    assert matching.ratios == pytest.approx(
        {
            "shared_feature_ratio": 2 / 3,
            "shared_feature_ratio_two_sided": 1 / 3,
            "top1_ratio_left": 2 / 3,
            "top1_ratio_right": 2 / 3,
            "mean_max_cosine_left": 0.8,
            "mean_max_cosine_right": 0.8,
            "mean_similarity": 0.8,
        }
    )


def test_the_two_sided_ratio_asks_that_both_matchings_agree_on_the_partner():
    decoder = np.eye(3)
    swapped = decoder[[1, 0, 2]]
    matching = match(dictionary("a", decoder, decoder), dictionary("b", decoder, swapped))
    assert matching.ratios["shared_feature_ratio"] == 1
    assert matching.ratios["shared_feature_ratio_two_sided"] == pytest.approx(1 / 3)


def test_the_threshold_itself_is_not_above_the_threshold():
    matching = match(dictionary("a", np.eye(2)), dictionary("b", np.eye(2)), threshold=1.0)
    assert matching.ratios["shared_feature_ratio"] == 0
    assert matching.ratios["top1_ratio_left"] == 0


def test_nearest_neighbours_may_be_shared_where_partners_may_not():
    left = [np.eye(3)[0], at_angle(0.99, 3)]
    matching = match(dictionary("a", left), dictionary("b", [np.eye(3)[0], np.eye(3)[2]]))
    assert matching.ratios["top1_ratio_left"] == 1
    assert matching.ratios["top1_ratio_right"] == 0.5
    assert matching.ratios["shared_feature_ratio"] == 0.5


@pytest.mark.parametrize(("similarity", "expected"), [("decoder", 1.0), ("encoder", 0.0), ("both", 0.5)])
def test_each_similarity_is_what_it_says(similarity, expected):
    left = dictionary("a", np.eye(4)[:1], np.eye(4)[1:2])
    right = dictionary("b", np.eye(4)[:1], np.eye(4)[2:3])
    matching = match(left, right, similarity=similarity)
    np.testing.assert_allclose(matching.similarity, [expected], atol=1e-7)
    assert matching.ratios["mean_similarity"] == pytest.approx(expected)
    assert matching.ratios["shared_feature_ratio"] == 1, "by decoder cosine, whatever was maximised"


@pytest.mark.parametrize(("n_left", "n_right"), [(6, 4), (4, 6)])
def test_the_smaller_side_is_matched_whole(n_left, n_right):
    rows = np.random.default_rng(1).normal(size=(6, 5))
    matching = match(dictionary("a", rows[:n_left]), dictionary("b", rows[:n_right]))
    assert matching.left.tolist() == matching.right.tolist() == [0, 1, 2, 3]
    assert (matching.n_left, matching.n_right) == (n_left, n_right)


def test_chosen_pairs_fire_often_enough_and_the_passed_over_are_counted():
    rows = np.random.default_rng(2).normal(size=(12, 8))
    noise = np.random.default_rng(3).normal(size=(12, 8)) * np.geomspace(1e-5, 0.6, 12)[:, None]
    counts = np.full(12, 5)
    counts[:3] = 4
    matching = match(dictionary("a", rows, counts=counts), dictionary("b", rows + noise))
    assert matching.right.tolist() == list(range(12))
    chosen = matching.chosen
    assert chosen["group"].tolist() == ["best"] * 2 + ["worst"] * 2 + ["control"] * 2
    assert chosen["rank"].tolist() == [0, 1] * 3
    assert (chosen["left"] >= 3).all()
    by_similarity = np.argsort(-matching.similarity)
    assert chosen["left"][:2].tolist() == [feature for feature in by_similarity if feature >= 3][:2]
    assert chosen["left"][2:4].tolist() == [feature for feature in by_similarity[::-1] if feature >= 3][:2]
    assert set(matching.passed_over) == {"best", "worst", "control"}
    assert matching.passed_over["best"] == 3
    control = chosen[chosen["group"] == "control"]
    assert (control["left"] != control["right"]).all()
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (rows, rows + noise)]
    expected = np.einsum("pd,pd->p", unit[0][chosen["left"]], unit[1][chosen["right"]])
    np.testing.assert_allclose(chosen["similarity"], expected, atol=1e-6)
    assert "3 passed over" in matching.notes[0]


def test_too_few_eligible_pairs_are_taken_and_said():
    rows = np.eye(4)
    matching = match(dictionary("a", rows), dictionary("b", rows, counts=[9, 0, 9, 9]))
    assert matching.chosen.groupby("group").size().to_dict() == {"best": 2, "control": 2, "worst": 1}
    assert matching.notes[1].startswith("worst: 1 pairs of the 2 asked for")


def test_nothing_eligible_gives_a_table_of_the_same_form():
    full = match(dictionary("a", np.eye(4)), dictionary("b", np.eye(4)))
    empty = match(dictionary("a", np.eye(4)), dictionary("b", np.eye(4)), min_contexts=11)
    assert len(empty.chosen) == 0
    assert empty.chosen.dtypes.to_dict() == full.chosen.dtypes.to_dict()


def test_a_rerun_chooses_the_same_pairs():
    rows = np.random.default_rng(5).normal(size=(20, 6))
    rows[10:] = rows[:10]
    first, second = (match(dictionary("a", rows), dictionary("b", rows[::-1])) for _ in range(2))
    pd.testing.assert_frame_equal(first.chosen, second.chosen)
    assert first.right.tolist() == second.right.tolist()


def test_saes_of_different_models_are_refused():
    with pytest.raises(KindredError, match=r"'a' has d_model 3 and SAE 'b' 4"):
        match(dictionary("a", np.eye(3)), dictionary("b", np.eye(4)))


def test_a_dead_decoder_row_is_named():
    rows = np.eye(4)
    rows[2] = 0
    with pytest.raises(KindredError, match=r"'b'.*decoder.*features 2 are zero"):
        match(dictionary("a", np.eye(4)), dictionary("b", rows))
