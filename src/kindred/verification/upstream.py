"""Where two computations part: the most upstream artefact that differs although its inputs agree.

Source: docs/methods.md, section 8; an artefact's content hash stands for its bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Chain = Mapping[str, "Link"]


@dataclass(frozen=True)
class Link:
    """One artefact of a chain, as its manifest says.

    Attributes:
        step: That made it.
        identity: The SAE, pair or shard; empty where there is one for the experiment.
        version: Of the artefact's form.
        settings: Hash of every setting that it depends on.
        content: Hash of its bytes.
        sources: Hash of the code of its step.
        inputs: Content hash of each artefact that it was made from, by folder.
    """

    step: str
    identity: str
    version: int
    settings: str
    content: str
    sources: str
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Parting:
    """A step at which the two computations part: its inputs agree, what it made does not.

    Attributes:
        step: Its name.
        artefacts: The folders that differ, in the order of their names.
        missing: Those of them that only the reference has.
        added: Those of them that only the present has.
        settings: Whether settings of theirs differ: params, or the files and packages that params name.
        code: Whether the step's code differs.
        versions: Both versions of the artefacts' form if they differ, the reference's first.
    """

    step: str
    artefacts: tuple[str, ...]
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    settings: bool = False
    code: bool = False
    versions: tuple[int, int] | None = None


@dataclass(frozen=True)
class Change:
    """A value that is not the one recorded.

    Attributes:
        key: With dots between its parts.
        recorded: The reference's value; None where it had none.
        here: The present value; None where there is none.
    """

    key: str
    recorded: Any
    here: Any


def differing(reference: Chain, present: Chain) -> tuple[str, ...]:
    """The artefacts that only one chain has or that have another content, the most upstream first."""
    depth = _depths({**present, **reference})
    folders = [
        folder
        for folder in reference.keys() | present.keys()
        if _content(reference, folder) != _content(present, folder)
    ]
    return tuple(sorted(folders, key=lambda folder: (depth[folder], folder)))


def partings(reference: Chain, present: Chain) -> tuple[Parting, ...]:
    """The steps to look at, the most upstream first: those of the artefacts that differ while their inputs agree.

    Whatever else differs lies downstream of these. An artefact that only one chain has is one of them if all that it
    was made from is the same in both.
    """
    by_step: dict[str, list[str]] = {}
    for folder in differing(reference, present):
        if _inputs_agree(folder, reference, present):
            link = reference.get(folder) or present[folder]
            by_step.setdefault(link.step, []).append(folder)
    return tuple(_parting(step, folders, reference, present) for step, folders in by_step.items())


def changes(recorded: Mapping[str, Any], here: Mapping[str, Any], key: str = "") -> tuple[Change, ...]:
    """Every value that differs between two nested mappings, by its key; lists are compared whole.

    >>> changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}})
    (Change(key='a.b', recorded=1, here=3),)
    """
    found: list[Change] = []
    for name in sorted(recorded.keys() | here.keys()):
        old, new = recorded.get(name), here.get(name)
        full = f"{key}.{name}" if key else name
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changes(old, new, full)
        elif old != new:
            found.append(Change(full, old, new))
    return tuple(found)


def within_sections(found: Sequence[Change], sections: frozenset[str]) -> tuple[Change, ...]:
    """The changes of the settings that a step depends on, by the first part of their keys."""
    return tuple(change for change in found if change.key.split(".")[0] in sections)


def _content(chain: Chain, folder: str) -> str | None:
    return chain[folder].content if folder in chain else None


def _inputs_agree(folder: str, reference: Chain, present: Chain) -> bool:
    there, here = reference.get(folder), present.get(folder)
    if there and here:
        return there.inputs == here.inputs
    link, other = (there, present) if there else (present[folder], reference)
    assert link is not None
    return all(_content(other, name) == content for name, content in link.inputs.items())


def _parting(step: str, folders: Sequence[str], reference: Chain, present: Chain) -> Parting:
    both = [
        (reference[folder], present[folder])
        for folder in folders
        if folder in reference and folder in present
    ]
    versions = {(old.version, new.version) for old, new in both if old.version != new.version}
    return Parting(
        step=step,
        artefacts=tuple(folders),
        missing=tuple(folder for folder in folders if folder not in present),
        added=tuple(folder for folder in folders if folder not in reference),
        settings=any(old.settings != new.settings for old, new in both),
        code=any(old.sources != new.sources for old, new in both),
        versions=min(versions, default=None),
    )


def _depths(chain: Chain) -> dict[str, int]:
    """How many artefacts lie above each on the longest way from the corpus."""

    @cache
    def depth(folder: str) -> int:
        link = chain.get(folder)
        return max((depth(name) + 1 for name in link.inputs), default=0) if link else 0

    return {folder: depth(folder) for folder in chain}
