"""Documentation of installed packages as a corpus: the text that every installation holds already.

Only the files that a distribution's RECORD names are read, by static parsing: nothing is imported, and equal
pins give equal bytes.
"""

import ast
import hashlib
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kindred.characters import mend_surrogates
from kindred.corpus.document import Document, documents_sha256
from kindred.corpus.prose import prose_paragraphs
from kindred.errors import KindredError

STANDARD_LIBRARY = "python"

# The pinned run-time dependencies that hold more than 0.2 MB of prose, most first, in a fixed order. plotly is
# left out: its documentation is generated from one template.
DEFAULT_PACKAGES = (
    "torch",
    "transformers",
    "scipy",
    "sympy",
    "statsmodels",
    "scikit-learn",
    "pandas",
    "SQLAlchemy",
    "beartype",
    "networkx",
    "matplotlib",
    "numpy",
    "nltk",
    "transformer-lens",
    "huggingface_hub",
    "sentence-transformers",
    "wandb",
    "dulwich",
    "asyncssh",
    "datasets",
    "fonttools",
    "pydantic",
    "accelerate",
)

_TEST_FOLDERS = frozenset({"test", "tests", "testing", "_testing", "site-packages"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_MINIMUM_FILE_CHARACTERS = 60
_ADDING_MARKS = ("docstr", "newdoc")
_STATEMENT_FIELDS = ("body", "handlers", "cases", "orelse", "finalbody")


@dataclass(frozen=True)
class PackageRecord:
    """Which version of a package was read and what its documents hash to."""

    version: str
    sha256: str


def read_packages(packages: Sequence[str]) -> list[Document]:
    """Read the documents of installed distributions, in the order given; labels are their names.

    Args:
        packages: Names of distributions; ``python`` stands for the standard library.

    Raises:
        KindredError: If a distribution is not installed, or if no package holds any prose.
    """
    documents = [document for package in packages for document in read_package(package)]
    if not documents:
        raise KindredError(
            f"corpus.packages {list(packages)}: no documentation found; name packages with docstrings"
        )
    return documents


def read_package(package: str) -> list[Document]:
    """Read the documents of one distribution, each paragraph once (docstrings are often copied).

    Deduplicating within a package keeps its text independent of which other packages are read.
    """
    seen: set[bytes] = set()
    documents = []
    for name, path in python_files(package):
        repeats: Counter[str] = Counter()
        for qualname, docstring in iterate_docstrings(path):
            fresh = []
            for paragraph in prose_paragraphs(mend_surrogates(docstring)):
                key = hashlib.blake2b(paragraph.encode(), digest_size=16).digest()
                if key not in seen:
                    seen.add(key)
                    fresh.append(paragraph)
            if fresh:
                repeats[qualname] += 1
                suffix = f"#{repeats[qualname]}" if repeats[qualname] > 1 else ""
                documents.append(Document("\n\n".join(fresh), f"{name}::{qualname}{suffix}", package))
    return documents


def iterate_docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, text) of docstrings and of string arguments of ``add_docstr``-like calls.

    A file that is no valid Python of this version (a template, a Python 2 leftover) yields nothing: packages
    ship such files, and nobody can import them.
    """
    source = path.read_bytes()
    if len(source) < _MINIMUM_FILE_CHARACTERS:
        return
    with warnings.catch_warnings():
        for category in (
            SyntaxWarning,
            DeprecationWarning,
        ):  # an invalid escape is one or other, by the Python
            warnings.simplefilter("ignore", category)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return
    # Most files call nothing that adds a docstring: then no expression needs to be looked into, which halves the time.
    lowered = source.lower()
    yield from _walk(tree, (), calls=any(mark.encode() in lowered for mark in _ADDING_MARKS))


def package_records(documents: Sequence[Document], packages: Sequence[str]) -> dict[str, PackageRecord]:
    """Record version and hash per package, so that a package that changed can be named."""
    by_package: dict[str, list[Document]] = {package: [] for package in packages}
    for document in documents:
        by_package[document.label].append(document)
    return {
        package: PackageRecord(package_version(package), documents_sha256(by_package[package]))
        for package in packages
    }


def check_records(installed: Mapping[str, PackageRecord], recorded: Mapping[str, PackageRecord]) -> None:
    """Compare what is installed with what was recorded.

    Raises:
        KindredError: Naming the first package that differs, with both versions.
    """
    for package in [*recorded, *(name for name in installed if name not in recorded)]:
        here, there = installed.get(package), recorded.get(package)
        if here is None or there is None or here.sha256 != there.sha256:
            versions = [entry.version if entry else "not at all" for entry in (here, there)]
            raise KindredError(
                f"corpus differs from the recorded one in package {package} (installed {versions[0]}, recorded "
                f"{versions[1]}); install the versions in requirements.lock, or record the corpus anew"
            )


def package_version(package: str) -> str:
    """Return the installed version of a distribution (of Python itself for ``python``)."""
    if package == STANDARD_LIBRARY:
        return platform.python_version()
    return _distribution(package).version


def _distribution(package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise KindredError(
            f"corpus.packages: {package!r} is not installed; install it or take it off the list"
        ) from error


def python_files(package: str) -> list[tuple[str, Path]]:
    """List (installed name, path) of the package's Python files, tests left out, sorted by name."""
    if package == STANDARD_LIBRARY:
        root = Path(sysconfig.get_path("stdlib"))
        named = [(path.relative_to(root).as_posix(), path) for path in root.rglob("*.py")]
    else:
        files = _distribution(package).files
        if files is None:
            raise KindredError(
                f"corpus.packages: {package!r} has no RECORD of its files; reinstall it from a wheel"
            )
        named = [(file.as_posix(), Path(str(file.locate()))) for file in files]
    return sorted(
        (name, path)
        for name, path in named
        if name.endswith(".py")
        and not name.startswith("..")
        and not _TEST_FOLDERS & set(name.split("/")[:-1])
    )


def _walk(node: ast.AST, scope: tuple[str, ...], *, calls: bool) -> Iterator[tuple[str, str]]:
    """Yield named docstrings in the order of the source, those added by calls too if `calls` is true."""
    if isinstance(node, _DOCUMENTED):
        if not isinstance(node, ast.Module):
            scope = (*scope, node.name)
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None:
            yield ".".join(scope) or "<module>", docstring
    elif isinstance(node, ast.Call) and _adds_docstring(node.func):
        target, texts = _call_strings(node)
        name = ".".join((*scope, target)) if target else ".".join(scope) or "<module>"
        for text in texts:
            yield name, text
        return
    for child in ast.iter_child_nodes(node) if calls else _statements(node):
        yield from _walk(child, scope, calls=calls)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements (and handlers and cases) directly within a statement, in the order of the source."""
    for field in _STATEMENT_FIELDS:
        yield from getattr(node, field, ())


def _adds_docstring(function: ast.expr) -> bool:
    """Whether a called name is one of the ``add_docstr``, ``add_newdoc``, ``auto_docstring`` family."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return any(mark in name.lower() for mark in _ADDING_MARKS)


def _call_strings(call: ast.Call) -> tuple[str, list[str]]:
    """Split a call's string constants into the name of what is documented and the texts that document it."""
    strings = [
        part.value
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        for part in ast.walk(argument)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    texts = [string for string in strings if " " in string.strip()]
    names = [string.strip() for string in strings if string.strip().isidentifier()]
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Attribute):
        return first.attr, texts
    return (names[-1] if names else ""), texts
