"""The tables say what docs/methods.md promises of them, and the JSON fits its schema."""

import io
import json
from dataclasses import replace

import jsonschema
import pandas as pd
import pytest

from kindred.artefacts.scoring import Truncation
from kindred.report.rendering import render
from kindred.report.tables import build_tables, render_tables


@pytest.fixture(scope="module")
def files(study):
    return render_tables(study, 4)


def test_every_table_is_in_three_forms(files):
    names = {name.split(".")[0] for name in files}
    tables = {"summary", "pairs", "features", "scores", "baselines", "comparisons"}
    assert names == {*tables, "matched_features", "metrics"}
    assert len(files) == 6 * 3 + 3


def test_the_json_fits_its_schema_and_has_every_pair(files, study):
    records = json.loads(files["matched_features.json"])
    jsonschema.validate(records, json.loads(files["matched_features.schema.json"]))
    assert len(records) == sum(len(pair.records) for pair in study.pairs.values())
    first = study.pairs["seeds"].records[0]
    assert records[0]["indices"] == list(first.indices)
    assert records[0]["windows"][0]["max"][0]["texts"] == first.windows[0].max[0].texts
    broken = [{**records[0], "similarity": "high"}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(files["matched_features.schema.json"]))


def test_pairs_passed_over_are_in_the_notes(files):
    for form in ("tex", "md"):
        assert "3 passed over because a feature fires in fewer than 100 contexts" in files[f"pairs.{form}"]


def test_texts_that_the_embedder_read_in_part_are_in_the_notes(files, study):
    said = "reads the first 256 tokens"
    assert not any(said in text for text in files.values())
    cut = Truncation(limit=256, contexts=7, windows=0, explanations=0, passages=0)
    saes = {
        name: replace(sae, scores=replace(sae.scores, truncation=cut)) for name, sae in study.saes.items()
    }
    files = render_tables(replace(study, saes=saes), 4)
    for name in ("scores", "pairs", "features", "baselines"):
        for form in ("tex", "md"):
            assert said in files[f"{name}.{form}"]
            assert f"test contexts {7 * len(saes)} were cut off" in files[f"{name}.{form}"]


def test_every_score_stands_beside_its_null(files):
    for name in ("scores", "pairs", "features", "baselines"):
        header = files[f"{name}.csv"].splitlines()[0]
        assert "null_permuted" in header
        assert "Null" in files[f"{name}.md"]


def test_the_summary_has_one_row_per_pair_of_saes(files, study):
    frame = pd.read_csv(io.StringIO(files["summary.csv"]))
    assert list(frame["pair"]) == ["seeds", "data"]
    expected = pd.Series([r.agreement for r in study.pairs["seeds"].records if r.group == "best"]).median()
    assert frame.loc[0, "median_agreement_best"] == pytest.approx(expected, rel=1e-3)
    flagged = sum(
        not mark for r in study.pairs["seeds"].records if r.group == "worst" for mark in r.self_explainable
    )
    assert frame.loc[0, "n_not_self_explainable_worst"] == flagged
    assert frame.loc[0, "n_passed_over_control"] == 12


def test_baselines_stand_beside_the_self_explanation(files):
    frame = pd.read_csv(io.StringIO(files["baselines.csv"]))
    for _, part in frame.groupby("sae"):
        assert list(part["method"]) == ["self", "unsteered", "continuation", "logit_lens", "top_tokens"]


def test_two_runs_give_equal_bytes(files, make_study):
    assert render_tables(make_study(), 4) == files


def test_digits_are_obeyed(study):
    table = build_tables(study)["scores"]
    coarse = render(table, "csv", 2)
    value = table.frame["auroc"].iloc[0]
    assert f",{value:.2g}," in coarse.splitlines()[1]
