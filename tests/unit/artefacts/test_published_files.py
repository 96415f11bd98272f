"""Files that people read come back as they were written."""

import pytest

from kindred.artefacts import figures, report, tables


@pytest.mark.parametrize(
    ("module", "kind"), [(tables, tables.Tables), (figures, figures.Figures), (report, report.Report)]
)
def test_round_trip(module, kind, tmp_path):
    files = {"a.csv": b"x\r\n", "windows/b.png": b"\x89\x00"}
    module.save(kind(files), tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert module.load(tmp_path).files == files
