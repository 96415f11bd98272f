import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kindred.case_study.records import build_case_study
from kindred.case_study.schema import check_matched_features, matched_features_schema
from kindred.errors import KindredError


@pytest.fixture
def records(sides) -> Any:
    study = build_case_study("seeds", sides.matching, sides.left, sides.right)
    return json.loads(json.dumps([record.model_dump(mode="json") for record in study.records]))


def test_the_schema_is_one_and_speaks_of_a_list():
    schema = matched_features_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "array"
    assert json.loads(json.dumps(schema)) == schema


def test_records_as_made_pass(records):
    check_matched_features(records)
    check_matched_features([])


def put(records, path, value):
    *way, last = path
    for part in way:
        records = records[part]
    if value is None:
        del records[last]
    else:
        records[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((1, "similarity"), None, r"at \[1\]: 'similarity' is a required"),
        ((2, "eleuthers"), [0.5], r"at \[2\].eleuthers"),
        ((2, "eleuthers", 1), 1.5, r"at \[2\].eleuthers\[1\]"),
        ((0, "group"), "good", r"at \[0\].group"),
        ((0, "extra"), 1, r"at \[0\].*extra"),
        ((0, "indices"), [1, 2, 3], r"at \[0\].indices"),
        ((0, "self_explanations", 0), 7, r"at \[0\].self_explanations\[0\]"),
        ((3, "windows", 1, "mean", 0, "acts", 1), "x", r"at \[3\].windows\[1\].mean\[0\].acts\[1\]"),
        ((3, "windows", 1, "mean", 0, "acts"), [0.5], r"at \[3\].windows\[1\].mean\[0\].*one length"),
        ((0, "similarity"), float("nan"), r"at \[0\].similarity.*finite"),
    ],
)
def test_a_fault_is_named_with_its_place(records, path, value, message):
    put(records, path, value)
    with pytest.raises(KindredError, match=message):
        check_matched_features(records)


def test_something_else_than_a_list_is_refused(records):
    with pytest.raises(KindredError, match="at the top"):
        check_matched_features(records[0])
