"""Every benchmark that takes seconds at small sizes still runs, and says what it compared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[3] / "benchmarks" / "run.py"
MODULES = ("scoring",)


@pytest.mark.slow
def test_benchmarks_run_at_small_sizes(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    options = ["--small", "--rounds", "1", "--threads", "1", "--only", ",".join(MODULES), "--out", str(out)]
    done = subprocess.run([sys.executable, str(RUN), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(out.read_text())
    assert document["failed"] == []
    assert set(document["minutes"]) == set(MODULES)
    rows = [row for module in MODULES for row in document["rows"][module]]
    assert {row["step"] for row in rows} == set(MODULES)
    assert all(row["seconds"] > 0 and row["reference_seconds"] > 0 for row in rows)
    assert done.stdout.count("\n| ") >= len(rows)
