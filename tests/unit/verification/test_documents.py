import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.verification.documents import compare_documents
from kindred.verification.tolerance import STATED

leaves = st.one_of(st.none(), st.booleans(), st.integers(-9999, 9999), st.floats(-9, 9), st.text(max_size=4))
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
)


def compare(reference, present, file="metrics.json"):
    return compare_documents(file, json.dumps(reference).encode(), json.dumps(present).encode(), STATED)


def paths_of(document, path=""):
    if isinstance(document, dict):
        return [leaf for key, value in document.items() for leaf in paths_of(value, f"{path}.{key}")]
    if isinstance(document, list):
        return [leaf for index, value in enumerate(document) for leaf in paths_of(value, f"{path}[{index}]")]
    return [path]


def replaced(document, path, value, here=""):
    if here == path:
        return value
    if isinstance(document, dict):
        return {key: replaced(inner, path, value, f"{here}.{key}") for key, inner in document.items()}
    if isinstance(document, list):
        return [replaced(inner, path, value, f"{here}[{index}]") for index, inner in enumerate(document)]
    return document


@settings(deadline=None, max_examples=60)
@given(documents)
def test_a_document_has_the_values_of_itself(document):
    found = compare(document, document)
    assert found.identical
    assert (found.cells, found.gaps) == ((), ())
    assert found.n_cells == len(paths_of(document))


@settings(deadline=None, max_examples=60)
@given(documents.filter(paths_of), st.data())
def test_any_one_leaf_that_changes_is_found_and_named(document, data):
    path = data.draw(st.sampled_from(paths_of(document)))
    found = compare(document, replaced(document, path, "another"))
    (cell,) = found.beyond
    assert (cell.path, cell.present) == (path, '"another"')
    assert cell.place == f"metrics.json{path}"


@settings(deadline=None, max_examples=60)
@given(documents, documents)
def test_the_counts_are_the_same_from_either_side(one, other):
    forth, back = compare(one, other), compare(other, one)
    assert (forth.n_cells, forth.columns, len(forth.cells)) == (back.n_cells, back.columns, len(back.cells))
    assert len(forth.gaps) == len(back.gaps)


@pytest.mark.parametrize(
    ("reference", "present", "expected"),
    [
        ([1.5, 2], [1.5005, 2], "within"),
        ([0, 1.5], [0.00004, 1.5], "within"),
        ([1.5, 2], [1.6, 2], "beyond"),
        ([5000, 1], [5001, 1], "beyond"),
        ([5000, 1.5], [5001, 1.5], "within"),
        ([1.0], [1], "same"),
        ([None, 1.5], [float("nan"), 1.5], "same"),
        ([None], [0], "beyond"),
        ([True], [1], "beyond"),
        (["1"], [1], "beyond"),
    ],
)
def test_how_one_leaf_is_judged(reference, present, expected):
    for one, other in ((reference, present), (present, reference)):
        cells = compare(one, other).cells
        judged = [("within" if cell.within else "beyond") for cell in cells] or ["same"]
        assert judged == [expected]


def test_lists_of_other_lengths_are_one_difference():
    found = compare({"windows": [{"acts": [1, 2, 3]}]}, {"windows": [{"acts": [1, 2]}]})
    assert [gap.name for gap in found.gaps] == [".windows[0].acts: 3 values in the reference, 2 here"]
    assert found.cells == ()


def record(left, right, act):
    windows = [{"mean": [{"acts": [0, act]}]}]
    return {"pair": "seeds", "group": "best", "indices": [left, right], "windows": windows}


def test_records_are_told_apart_by_their_features():
    there = [record(1, 2, 0.5), record(3, 4, 0.5), record(5, 6, 0.5)]
    here = [record(3, 4, 0.7), record(1, 2, 0.5), record(7, 8, 0.5)]
    found = compare(there, here, file="matched_features.json")
    assert [cell.place for cell in found.beyond] == ["matched_features.json[1].windows[0].mean[0].acts[1]"]
    assert found.columns == {"windows.mean.acts": 1}
    assert [(gap.name, gap.missing) for gap in found.gaps] == [
        ("pair=seeds group=best indices=[5, 6]", True),
        ("pair=seeds group=best indices=[7, 8]", False),
    ]
    assert found.n_moved_rows == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[1,", "is not JSON"), (b"{}", "no list of records"), (b'[{"pair": 1}]', "no list of records")],
)
def test_what_is_no_such_document_is_refused(content, message):
    with pytest.raises(KindredError, match=message):
        compare_documents("matched_features.json", content, b"[]", STATED)
