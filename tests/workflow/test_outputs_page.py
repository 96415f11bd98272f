"""The page that says where each table and figure comes from names all of them, and nothing that is not there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/outputs.md").read_text()
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")] for row in PAGE.splitlines() if row.startswith("| `")
]


def names_of(folder):
    """The first part of the names of all files of an artefact, without what is beside it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix().split(".")[0] for path in files if path.name[0] != "."}
    return {"windows/PAIR-GROUP-RANK" if name.startswith("windows/") else name for name in names} - {
        "manifest"
    }


def test_every_table_and_figure_of_a_run_has_its_row_and_every_row_its_file(built):
    produced = names_of(built.root / "results/tables") | names_of(built.root / "results/figures")
    assert {row[0].strip("`") for row in ROWS} == produced


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_a_row_names_sections_of_params_and_of_the_methods(row):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    sections = re.findall(r"`(\w+)`", row[2])
    assert sections
    assert set(sections) <= params.keys()
    headings = re.findall(r"^## (.*)$", (ROOT / "docs/methods.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\(methods\.md#([^)]*)\)", row[3])
    assert links
    assert set(links) <= anchors
