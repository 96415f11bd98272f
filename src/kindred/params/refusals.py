"""pydantic's errors, said as problems of keys of params.yaml."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kindred.params.problems import Key, Missing, Problem, did_you_mean, dotted, nearest
from kindred.params.schema import allowed, children, node_at, resolve, schema
from kindred.params.two_readers import spellings

_RANGE_TYPES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_FAULTS = {
    "finite_number": "not a finite number",
    "string_too_short": "empty",
    "too_short": "empty",
    "string_pattern_mismatch": "not a valid value",
}
_NAMES = "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit"


def problems_of(error: ValidationError, values: Mapping[str, Any]) -> list[Problem]:
    """One problem for each error; `values` is what was validated."""
    return [_problem(details, values) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, values: Mapping[str, Any]) -> Problem:
    location: Key = tuple(details["loc"])
    if location and location[-1] == "[key]":
        return Problem(location[:-2], location[-2], "not a valid name", _NAMES)
    if location[:1] == ("pairs",) and len(location) > 1:
        return Problem(
            location[:2], values["pairs"][location[1]], "not a pair", "a list of two names of saes"
        )
    loader = None
    if location[:1] == ("saes",) and len(location) > 2:
        # pydantic puts the chosen loader between the SAE's name and the key.
        loader, location = location[2], location[:2] + location[3:]
    kind = details["type"]
    if kind.startswith("union_tag"):
        return _loader_problem(location, details)
    if kind == "extra_forbidden":
        return Problem(location, details["input"], *_unknown_key(location, loader))
    node = node_at(location, loader=loader)
    permitted = allowed(node) if node is not None else ""
    if kind == "missing":
        return Problem(location, Missing(), "missing", permitted)
    return Problem(location, details["input"], _fault(details, node), permitted)


def _loader_problem(location: Key, details: ErrorDetails) -> Problem:
    loaders = list((node_at(location) or {})["discriminator"]["mapping"])
    entry, key = details["input"], (*location, "loader")
    if not isinstance(entry, Mapping) or "loader" not in entry:
        return Problem(key, Missing(), "missing", ", ".join(loaders))
    fault = "unknown loader" + did_you_mean(entry["loader"], loaders)
    return Problem(key, entry["loader"], fault, ", ".join(loaders))


def _unknown_key(location: Key, loader: object) -> tuple[str, str]:
    """The fault and what is allowed: the nearest key beside it, or that very name in another section."""
    *above, last = location
    siblings = list(children(node_at(above, loader=loader) or {}))
    elsewhere = [
        f"{section}.{last}" for section, node in children(schema()).items() if last in children(resolve(node))
    ]
    found = nearest(last, siblings)
    beside = dotted((*above, found)) if found else ""
    suggestion = elsewhere[0] if elsewhere and len(elsewhere) == 1 else beside
    clause = f"; did you mean {suggestion}?" if suggestion else ""
    return f"unknown key{clause}", ", ".join(siblings) or "nothing"


def _fault(details: ErrorDetails, node: Any) -> str:
    kind, value = details["type"], details["input"]
    if kind in _RANGE_TYPES:
        return "out of range"
    if kind == "literal_error":
        return "not an allowed value" + did_you_mean(value, [str(option) for option in node["enum"]])
    if kind in _FAULTS:
        return _FAULTS[kind]
    spelling = _spelling(node, value)
    return f"wrong type: write {spelling}, without quotes" if spelling else "wrong type"


def _spelling(node: Any, value: object) -> str:
    """Spell a number of the wrong type (1.0e+6 for an integer, a quoted "0.1") as the key takes it; else empty."""
    types = {option.get("type") for option in node.get("anyOf", [node])} if node is not None else set()
    if not isinstance(value, (str, float)) or not types & {"integer", "number"}:
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    return next(iter(spellings(number)), "") if "number" in types or number.is_integer() else ""
