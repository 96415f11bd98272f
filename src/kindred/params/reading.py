"""Reading one YAML file of parameters, with errors that name the file and the line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from kindred.errors import KindredError
from kindred.params.two_readers import MERGE_TAG, ambiguous_lines

_MOST_VALUES = 1_000_000  # a few lines of aliases of aliases stand for more than any memory holds


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep the last, or that is no text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (
            ValueError,
            LookupError,
            AttributeError,
        ):  # the date 2026-13-45, `!!bool maybe`, `!!timestamp no`
            self._refuse(
                f"{node.value} cannot be read as {node.tag.rpartition(':')[2]}; put a text in quotes", node
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE_TAG:  # `<<: *name`, which may repeat keys: those beside it win
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                self._refuse(f"the key {key} is not text; put it in quotes", key_node)
            if key in seen:
                self._refuse(f"the key {key} is given twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def _refuse(self, problem: str, node: yaml.Node) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        KindredError: if the file cannot be read, is not YAML or gives a key twice (with the line), holds
            anything but a mapping, or a value that DVC reads as another one (one line for each).
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, Loader=_UniqueKeyLoader)
    except OSError as error:
        raise KindredError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KindredError(f"{path}: not a text file in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise KindredError(f"{path}{where}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise KindredError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise KindredError(f"{path}: lists or mappings are nested too deep to be read") from error
    if not isinstance(values, dict):
        raise KindredError(f"{path}: holds no mapping of keys to values")
    if _n_values(path, values, (), {}) > _MOST_VALUES:
        raise KindredError(
            f"{path}: holds more than {_MOST_VALUES:,} values, with its aliases (*name) written out"
        )
    ambiguous = ambiguous_lines(text)
    if ambiguous:
        raise KindredError("\n".join(f"{path}, {line}" for line in ambiguous))
    return values


def _n_values(path: Path, value: object, above: tuple[int, ...], known: dict[int, int]) -> int:
    """Count the values of a list or mapping with its aliases (`*name`) written out.

    Raises:
        KindredError: a list or mapping holds itself, by an alias (`&a [*a]`).
    """
    if id(value) in above:
        raise KindredError(f"{path}: a list or mapping holds itself, by an alias (*name); write it out")
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_n_values(path, each, (*above, id(value)), known) for each in inner)
    return known[id(value)]
