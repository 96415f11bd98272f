"""What each key of params.yaml allows, in words, read from the models' JSON schema (stated once)."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from kindred.params.sections import Params

Node = Mapping[str, Any]

_PLAIN = {"boolean": "true or false", "string": "text"}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@cache
def schema() -> Node:
    """The JSON schema of `Params`."""
    return Params.model_json_schema()


def resolve(node: Node) -> Node:
    """Follow a `$ref` into the definitions, keeping what stands beside it (the description)."""
    if "$ref" not in node:
        return node
    target: Node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return {**target, **{name: value for name, value in node.items() if name != "$ref"}}


def children(node: Node) -> Mapping[str, Node]:
    """The keys of a section, each with its own node; empty for anything else."""
    found: Mapping[str, Node] = resolve(node).get("properties", {})
    return found


def entry(node: Node, *, loader: object = None) -> Node | None:
    """The node of any one entry of a mapping by free names (`saes`, `pairs`), or None for another node.

    Where entries differ by loader (`saes`), `loader` chooses; without it the union itself is returned.
    """
    resolved = resolve(node)
    named = resolved.get("patternProperties")
    if not named:
        return None
    found = resolve(next(iter(named.values())))
    reference = found.get("discriminator", {}).get("mapping", {}).get(loader)
    return found if reference is None else resolve({"$ref": reference})


def node_at(key: Sequence[str | int], *, loader: object = None) -> Node | None:
    """The node of a key such as ("windows", "length"), or None where there is no such key."""
    node = schema()
    for part in key:
        if isinstance(part, int):
            continue
        found = children(node).get(part) or entry(node, loader=loader)
        if found is None:
            return None
        node = found
    return resolve(node)


def allowed(node: Node) -> str:
    """What a node allows, in words: "an integer >= 1", "decoder, encoder, both", "text, or null"."""
    node = resolve(node)
    if "allowed" in node:
        return str(node["allowed"])
    if "anyOf" in node:
        options = [allowed(option) for option in node["anyOf"] if option.get("type") != "null"]
        return ", or ".join([*options, "null"])
    if "oneOf" in node:
        return "a mapping with the key loader: " + ", ".join(node["discriminator"]["mapping"])
    if "enum" in node or "const" in node:
        return ", ".join(map(str, node.get("enum", [node.get("const")])))
    return _PLAIN.get(node["type"]) or _structured(node)


def _structured(node: Node) -> str:
    if node["type"] in {"integer", "number"}:
        noun = "an integer" if node["type"] == "integer" else "a number"
        bounds = " and ".join(f"{sign} {node[name]:g}" for name, sign in _BOUNDS.items() if name in node)
        return f"{noun} {bounds}".rstrip()
    if node["type"] == "array":
        return (
            "a list of two names of saes" if "prefixItems" in node else f"a list of {allowed(node['items'])}"
        )
    if "patternProperties" in node:
        return "a mapping of at least one name"
    return f"a mapping with the keys {', '.join(children(node))}" if children(node) else "an empty mapping"
