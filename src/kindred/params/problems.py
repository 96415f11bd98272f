"""One line per problem of the parameters: the file, the key, its value, what is allowed, what is nearest."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindred.errors import KindredError

Key = tuple[str | int, ...]
_LONGEST_VALUE = 60  # characters shown


@dataclass(frozen=True)
class Missing:
    """Stands for the value of a key that is not there (null is a value)."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one key."""

    key: Key
    value: object  # Missing() if the key is not there
    fault: str
    allowed: str = ""  # in words; empty where the fault says it

    def line(self, file: Path | str) -> str:
        """The problem as one line of a message."""
        value = "" if isinstance(self.value, Missing) else f" = {shown(self.value)}"
        allowed = f" (allowed: {self.allowed})" if self.allowed else ""
        return f"{file}: {dotted(self.key)}{value}: {self.fault}{allowed}"


@dataclass(frozen=True)
class Origins:
    """Which file each key comes from, so that a message names the file that is to be edited."""

    path: Path
    overlay_path: Path | None
    overlay: Mapping[str, Any]

    def of(self, key: Key) -> Path:
        """The overlay if it sets `key` (of `saes` and `pairs`: if it sets the mapping), else params.yaml."""
        if self.overlay_path is None or not key:
            return self.path
        if key[0] in {"saes", "pairs"}:
            return self.overlay_path if key[0] in self.overlay else self.path
        below: Any = self.overlay
        for part in key:
            if isinstance(below, Mapping) and part in below:
                below = below[part]
            elif isinstance(below, Mapping):
                return self.path
        return self.overlay_path


def refuse(problems: Iterable[Problem], origins: Origins) -> None:
    """Do nothing if there are no problems, else raise them all as one message.

    Raises:
        KindredError: one line per problem.
    """
    lines = dict.fromkeys(problem.line(origins.of(problem.key)) for problem in problems)
    if lines:
        raise KindredError("\n".join(lines))


def dotted(key: Key) -> str:
    """The key as a user writes it: windows.length, corpus.packages[0]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def shown(value: object) -> str:
    """The value as YAML would have it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str).encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word most like `word` (upper and lower case alike); empty if none is known.

    >>> nearest("lenght", ["n_top", "length"])
    'length'
    """
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[found[0]] if found else ""


def did_you_mean(word: object, known: Sequence[str]) -> str:
    """A clause that offers the nearest known word, or an empty string if none is known."""
    found = nearest(word, known)
    return f"; did you mean {found}?" if found else ""
