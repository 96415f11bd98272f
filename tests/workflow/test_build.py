"""From nothing to the results: what is built, that it is built once, and that the bytes depend on nothing else."""

import csv
import io
import json
import os
import random
import re
import socket
import sys
import time
from pathlib import Path

import jsonschema
import pytest

RESULTS = ("results/tables", "results/figures", "results/report")
KEYS = (
    "similarity",
    "eleuthers",
    "self_explanations",
    "indices",
    "windows",
    "group",
    "agreement",
    "swap_scores",
)


def test_a_second_run_finds_nothing_to_do(built):
    assert "Nothing to be done" in built.snakemake(*RESULTS).stderr
    assert built.plan() == {}


def test_the_case_study_follows_its_published_schema(built):
    tables = built.root / "results/tables"
    records = json.loads((tables / "matched_features.json").read_text())
    jsonschema.validate(records, json.loads((tables / "matched_features.schema.json").read_text()))
    assert {record["group"] for record in records} == {"best", "worst", "control"}
    assert len(records) == 9
    for record in records:
        assert set(KEYS) <= record.keys()
        for windows in record["windows"]:
            assert windows.keys() == {"mean", "density", "max"}
            for window in (window for criterion in windows.values() for window in criterion):
                assert window.keys() == {"tokens", "texts", "acts"}
                assert len(window["tokens"]) == len(window["texts"]) == len(window["acts"]) <= 30


def test_every_table_parses_and_has_rows(built):
    tables = {path.stem: path for path in (built.root / "results/tables").glob("*.csv")}
    assert {"pairs", "features", "scores", "summary"} <= tables.keys()
    for path in tables.values():
        header, *rows = csv.reader(io.StringIO(path.read_text()))
        assert rows
        assert all(len(row) == len(header) for row in rows)
        assert path.with_suffix(".tex").stat().st_size
        assert path.with_suffix(".md").stat().st_size


def test_figures_and_report_are_whole(built):
    for path in (built.root / "results/figures").glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    page = (built.root / "results/report/index.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert not re.search(r'(src|href)="(?!#|data:)', page), "the page needs files beside it"


def test_results_know_neither_place_nor_host_nor_time(built):
    secrets = [str(built.root), str(Path.home()) + "/", sys.prefix, time.strftime("%Y-%m-%d"), "CreationDate"]
    if len(socket.gethostname()) > 5:
        secrets.append(socket.gethostname())
    for folder in RESULTS:
        for path in (built.root / folder).rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert [secret for secret in secrets if secret.encode() in content] == [], path


def test_after_a_clone_the_times_of_files_do_not_matter(project):
    """As after `git clone` and `dvc pull`: times in no order, and no records of Snakemake's or of ours."""
    project.run("rm", "-rf", ".snakemake", ".kindred", "logs")
    shuffled = random.Random(0)
    for path in project.root.rglob("*"):
        if path.name == ".snakemake_timestamp":
            path.unlink()
            continue
        moment = 1_700_000_000 + shuffled.randrange(10_000_000)
        os.utime(path, (moment, moment))
    before = project.hashes("cache", "results")
    assert project.plan() == {}
    assert "Nothing to be done" in project.snakemake(*RESULTS).stderr
    assert project.hashes("cache", "results") == before


@pytest.mark.slow
def test_one_core_and_eight_give_the_same_bytes(built, unbuilt, tmp_path):
    eight = unbuilt.copy(tmp_path / "eight")
    unbuilt.snakemake(*RESULTS, cores=1)
    eight.snakemake(*RESULTS, cores=8)
    assert unbuilt.hashes("cache", "results") == eight.hashes("cache", "results")
    assert unbuilt.hashes("cache", "results") == built.hashes("cache", "results")
