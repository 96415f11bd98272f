import json

import pytest

from kindred.verification.comparison import compare_files
from kindred.verification.machine_readable import outcome_json
from kindred.verification.outcome import Outcome, Record, compare_records
from kindred.verification.tolerance import STATED
from kindred.verification.upstream import Link
from kindred.verification.wording import _short, describe

HEADER = "sae,feature,auroc,explanation\n"
ENVIRONMENT = {"python": "3.11.9", "packages": {"numpy": "2.3.1"}}
SECTIONS = {"explanation": frozenset({"explanation", "seed"})}


def features(*rows):
    return {"features.csv": (HEADER + "".join(f"{row}\n" for row in rows)).encode()}


def record(content="x", settings="s", sources="c", alpha=0.4, environment=ENVIRONMENT, digits=4):
    link = Link("explanation", "docs-0", 1, settings, content, sources, {})
    params = {"explanation": {"alpha": alpha}, "tables": {"digits": digits}}
    return Record({"cache/explanation/docs-0": link}, params, environment)


def outcome(present, reference, here=None, notes=()):
    origins = compare_records(record(), here) if here else None
    return Outcome(
        "v1", "0123456789abcdef", compare_files(reference, present, STATED), origins, SECTIONS, notes
    )


ROWS = ("docs-0,31,0.6175,Return the number", "docs-0,40,0.55,Return a list")


def test_identical():
    found = outcome(features(*ROWS), features(*ROWS), record())
    assert found.status == 0
    assert describe(found).splitlines() == [
        "identical, byte by byte, to v1 (0123456789ab)",
        "  1 files, 8 cells",
        "upstream: no artefact differs",
        "environment: as recorded",
    ]


def test_identical_tables_from_another_way_say_so():
    text = describe(outcome(features(*ROWS), features(*ROWS), record(content="y", sources="edited")))
    assert text.startswith("identical")
    assert "first differing step: explanation (cache/explanation/docs-0)\n  its code differs" in text


def test_within_the_tolerance():
    moved = features(ROWS[0].replace("0.6175", "0.6176"), ROWS[1])
    found = outcome(moved, features(*ROWS), record())
    assert found.status == 3
    assert describe(found).splitlines()[:4] == [
        "equal within the stated tolerance to v1 (0123456789ab)",
        "  tolerance: relative 0.001 or absolute 0.0001 (0.01 for scores and nulls, 1 for counts); texts exactly",
        "  1 cell of 8 moved, by 0.0001 at most:",
        "    features.csv [sae=docs-0 feature=31] auroc: 0.6175 -> 0.6176",
    ]
    spelled = describe(outcome(features(ROWS[0], f"{ROWS[1]}\r"), features(*ROWS)))
    assert "all 8 cells have the same values; some are written differently" in spelled


def test_different():
    changed = features("docs-0,31,0.7,Returns a graph", ROWS[1].replace("0.55", "0.5501"))
    here = record(
        content="y", settings="t", alpha=0.5, digits=3, environment=ENVIRONMENT | {"python": "3.12"}
    )
    found = outcome(changed, features(*ROWS), here)
    assert found.status == 1
    assert describe(found).splitlines() == [
        "different from v1 (0123456789ab)",
        "  tolerance: relative 0.001 or absolute 0.0001 (0.01 for scores and nulls, 1 for counts); texts exactly",
        "  2 cells of 8 beyond it; 1 more moved within it",
        "  1 feature affected; the explanations of 1 read otherwise (docs-0/31)",
        "  features.csv: 2 cells (auroc 1, explanation 1)",
        "  which are:",
        "    features.csv [sae=docs-0 feature=31] explanation: Return the number -> Returns a graph",
        "    features.csv [sae=docs-0 feature=31] auroc: 0.6175 -> 0.7",
        "first differing step: explanation (cache/explanation/docs-0)",
        "  its params differ (recorded -> here): explanation.alpha 0.4 -> 0.5",
        "other params (recorded -> here): tables.digits 4 -> 3",
        "environment (recorded -> here): python 3.11.9 -> 3.12",
    ]


def test_many_cells_are_counted_and_ten_are_shown():
    reference = features(*(f"docs-0,{index},0.5,text" for index in range(40)))
    present = features(*(f"docs-0,{index},0.6,other" for index in range(40)))
    text = describe(outcome(present, reference))
    assert "80 cells of 160 beyond it" in text
    assert "40 features affected; the explanations of 40 read otherwise (docs-0/0, " in text
    assert "features.csv: 80 cells (auroc 40, explanation 40)" in text
    assert text.count("features.csv [") == 10
    assert len(text.splitlines()) < 20


def test_printed_forms_are_spoken_of_only_where_they_say_something_new():
    reference = features(*ROWS) | {"features.md": b"| 0.6175 | Return |\n", "summary.md": b"old note\n"}
    present = features(ROWS[0].replace("0.6175", "0.7"), ROWS[1])
    text = describe(
        outcome(present | {"features.md": b"| 0.7 | Count |\n", "summary.md": b"new note\n"}, reference)
    )
    assert "1 cell of 8 beyond it" in text
    assert "  and 1 printed form of these tables (.md, .tex)" in text
    assert "features.md" not in text
    assert "  summary.md: 1 line\n" in text
    assert "    summary.md, line 1: old note -> new note" in text


def test_parts_that_one_side_lacks_are_named():
    reference = features(*ROWS) | {"old.csv": b"a\n1\n"}
    present = {"features.csv": b"sae,feature,auroc,new\ndocs-0,40,0.55,1\ndocs-0,50,0.5,1\n"}
    text = describe(outcome(present, reference))
    for line in (
        "  file old.csv is missing here",
        "  features.csv: column explanation is missing here",
        "  features.csv: column new is not in the reference",
        "  features.csv: row sae=docs-0 feature=31 is missing here",
        "  features.csv: row sae=docs-0 feature=50 is not in the reference",
    ):
        assert line in text.splitlines()
    moved = describe(outcome(features(*reversed(ROWS)), features(*ROWS)))
    assert "  features.csv: 2 rows in another order" in moved.splitlines()


@pytest.mark.parametrize(
    ("here", "cause"),
    [
        (record(content="y"), "its params, code and inputs agree: the environment made the difference"),
        (
            record(content="y", settings="t"),
            "its params agree, but the files or packages that they name do not",
        ),
        (record(content="y", sources="d"), "its code differs"),
        (Record({}, {}, {}), "not made here: cache/explanation/docs-0"),
    ],
)
def test_the_cause_of_a_parting(here, cause):
    assert cause in describe(outcome(features(*ROWS), features(*ROWS), here))


def test_params_that_a_step_does_not_depend_on_are_not_its_cause():
    here = record(content="y", alpha=0.5)  # the hash of its settings says that they are the same
    text = describe(outcome(features(*ROWS), features(*ROWS), here))
    assert "its params, code and inputs agree" in text
    assert "other params (recorded -> here): explanation.alpha 0.4 -> 0.5" in text


def test_without_a_record_nothing_is_said_of_the_way():
    text = describe(outcome(features(*ROWS), features(*ROWS), notes=("no record",)))
    assert text.splitlines()[-1] == "no record"
    assert "environment" not in text


def test_json_says_all_that_the_words_say():
    reference = features(*(f"docs-0,{index},0.5,text" for index in range(40)))
    present = features(*(f"docs-0,{index},0.6,text" for index in range(40)))
    document = json.loads(outcome_json(outcome(present, reference, record(content="y", alpha=0.5))))
    assert (document["verdict"], document["status"]) == ("different", 1)
    assert document["reference"] == {"name": "v1", "commit": "0123456789abcdef"}
    assert len(document["beyond"]) == 40
    assert document["beyond"][3]["row"] == {"sae": "docs-0", "feature": "3"}
    assert document["upstream"]["steps_to_look_at"][0]["step"] == "explanation"
    assert document["upstream"]["params"] == [{"key": "explanation.alpha", "recorded": 0.4, "here": 0.5}]
    same = json.loads(outcome_json(outcome(present, present)))
    assert (same["verdict"], same["beyond"], same["upstream"]) == ("identical", [], None)


def test_a_terminal_is_shown_no_character_that_it_obeys() -> None:
    assert _short("a\x1b[2Jb\u202ec") == "a[U+001B][2Jb[U+202E]c"
