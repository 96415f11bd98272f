from pathlib import Path

import pytest

from kindred import sources
from kindred.pipeline import STEPS
from kindred.sources import PACKAGE, closure, sources_hash


def names(module: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in closure(module)}


def test_a_steps_closure_holds_the_library_it_uses_and_no_other_step() -> None:
    found = names("kindred.steps.matching")
    assert {
        "steps/matching.py",
        "matching/pairing.py",
        "matching/assignment.py",
        "artefacts/matching.py",
    } <= found
    assert not any(name.startswith(("windows/", "explanation/", "report/")) for name in found)


def test_the_harness_is_no_part_of_any_closure() -> None:
    for step in STEPS.values():
        assert not names(step.module) & {"lineage.py", "pipeline.py", "steps/job.py", "params/sections.py"}


def test_templates_of_the_report_are_in_its_closure_alone() -> None:
    assert any(name.endswith(".j2") for name in names("kindred.steps.report"))
    assert not any(name.endswith(".j2") for name in names("kindred.steps.matching"))


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two modules in place of kindred's own."""
    (tmp_path / "__init__.py").touch()
    (tmp_path / "step.py").write_text('"""Doc."""\nfrom kindred.library import double\n\nprint(double(2))\n')
    (tmp_path / "library.py").write_text('def double(x):\n    """Twice."""\n    return 2 * x  # why\n')
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    return tmp_path


def rehash() -> str:
    sources._meaning.cache_clear()
    sources._imports.cache_clear()
    return sources_hash("kindred.step")


def test_comments_and_docstrings_do_not_count_but_code_of_a_library_does(copied: Path) -> None:
    before = rehash()
    (copied / "library.py").write_text('def double(x):\n    """Another."""\n    return 2 * x\n\n')
    assert rehash() == before
    (copied / "library.py").write_text("def double(x):\n    return x + x\n")
    assert rehash() != before
