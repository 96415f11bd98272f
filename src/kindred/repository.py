"""What git knows of the project: commits, tags, named experiments, and files as they were committed."""

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kindred.errors import KindredError

EXPERIMENTS = Path("docs/experiments.csv")


@dataclass(frozen=True)
class Experiment:
    """A released experiment: a row of docs/experiments.csv.

    Attributes:
        name: The tag's name.
        commit: The full hash of the commit it names.
        what: What it is, in a line.
    """

    name: str
    commit: str
    what: str


class Repository:
    """The git repository of a project.

    Args:
        root: The project's folder.

    Raises:
        KindredError: git is not installed, or the folder is in no git repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._git("rev-parse", "--git-dir")

    def head(self) -> str:
        """The commit that is checked out; raises KindredError if there is none yet."""
        return self._git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()

    def committed(self, revision: str, path: str) -> bytes | None:
        """A file as it stands in a commit; None if the commit has no such file."""
        name = f"{revision}:./{path}"
        if self._run("cat-file", "-e", name).returncode != 0:
            return None
        return self._git("cat-file", "blob", name)

    def files(self, revision: str, folder: str) -> list[str]:
        """The paths of all files of a folder in a commit, sorted."""
        listed = self._git("ls-tree", "-r", "-z", "--name-only", revision, "--", f"{folder}/")
        return sorted(path for path in _text(listed).split("\0") if path)

    def uncommitted(self, paths: Sequence[str]) -> list[str]:
        """Those files at some paths that differ from HEAD or that git does not know, sorted."""
        listed = self._git("status", "--porcelain", "-z", "--no-renames", "--", *paths)
        return sorted(entry[3:] for entry in _text(listed).split("\0") if entry)

    def experiments(self) -> list[Experiment]:
        """The released experiments that docs/experiments.csv names; none if there is no such file."""
        path = self.root / EXPERIMENTS
        if not path.exists():
            return []
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file, restkey="", restval="", strict=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise KindredError(f"{EXPERIMENTS}: no CSV table in UTF-8 ({error})") from error
        wrong = [number for number, row in enumerate(rows, 2) if set(row) != {"name", "commit", "what"}]
        if wrong:
            raise KindredError(f"{EXPERIMENTS}, line {wrong[0]}: expected the columns name, commit, what")
        return [Experiment(**row) for row in rows]

    def tags(self) -> dict[str, str]:
        """The commit of every tag."""
        listed = self._git(
            "for-each-ref", "--format=%(refname:lstrip=2) %(objectname) %(*objectname)", "refs/tags"
        )
        rows = (line.split(" ") for line in _text(listed).splitlines())
        return {name: peeled or direct for name, direct, peeled in rows}

    def tag(self, experiment: Experiment) -> None:
        """Give an experiment its tag (one without a date or a tagger, so the same in every clone)."""
        self._git("tag", experiment.name, experiment.commit)

    def resolve(self, name: str) -> str:
        """The commit that a name means: a tag, an experiment of docs/experiments.csv, or any other revision.

        Raises:
            KindredError: there is no such name; the message lists those that there are.
        """
        named = {experiment.name: experiment.commit for experiment in self.experiments()} | self.tags()
        done = self._run("rev-parse", "--verify", "--quiet", f"{named.get(name, name)}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        by_commit = {commit: known for known, commit in named.items()}
        if name in named or name in by_commit:
            known = name if name in named else by_commit[name]
            raise KindredError(
                f"{known} is commit {named[known]}, which this clone does not have: {self._how_to_fetch()}, "
                "and run again"
            )
        known = ", ".join(sorted(named)) or "none yet"
        advice = f"; {self._how_to_fetch()} if it is an older one" if self._is_shallow() else ""
        raise KindredError(
            f"{name}: no tag, named experiment or commit of this clone{advice} (named experiments: {known})"
        )

    def _is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _how_to_fetch(self) -> str:
        if self._is_shallow():
            return "the clone is shallow, so fetch the rest of the history (git fetch --unshallow --tags)"
        return "fetch the branch or tag that carries it (git fetch --tags)"

    def _git(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise KindredError(f"git {' '.join(arguments)}: {_text(done.stderr).strip()}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise KindredError(
                "git is not installed, and what is committed cannot be read without it"
            ) from error


def _text(output: bytes) -> str:
    r"""What git says as text that can be written anywhere; bytes of names that are not UTF-8 become \xNN."""
    return output.decode("utf-8", "backslashreplace")
