import sys

import pytest

from kindred.corpus.document import Document
from kindred.corpus.pydocs import (
    DEFAULT_PACKAGES,
    PackageRecord,
    check_records,
    iterate_docstrings,
    package_records,
    package_version,
    read_package,
    read_packages,
)
from kindred.errors import KindredError

FIRST = "The first sentence is about the sum of all elements."
SECOND = "The second sentence is about the mean of all elements."
THIRD = "The third sentence is about the order of all elements."


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution with a RECORD, that names some of the files that lie beside it."""
    package = tmp_path / "sums"
    package.mkdir()
    (package / "tests").mkdir()
    (package / "b.py").write_text(f'def f():\n    """{FIRST}\n\n    {SECOND}"""\n')
    (package / "a.py").write_text(
        f'"""{FIRST}"""\nclass C:\n    def m(self):\n        """{THIRD}"""\nraise RuntimeError("never imported")\n'
    )
    (package / "template.py").write_text("{{ this is no Python }} " * 10)
    (package / "unnamed.py").write_text(
        '"""This file is not named in the RECORD of the wheel."""' + "\n" * 60
    )
    (package / "tests" / "test_a.py").write_text(
        '"""This docstring of a test is not documentation."""' + "\n" * 60
    )
    info = tmp_path / "sums-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sums\nVersion: 1.2\n")
    names = ["sums/b.py", "sums/a.py", "sums/template.py", "sums/tests/test_a.py", "../bin/x.py"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return package


def test_reads_recorded_files_in_order_and_each_paragraph_once(installed):
    assert read_package("sums") == [
        Document(FIRST, "sums/a.py::<module>", "sums"),
        Document(THIRD, "sums/a.py::C.m", "sums"),
        Document(SECOND, "sums/b.py::f", "sums"),
    ]


def test_sources_are_unique(installed):
    (installed / "b.py").write_text(f'def f():\n    """{SECOND}"""\ndef f():\n    """{THIRD} Again."""\n')
    assert [document.source for document in read_package("sums")][-1] == "sums/b.py::f#2"


def test_strings_of_documenting_calls(tmp_path):
    path = tmp_path / "docs.py"
    path.write_text(
        f'add_docstr(torch.abs, r"""{FIRST}""".format(**common))\n'
        f'add_newdoc("numpy._core", "ndarray", ("all", """{SECOND}"""))\n'
        f'@auto_docstring(custom_intro="{THIRD}")\nclass C: pass\n'
        'print("This is a string of another call, which documents nothing.")\n'
    )
    assert list(iterate_docstrings(path)) == [("abs", FIRST), ("all", SECOND), ("C", THIRD)]


def test_invalid_escapes_do_not_warn(tmp_path):
    path = tmp_path / "escapes.py"
    path.write_text(f'def f():\n    """{FIRST} \\d"""\n')
    assert [name for name, _ in iterate_docstrings(path)] == ["f"]


def test_missing_package_is_named():
    with pytest.raises(KindredError, match="no-such-package"):
        read_packages(["no-such-package"])


def test_no_prose_at_all_is_an_error(installed):
    for name in ("a.py", "b.py"):
        (installed / name).write_text("x = 1\n" * 60)
    with pytest.raises(KindredError, match="no documentation"):
        read_packages(["sums"])


def test_a_changed_package_is_named(installed):
    recorded = package_records(read_packages(["sums"]), ["sums"])
    check_records(recorded, recorded)
    (installed / "b.py").write_text(f'def f():\n    """{SECOND} Changed."""\n')
    changed = package_records(read_packages(["sums"]), ["sums"])
    changed = {"sums": PackageRecord("1.3", changed["sums"].sha256)}
    with pytest.raises(KindredError, match=r"in package sums \(installed 1\.3, recorded 1\.2\)"):
        check_records(changed, recorded)
    with pytest.raises(KindredError, match="recorded not at all"):
        check_records(changed, {})


def test_default_packages_are_installed_and_plotly_is_not_among_them():
    assert all(package_version(package) for package in DEFAULT_PACKAGES)
    assert len(set(DEFAULT_PACKAGES)) == len(DEFAULT_PACKAGES)
    assert "plotly" not in DEFAULT_PACKAGES


def test_a_real_package_gives_prose():
    documents = read_package("pydantic")
    assert len(documents) > 100
    assert all(">>>" not in document.text for document in documents)
    assert len({document.source for document in documents}) == len(documents)
