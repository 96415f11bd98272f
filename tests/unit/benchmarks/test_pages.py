"""The tables of docs/performance.md and docs/scaling.md are those of the figures that are kept."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    known = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - known:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def figures(name: str) -> dict:
    return json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))


def test_the_table_of_performance_is_that_of_the_last_run(benchmarks):
    page = benchmarks("page")
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.with_table(written, figures("results.json")), "run python benchmarks/page.py"


def test_the_table_of_scaling_is_worked_out_from_the_measured_rates(benchmarks):
    scaling = benchmarks("scaling")
    written = scaling.PAGE.read_text(encoding="utf-8")
    measured = figures("end_to_end.json") | {"matching": figures("matching.json")}
    expected = scaling.with_table(written, figures("results.json"), measured)
    assert written == expected, "run python benchmarks/scaling.py"


def test_no_benchmark_of_the_last_run_failed_and_all_ran():
    results = figures("results.json")
    assert results["failed"] == []
    assert set(results["minutes"]) == {
        "activations",
        "gather",
        "matching",
        "windows",
        "explanation",
        "scoring",
        "arithmetic",
        "whole",
    }
