import ast
from pathlib import Path

import kindred

SOURCES = Path(kindred.__file__).parent


def is_compiled(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(decorator, ast.Name) and decorator.id == "compiled" for decorator in node.decorator_list
    )


def imported_from_kindred(tree: ast.Module) -> set[str]:
    froms = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name
        for node in froms
        if (node.module or "").startswith("kindred.") and node.module != "kindred.compiled"
        for alias in node.names
    }


def test_a_compiled_function_uses_nothing_of_kindred_but_its_own_file():
    """Numba renews a compiled form when the function's own file changes, and overlooks all others."""
    n_compiled = 0
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        elsewhere = imported_from_kindred(tree)
        for function in filter(is_compiled, tree.body):
            n_compiled += 1
            names = {
                node.id
                for statement in function.body
                for node in ast.walk(statement)
                if isinstance(node, ast.Name)
            }
            assert not names & elsewhere, (
                f"{path}: {function.name} uses {sorted(names & elsewhere)} of other files"
            )
    assert n_compiled > 5
