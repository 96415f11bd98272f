"""Reading one YAML file of parameters, with errors that name the file and the line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from kindred.errors import KindredError

_MERGE_TAG = "tag:yaml.org,2002:merge"


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep the last, or that is no text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:  # `<<: *name`, which may repeat keys: those beside it win
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
        KindredError: if the file cannot be read, is not YAML or gives a key twice (with the line), or holds
            anything but a mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
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
    if not isinstance(values, dict):
        raise KindredError(f"{path}: holds no mapping of keys to values")
    return values
