from kindred.verification.affected import affected_features
from kindred.verification.differences import Cell


def cell(file, column, within=False, **row):
    return Cell(file, tuple(row.items()), column, column, "old", "new", None, within)


def test_features_are_counted_once_and_flipped_texts_apart():
    cells = [
        cell("features.csv", "explanation", sae="a", feature="3"),
        cell("features.csv", "auroc", sae="a", feature="3"),
        cell("scores.csv", "explanation", sae="a", feature="4", method="top_tokens", rank="0"),
        cell("scores.csv", "explanation", sae="b", feature="3", method="self", rank="2"),
        cell("scores.csv", "auroc", within=True, sae="c", feature="1", method="self", rank="0"),
        cell("pairs.csv", "agreement", pair="seeds", group="best"),
    ]
    found = affected_features(cells)
    assert found.features == ("a/3", "a/4", "b/3")
    assert found.texts == ("a/3", "b/3")
