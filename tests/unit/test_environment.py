from importlib import metadata
from pathlib import Path

import pytest

from kindred.environment import environment, pinned
from kindred.errors import KindredError

ROOT = Path(__file__).parents[2]


def test_every_pinned_package_is_recorded_with_the_version_that_is_installed(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0.0.1\n# a remark\nno-such-package==1.0\n")
    found = environment("portable", lock)
    assert found.packages == {"no-such-package": "missing", "numpy": metadata.version("numpy")}
    assert found.processor
    assert found.python.startswith("3.11")


def test_the_instructions_that_pytorch_is_held_to_are_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert environment("fast", ROOT / "requirements.lock").instructions == "AVX2"


def test_portable_arithmetic_uses_avx2_whatever_the_processor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    assert environment("portable", ROOT / "requirements.lock").instructions == "AVX2"


def test_the_processor_counts_in_fast_arithmetic_only() -> None:
    found = environment("portable", ROOT / "requirements.lock")
    assert "processor" not in found.that_counts("portable")
    assert found.that_counts("fast")["processor"] == found.processor
    assert found.that_counts("portable")["packages"] == found.packages


def test_without_a_lock_file_it_is_said_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KindredError, match=r"requirements\.lock: not found"):
        pinned(tmp_path / "requirements.lock")
