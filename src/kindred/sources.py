"""The source closure of a module: every kindred file that its result can depend on, and one hash of them."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
DATA_SUFFIXES = (".j2", ".html", ".css", ".js")
# What runs, checks and records a step without a say in the bytes it makes: the settings a step depends on are
# compared by value, and an artefact's content by its hash.
HARNESS = (
    "kindred.artefacts.folder",
    "kindred.artefacts.writing",
    "kindred.environment",
    "kindred.errors",
    "kindred.file_hashes",
    "kindred.fingerprints",
    "kindred.lineage",
    "kindred.memory",
    "kindred.params",
    "kindred.pipeline",
    "kindred.provenance",
    "kindred.repository",
    "kindred.returning",
    "kindred.sharing",
    "kindred.sources",
    "kindred.steps.job",
    "kindred.store",
    "kindred.workflow",
)


def closure(module: str) -> list[Path]:
    """All files of kindred that `module` can execute, templates and data beside them included, harness left out.

    Found by static parsing (imports inside functions count), so nothing is executed.

    Raises:
        FileNotFoundError: no such module in kindred.
    """
    seen: set[Path] = set()
    waiting = [_file_of(module)]
    while waiting:
        path = waiting.pop()
        if path is None or path in seen:
            continue
        seen.add(path)
        waiting.extend(_file_of(name) for name in _imports(path) if not _is_harness(name))
    folders = {path.parent for path in seen} - {PACKAGE, PACKAGE / "steps"}
    data = {file for folder in folders for file in folder.rglob("*") if file.suffix in DATA_SUFFIXES}
    return sorted(seen | data)


def sources_hash(module: str) -> str:
    """One hash of the source closure, blind to comments, formatting and docstrings."""
    digest = hashlib.sha256()
    for path in closure(module):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode())
        digest.update(_meaning(path))
    return digest.hexdigest()


@cache
def _meaning(path: Path) -> bytes:
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                first.value.value = ""
    return ast.dump(tree).encode()


def _is_harness(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in HARNESS)


def _file_of(module: str) -> Path | None:
    if module != "kindred" and not module.startswith("kindred."):
        return None
    path = PACKAGE.joinpath(*module.split(".")[1:])
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def _imports(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    with_parents = {
        ".".join(parts[: end + 1])
        for name in names
        if (parts := name.split("."))
        for end in range(len(parts))
    }
    return tuple(sorted(name for name in with_parents if name.split(".")[0] == "kindred"))
