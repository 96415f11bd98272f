"""Scalars of a YAML file that PyYAML (YAML 1.1, this project) and ruamel.yaml (YAML 1.2, DVC) read differently.

dvc.lock records what DVC reads, and the steps run with what PyYAML reads. One file must have one meaning.
"""

import json
import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kindred.params.problems import Key, dotted

MERGE_TAG = "tag:yaml.org,2002:merge"


def ambiguous_lines(text: str) -> list[str]:
    """Find what the two readers disagree on.

    Args:
        text: YAML that PyYAML reads without an error.

    Returns:
        One message per scalar, in the order of the file: the line, the key, both values and what to write.
    """
    ours = yaml.SafeLoader(text)
    other = YAML(typ="safe")  # as DVC reads params.yaml
    try:
        other_root = other.compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        return [f"{where}DVC cannot read this as YAML 1.2: {getattr(error, 'problem', None) or error}"]
    try:
        pairs = _scalars((), ours.get_single_node(), other_root, set())
        return [
            _message(key, node, *values)
            for key, node, twin in pairs
            if not _same(*(values := (_value(ours, node), _value(other.constructor, twin))))
        ]
    finally:
        ours.dispose()


def _scalars(key: Key, node: Any, twin: Any, seen: set[int]) -> Iterator[tuple[Key, Any, Any]]:
    """Yield every scalar with its key, as the nodes of both readers; an anchored node comes once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    alike = type(node).__name__ == type(twin).__name__ and len(node.value) == len(twin.value)
    if isinstance(node, yaml.ScalarNode) or not alike:
        yield key, node, twin
    elif isinstance(node, yaml.SequenceNode):
        for place, (item, other) in enumerate(zip(node.value, twin.value, strict=True)):
            yield from _scalars((*key, place), item, other, seen)
    elif isinstance(node, yaml.MappingNode):
        for (name, value), (other_name, other_value) in zip(node.value, twin.value, strict=True):
            if name.tag == MERGE_TAG:
                yield from _scalars(key, value, other_value, seen)
                continue
            inner = (*key, str(name.value))
            yield from _scalars(inner, name, other_name, seen)
            yield from _scalars(inner, value, other_value, seen)


def _value(constructor: Any, node: Any) -> Any:
    try:
        return constructor.construct_object(node, deep=True)
    except (YAMLError, ValueError, LookupError) as error:
        return error


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and (left == right or (left != left and right != right))  # noqa: PLR0124


def _message(key: Key, node: Any, ours: Any, other: Any) -> str:
    values = " or ".join(dict.fromkeys(spellings(ours) + spellings(other)))
    text = json.dumps(str(node.value))
    advice = f"{values}, or {text} for the text" if values else text
    return (
        f"line {node.start_mark.line + 1}: {dotted(key)}: {node.value} has two meanings: "
        f"{_meaning(ours)} here and {_meaning(other)} for DVC; write {advice}"
    )


def _meaning(value: Any) -> str:
    if isinstance(value, Exception):
        return "an error"
    return f"the text {value}" if isinstance(value, str) else next(iter(spellings(value)), str(value))


def spellings(value: Any) -> list[str]:
    """Spell a value as both readers read it; empty for a text, an error and what no key allows."""
    if isinstance(value, (str, Exception)) or (isinstance(value, float) and not math.isfinite(value)):
        return []
    if isinstance(value, float) and abs(value) < 1e15 and value.is_integer():
        return [str(int(value))]
    if isinstance(value, float):
        digits, exponent, power = repr(value).partition("e")
        return [f"{digits}{'' if '.' in digits else '.0'}{exponent}{power}" if exponent else digits]
    return [value.isoformat() if isinstance(value, date) else json.dumps(value, default=str)]
