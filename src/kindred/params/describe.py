"""The table of all keys of params.yaml, generated from the models for docs/params.md."""

from collections.abc import Iterator

from kindred.params.problems import dotted, shown
from kindred.params.schema import Node, allowed, children, entry, resolve, schema
from kindred.params.sections import Params

_LOADERS = ("folder", "sae_lens", "sparsify", "batch_topk")


def describe(defaults: Params | None = None) -> str:
    """A Markdown table of every key: what is allowed, the value in `defaults` (if given), what it is for."""
    head = ["key", "allowed", *(["default"] if defaults else []), "meaning"]
    lines = [_row(head), _row(["---"] * len(head))]
    for key, node in keys():
        cells = [f"`{dotted(key)}`", allowed(node)]
        if defaults is not None:
            cells.append(_default(defaults, key))
        lines.append(_row([*cells, str(node.get("description", ""))]))
    return "\n".join(lines) + "\n"


def keys() -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every key with its node, in the order of params.yaml; `<name>` stands for a free name."""
    for section, node in children(schema()).items():
        resolved = resolve(node)
        inner = children(resolved)
        if section == "saes":
            yield from _sae_keys(resolved)
        elif entry(resolved) is not None:
            yield (
                (section, "<name>"),
                {**(entry(resolved) or {}), "description": resolved.get("description", "")},
            )
        elif inner or resolved.get("type") == "object":
            yield from (((section, key), resolve(value)) for key, value in inner.items())
        else:
            yield (section,), resolved


def _sae_keys(saes: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    for loader in _LOADERS:
        for key, node in children(entry(saes, loader=loader) or {}).items():
            where = key if key == "loader" else f"{key} ({loader})"
            yield ("saes", "<name>", where), resolve(node)


def _default(defaults: Params, key: tuple[str, ...]) -> str:
    if key[0] in {"saes", "pairs"}:
        return ""
    value = defaults.model_dump(mode="json")[key[0]]
    return f"`{shown(value if len(key) == 1 else value[key[1]])}`"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
