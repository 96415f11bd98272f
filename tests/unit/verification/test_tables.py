import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.verification.tables import compare_tables
from kindred.verification.tolerance import EXACT, STATED

HEADER = ("sae", "feature", "method", "rank", "auroc", "n_positive", "explanation")
texts = st.text(alphabet='abc ,"\n1', max_size=6)
numbers = st.one_of(st.just(""), st.floats(-2, 2).map(lambda value: f"{value:.4g}"))
bodies = st.lists(st.tuples(numbers, st.integers(0, 5000).map(str), texts), min_size=1, max_size=6)


def rows_of(body):
    return [("docs-0", str(index), "self", "0", *row) for index, row in enumerate(body)]


def written(rows, header=HEADER):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def compare(reference, present, tolerance=STATED, file="scores.csv"):
    return compare_tables(file, reference, present, tolerance)


@settings(deadline=None, max_examples=60)
@given(bodies)
def test_a_table_is_identical_to_itself(body):
    found = compare(written(rows_of(body)), written(rows_of(body)))
    assert found.identical
    assert found.within
    assert (found.n_cells, found.cells) == (len(body) * len(HEADER), ())


@settings(deadline=None, max_examples=60)
@given(bodies, st.data())
def test_any_one_cell_that_changes_is_found_and_named(body, data):
    rows = rows_of(body)
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(["auroc", "n_positive", "explanation"]))
    place = HEADER.index(column)
    new = data.draw(
        {"auroc": st.just("7.5"), "n_positive": st.just("-3"), "explanation": texts.map("{}!".format)}[column]
    )
    changed = [list(line) for line in rows]
    changed[row][place] = new
    found = compare(written(rows), written(changed))
    (cell,) = found.beyond
    assert not found.within
    assert (cell.column, cell.reference, cell.present) == (column, rows[row][place], new)
    assert dict(cell.row)["feature"] == str(row)
    assert cell.place == f"scores.csv [sae=docs-0 feature={row} method=self rank=0] {column}"


@settings(deadline=None, max_examples=60)
@given(bodies, bodies)
def test_the_counts_are_the_same_from_either_side(one, other):
    there, here = written(rows_of(one)), written(rows_of(other))
    forth, back = compare(there, here), compare(here, there)
    assert forth.n_cells == back.n_cells
    assert len(forth.cells) == len(back.cells)
    assert forth.columns == back.columns
    assert len(forth.gaps) == len(back.gaps) == abs(len(one) - len(other))
    assert {gap.missing for gap in forth.gaps} == {not gap.missing for gap in back.gaps}


@settings(deadline=None, max_examples=60)
@given(bodies.filter(lambda body: len(body) > 1), st.data())
def test_a_row_that_is_missing_added_or_moved_shifts_no_other(body, data):
    rows = rows_of(body)
    gone = data.draw(st.integers(0, len(rows) - 1))
    rest = [row for index, row in enumerate(rows) if index != gone]
    found = compare(written(rows), written(rest))
    assert found.cells == ()
    assert [(gap.part, gap.missing) for gap in found.gaps] == [("row", True)]
    assert f"feature={gone} " in found.gaps[0].name
    shuffled = data.draw(st.permutations(rows))
    moved = compare(written(rows), written(shuffled))
    assert (moved.cells, moved.gaps) == ((), ())
    assert moved.n_moved_rows == sum(a != b for a, b in zip(rows, shuffled, strict=True))
    assert moved.within == (shuffled == rows)


def table(column, *values):
    return written([(str(index), value) for index, value in enumerate(values)], header=("pair", column))


def summary(reference, present, tolerance=STATED):
    return compare(table("quantity", *reference), table("quantity", *present), tolerance, file="summary.csv")


@pytest.mark.parametrize(
    ("reference", "present", "expected"),
    [
        (["0.5", "1"], ["0.5004", "1"], "within"),  # relative
        (["0.00001", "1.5"], ["-0.00005", "1.5"], "within"),  # absolute
        (["0.5", "1"], ["0.51", "1"], "beyond"),
        (["0.50", "1"], ["0.5", "1.0"], "same"),
        (["1e-3", "1"], ["0.001", "1"], "same"),
        (["5000", "1"], ["5001", "1"], "beyond"),  # counts and names are exact
        (["5000", "1.5"], ["5001", "1.5"], "within"),  # a number that happens to be whole
        (["", "1.5"], ["nan", "1.5"], "same"),
        (["", "1.5"], ["0", "1.5"], "beyond"),
        (["inf", "1.5"], ["1e9", "1.5"], "beyond"),
        (["nan", "a"], ["", "a"], "beyond"),  # texts are exact
        (["0.5", "a"], ["0.5001", "a"], "beyond"),
        (["true", "false"], ["false", "false"], "beyond"),
        (["0.5", "1"], ["word", "1"], "beyond"),
    ],
)
def test_how_one_cell_is_judged(reference, present, expected):
    for one, other in ((reference, present), (present, reference)):
        cells = summary(one, other).cells
        judged = [("within" if cell.within else "beyond") for cell in cells] or ["same"]
        assert judged == [expected]


def test_without_tolerance_the_last_digit_counts():
    (cell,) = summary(["0.5", "1"], ["0.5001", "1"], EXACT).beyond
    assert cell.size == pytest.approx(0.0001)


def test_columns_that_only_one_side_has_are_named():
    reference = written([("seeds", "1", "2")], header=("pair", "old", "kept"))
    present = written([("seeds", "2", "3")], header=("pair", "kept", "new"))
    found = compare(reference, present, file="summary.csv")
    assert [(gap.name, gap.missing) for gap in found.gaps] == [("old", True), ("new", False)]
    assert (found.cells, found.n_cells) == ((), 2)


def test_a_table_of_unknown_name_is_compared_by_position():
    one = written([("a", "1.5"), ("b", "2.5")], header=("name", "value"))
    other = written([("a", "1.5"), ("b", "3.5"), ("c", "1")], header=("name", "value"))
    found = compare(one, other, file="new.csv")
    assert [cell.place for cell in found.beyond] == ["new.csv [row=2] value"]
    assert [gap.name for gap in found.gaps] == ["row=3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no header"),
        (b"pair,pair\n", "names a column twice"),
        (b"pair,x\nseeds\n", "row 1 has 1 cells, not 2"),
        (b"pairs,x\nseeds,1\n", "has no column pair"),
        (b"pair,x\nseeds,1\nseeds,2\n", "share their key with another, first pair=seeds"),
        (b"pair,x\n\xff,1\n", "is no CSV table"),
        (b'pair,x\n"seeds"s,1\n', "is no CSV table"),
    ],
)
def test_what_is_no_such_table_is_refused(content, message):
    with pytest.raises(KindredError, match=message) as error:
        compare(content, b"pair,x\nseeds,1\n", file="summary.csv")
    assert "results/tables/summary.csv of the reference" in str(error.value)
