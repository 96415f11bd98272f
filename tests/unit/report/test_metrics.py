"""metrics.json holds the very numbers of the tables, and null where they have none."""

import csv
import io
import json
from dataclasses import replace

import pytest

from kindred.report.tables import render_tables

DIGITS = 4


@pytest.fixture(scope="module")
def files(study):
    return render_tables(study, DIGITS)


def cells(text):
    return list(csv.DictReader(io.StringIO(text)))


def number(cell):
    return float(cell) if cell else None


def leaves(value):
    return [leaf for item in value.values() for leaf in (leaves(item) if isinstance(item, dict) else [item])]


def test_the_numbers_of_a_pair_are_those_of_its_summary(files):
    metrics = json.loads(files["metrics.json"])
    rows = cells(files["summary.csv"])
    assert list(metrics["pairs"]) == [row["pair"] for row in rows]
    for row in rows:
        found = metrics["pairs"][row["pair"]]
        for name in ("shared_feature_ratio", "shared_feature_ratio_two_sided"):
            assert found[name] == number(row[name])
        for group in ("best", "control"):
            for quantity in ("agreement", "auroc", "null_permuted"):
                assert found[group][quantity] == number(row[f"median_{quantity}_{group}"])


def test_every_comparison_over_all_pairs_is_there_with_its_difference(files):
    differences = json.loads(files["metrics.json"])["differences"]
    rows = [row for row in cells(files["comparisons.csv"]) if row["scope"] == "all pairs"]
    assert sum(len(found) for found in differences.values()) == len(rows)
    for row in rows:
        assert differences[row["quantity"]][f"{row['first']}_{row['second']}"] == number(row["difference"])


def test_an_experiment_of_one_pair_has_its_own_differences(study):
    alone = replace(study, pairs={"data": study.pairs["data"]})
    files = render_tables(alone, DIGITS)
    metrics = json.loads(files["metrics.json"])
    assert list(metrics["pairs"]) == ["data"]
    rows = [row for row in cells(files["comparisons.csv"]) if row["quantity"] == "agreement"]
    assert metrics["differences"]["agreement"] == {
        f"best_{row['second']}": number(row["difference"]) for row in rows
    }


def test_what_is_undefined_is_null(study):
    """No control pair was chosen, and the one-sided encoder has no two-sided ratio."""
    pairs = {}
    for name, pair in study.pairs.items():
        ratios = {key: value for key, value in pair.matching.ratios.items() if "two_sided" not in key}
        records = tuple(record for record in pair.records if record.group != "control")
        pairs[name] = replace(pair, matching=replace(pair.matching, ratios=ratios), records=records)
    text = render_tables(replace(study, pairs=pairs), DIGITS)["metrics.json"]
    metrics = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    for found in metrics["pairs"].values():
        assert found["shared_feature_ratio_two_sided"] is None
        assert found["control"] == {"agreement": None, "auroc": None, "null_permuted": None}
        assert None not in leaves(found["best"])
    assert metrics["differences"]["agreement"]["best_control"] is None
    assert metrics["differences"]["agreement"]["best_worst"] is not None


def test_every_leaf_is_a_number_as_dvc_needs_it(files):
    assert all(type(leaf) is float for leaf in leaves(json.loads(files["metrics.json"])))
