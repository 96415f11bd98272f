"""The environment that results were made in: what a reviewer compares first when a number differs."""

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from kindred.arithmetic import PYTORCH_INSTRUCTIONS, Arithmetic, settings
from kindred.errors import KindredError

LOCK = Path("requirements.lock")
_CPU = Path("/proc/cpuinfo")
_INSTRUCTIONS = ("avx512f", "avx2", "asimd")  # the widest first
# Portable arithmetic gives the same numbers on every processor, so this one need not be compared.
_PROCESSOR = "processor"


class Environment(BaseModel):
    """What besides code, params and inputs can change the last digits of a number.

    Attributes:
        python: Version of the interpreter.
        platform: Operating system and kind of processor, such as Linux-x86_64.
        processor: The processor's own name.
        instructions: The widest vector instructions that PyTorch may use: AVX2 in portable arithmetic.
        packages: Installed version of every package that requirements.lock pins; "missing" where there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    python: str
    platform: str
    processor: str
    instructions: str
    packages: dict[str, str]

    def that_counts(self, arithmetic: Arithmetic) -> dict[str, Any]:
        """Return what can change a number: all of it, but not the processor in portable arithmetic."""
        return self.model_dump(exclude={_PROCESSOR} if arithmetic == "portable" else None)


def environment(arithmetic: Arithmetic, lock: Path = LOCK) -> Environment:
    """Return the environment of a computation in some arithmetic, here and now.

    Raises:
        KindredError: there is no lock file, so it is not known which packages matter.
    """
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()}-{platform.machine()}",
        processor=processor(),
        instructions=_instructions(arithmetic),
        packages={name: _installed(name) for name in pinned(lock)},
    )


def pinned(lock: Path = LOCK) -> dict[str, str]:
    """The version of each package that the lock file pins."""
    try:
        lines = lock.read_text().splitlines()
    except FileNotFoundError as error:
        raise KindredError(
            f"{lock}: not found; it names the packages whose versions are recorded, run in the project's folder"
        ) from error
    pins = (line.partition("==") for line in lines)
    return {name: version for name, _, version in sorted(pins) if version}


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def processor() -> str:
    """Return the processor's own name."""
    return next(_cpu_lines("model name"), platform.processor() or "unknown")


def instruction_sets() -> list[str]:
    """Return what the processor has, by the names that Linux gives them; empty where it does not say."""
    return next(_cpu_lines("flags"), next(_cpu_lines("Features"), "")).split()


def _instructions(arithmetic: Arithmetic) -> str:
    forced = settings(arithmetic).get(PYTORCH_INSTRUCTIONS) or os.environ.get(PYTORCH_INSTRUCTIONS)
    if forced:
        return forced.upper()
    found = instruction_sets()
    return next((name.upper() for name in _INSTRUCTIONS if name in found), "unknown")


def _cpu_lines(key: str) -> Iterator[str]:
    if _CPU.exists():
        for line in _CPU.read_text().splitlines():
            if match := re.fullmatch(rf"{key}\s*:\s*(.*)", line):
                yield match[1]
