import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.verification.comparison import Verdict, compare_files, is_compared
from kindred.verification.tolerance import STATED

FILES = {
    "summary.csv": b"pair,ratio,n\nseeds,0.25,3\n",
    "summary.md": b"**Caption**\n\n| Ratio | 0.25 |\n",
    "metrics.json": b'{"pairs": {"ratio": 0.25}}\n',
    "manifest.json": b"{}",
    "summary.provenance.json": b"{}",
    "matched_features.schema.json": b"{}",
}


def changed(**contents):
    return FILES | {name.replace("__", "."): content for name, content in contents.items()}


def compare(present, reference=FILES):
    return compare_files(reference, present, STATED)


def test_the_same_bytes_are_identical_whatever_manifests_and_sidecars_say():
    found = compare(changed(manifest__json=b"1", summary__provenance__json=b"2"))
    assert found.verdict is Verdict.IDENTICAL
    assert [file.file for file in found.files] == ["summary.csv", "metrics.json", "summary.md"]
    assert found.n_cells == 4


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1))
def test_the_verdict_follows_the_largest_difference(value):
    found = compare(changed(metrics__json=json.dumps({"pairs": {"ratio": value}}).encode()))
    expected = Verdict.WITHIN if STATED.agree(0.25, value) else Verdict.DIFFERENT
    assert found.verdict is expected
    assert compare(
        FILES, changed(metrics__json=json.dumps({"pairs": {"ratio": value}}).encode())
    ).verdict is (expected)


def test_another_spelling_of_the_same_values_is_equal_but_not_identical():
    found = compare(changed(metrics__json=b'{"pairs":{"ratio":0.250}}'))
    assert found.verdict is Verdict.WITHIN
    assert found.moved == ()


def test_moved_cells_come_the_largest_first():
    found = compare(
        changed(
            summary__csv=b"pair,ratio,n\nseeds,0.25001,3\n",
            summary__md=b"**Caption**\n\n| Ratio | 0.25001 |\n",
            metrics__json=b'{"pairs": {"ratio": 0.25003}}',
        )
    )
    assert found.verdict is Verdict.WITHIN
    assert [cell.file for cell in found.moved] == ["metrics.json", "summary.csv"]


def test_a_file_that_only_one_side_has_makes_them_different():
    less = {name: content for name, content in FILES.items() if name != "summary.csv"}
    assert compare(less).verdict is Verdict.DIFFERENT
    assert [(gap.name, gap.missing) for gap in compare(less).gaps] == [("summary.csv", True)]
    assert [(gap.name, gap.missing) for gap in compare(FILES, less).gaps] == [("summary.csv", False)]


@pytest.mark.parametrize("line", [b"| Ratio | 0.2501 |\n", b"| Share | 0.25 |\n"])
def test_a_printed_form_is_held_to_the_digit_where_its_csv_is_identical(line):
    found = compare(changed(summary__md=b"**Caption**\n\n" + line))
    assert found.verdict is Verdict.DIFFERENT
    (cell,) = found.beyond
    assert cell.place == "summary.md, line 3"


def test_a_printed_form_follows_its_csv_within_the_tolerance_and_its_padding_does_not_count():
    csv = b"pair,ratio,n\nseeds,0.2501,3\n"
    within = b"**Caption**\n\n|  Ratio |   0.2501 |\n"
    assert compare(changed(summary__csv=csv, summary__md=within)).verdict is Verdict.WITHIN
    caption = b"**Another**\n\n| Ratio | 0.2501 |\n"
    found = compare(changed(summary__csv=csv, summary__md=caption))
    assert [cell.place for cell in found.beyond] == ["summary.md, line 1"]
    longer = compare(changed(summary__md=within + b"a note\n"))
    assert [gap.name for gap in longer.files[2].gaps] == ["3 lines in the reference, 4 here"]


def test_a_printed_number_is_judged_by_the_tolerance_of_its_column_in_the_csv():
    old = {"summary.csv": b"pair,auroc\nseeds,0.5\n", "summary.md": b"| AUROC | 0.500 |\n"}
    new = {"summary.csv": b"pair,auroc\nseeds,0.506\n", "summary.md": b"| AUROC | 0.506 |\n"}
    far = {"summary.csv": b"pair,auroc\nseeds,0.6\n", "summary.md": b"| AUROC | 0.600 |\n"}
    assert STATED.of("auroc").absolute > 0.006 > STATED.absolute
    assert compare_files(old, new, STATED).verdict is Verdict.WITHIN
    assert compare_files(old, far, STATED).verdict is Verdict.DIFFERENT


def test_numbers_inside_of_names_are_words():
    one, other = (b"| docs-0 | v1.25 | 1.25 |\n", b"| docs-1 | v1.25 | 1.25 |\n")
    found = compare_files({"x.tex": one}, {"x.tex": other}, STATED)
    assert found.verdict is Verdict.DIFFERENT


def test_what_is_part_of_the_reference():
    assert is_compared("pairs.csv")
    assert is_compared("pairs.tex")
    assert is_compared("metrics.json")
    for name in ("manifest.json", "manifest.json.damaged", "x.schema.json", "x.provenance.json", "x.png"):
        assert not is_compared(name)
