"""What PyYAML and DVC read differently is refused by file, line and key; what they read alike passes."""

import json
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import KindredError
from kindred.params import load_params
from kindred.params.reading import read_mapping


def refusal(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(KindredError) as caught:
        read_mapping(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("010", "8 here and 10 for DVC; write 8 or 10, or \"010\" for the text"),
        ("!!int 010", "8 here and 10 for DVC"),
        ("0o10", "the text 0o10 here and 8 for DVC; write 8, or \"0o10\" for the text"),
        ("08", "the text 08 here and 8 for DVC"),
        ("1:30", "90 here and the text 1:30 for DVC; write 90, or \"1:30\" for the text"),
        ("1:30.5", "90.5 here and the text 1:30.5 for DVC"),
        ("no", "false here and the text no for DVC; write false, or \"no\" for the text"),
        ("yes", "true here and the text yes for DVC; write true, or \"yes\" for the text"),
        ("on", "true here and the text on for DVC"),
        ("Off", "false here and the text Off for DVC"),
        ("1e6", "the text 1e6 here and 1000000 for DVC; write 1000000, or \"1e6\" for the text"),
        ("1e-3", "the text 1e-3 here and 0.001 for DVC; write 0.001, or \"1e-3\" for the text"),
        ("1e-9", "the text 1e-9 here and 1.0e-09 for DVC; write 1.0e-09, or \"1e-9\" for the text"),
        ("-.5", "the text -.5 here and -0.5 for DVC; write -0.5, or \"-.5\" for the text"),
        ("! no", "false here and the text no for DVC"),
    ],
)  # fmt: skip
def test_two_meanings_are_refused_by_line_and_key(tmp_path: Path, written: str, expected: str) -> None:
    path = tmp_path / "params.yaml"
    said = refusal(path, f"seed: 0\nwindows:\n  # a comment\n  length: {written}\n")
    bare = written.rsplit(" ", maxsplit=1)[-1]
    assert said.startswith(f"{path}, line 4: windows.length: {bare} has two meanings: ")
    assert expected in said


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("10", 10),
        ("1_000_000", 1_000_000),
        ("0x1F", 31),
        (".5", 0.5),
        ("1.0e+3", 1000.0),
        ("1.0e-09", 1e-9),
        ("~", None),
        ("", None),
        ("true", True),
        ("y", "y"),
        ('"no"', "no"),
        ("'010'", "010"),
        ("[1, two]", [1, "two"]),
    ],
)
def test_one_meaning_passes(tmp_path: Path, written: str, value: object) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"key: {written}\n")
    assert read_mapping(path) == {"key": value} == load_yaml(path)


def test_every_line_is_named_and_so_are_lists_keys_anchors_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    said = refusal(path, "a: &one {b: 010}\nc:\n  <<: *one\n  d: [x, no]\ne: {1e3: x}\n").splitlines()
    assert [line.removeprefix(f"{path}, ").partition(" has")[0] for line in said] == [
        "line 1: a.b: 010",
        "line 4: c.d[1]: no",
        "line 5: e.1e3: 1e3",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day: 2026-13-45\n", "line 1, column 6: not valid YAML: 2026-13-45 cannot be read as timestamp"),
        ("a: !!bool maybe\n", "line 1, column 4: not valid YAML: maybe cannot be read as bool"),
        ("a: !!timestamp no\n", "line 1, column 4: not valid YAML: no cannot be read as timestamp"),
        ("a: " + "[" * 3000, "nested too deep"),
    ],
)
def test_a_value_that_no_reader_takes_is_refused_by_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path / "params.yaml", text)


def test_an_overlay_is_held_to_the_same(tmp_path: Path, repository: Path) -> None:
    overlay = tmp_path / "old.yaml"
    overlay.write_text("tokens:\n  pack: no\n")
    with pytest.raises(
        KindredError, match=r"old\.yaml, line 2: tokens\.pack: no has two meanings: false here"
    ):
        load_params(repository / "params.yaml", experiment="old", experiments=tmp_path)


@given(st.text(alphabet="0123456789+-._:eExoaynft~", min_size=1, max_size=6))
def test_what_passes_is_what_dvc_reads(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    path = tmp_path_factory.mktemp("yaml") / "params.yaml"
    path.write_text(f"key: {written}\n")
    try:
        ours = read_mapping(path)
    except KindredError:
        return
    assert json.dumps(ours, default=str) == json.dumps(load_yaml(path), default=str)
