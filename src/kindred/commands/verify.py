"""`kindred verify [--against NAME]`: whether the tables here are those of a committed experiment, cell by cell.

Compared are the tables and JSON files of results/tables with what git holds of them. The tables must have been made
by the params, code and inputs that are here now; what is stale or missing is named, and nothing is compared.
With --recompute everything is computed anew, from nothing, in a temporary folder, and that is compared.

The exit status is the verdict:
  0  identical, byte by byte
  3  equal within the stated tolerance: what fast arithmetic can promise on another kind of processor
  1  different
  2  could not be compared
Equal is not 0, because a script that asks for the same bytes must not be told so by mistake; one that is content
with equal numbers allows 3.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from kindred.arithmetic import Arithmetic
from kindred.artefacts.folder import MANIFEST, SIDECAR, Manifest
from kindred.artefacts.published_files import load_files
from kindred.environment import environment
from kindred.errors import KindredError
from kindred.lineage import INPUT, Lineage
from kindred.params import Params, load_params
from kindred.pipeline import STEPS, model_fingerprints
from kindred.provenance import Link, Provenance, chain, link, read_provenance
from kindred.repository import Repository
from kindred.verification import upstream
from kindred.verification.comparison import Verdict, compare_files, is_compared
from kindred.verification.machine_readable import outcome_json
from kindred.verification.outcome import Outcome, Record, compare_records
from kindred.verification.tolerance import STATED
from kindred.verification.wording import describe

TABLES = Path("results/tables")
PARAMS = Path("params.yaml")
# No table is made from these: that they are stale or missing is no reason not to compare tables.
BESIDE = (Path("results/figures"), Path("results/report"))
MEANING: Mapping[Arithmetic, str] = {
    "portable": "which gives the same bytes on every x86-64 processor with AVX2",
    "fast": "which gives the same bytes on one family of processors only",
}
# Settings of steps that have another name than the section of params that they come from.
SECTIONS = {"sae": "saes", "pair": "pairs", "embedder": "scoring"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--against",
        default="HEAD",
        metavar="NAME",
        help="a tag, a name of docs/experiments.csv or a commit that holds the reference (default: HEAD)",
    )
    parser.add_argument(
        "--recompute",
        action="store_true",
        help="compute everything anew, in a temporary folder, and compare that",
    )
    parser.add_argument(
        "--cores", default="all", metavar="N", help="for --recompute, as Snakemake takes it (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON, with every cell")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict and return the exit status that says it.

    Raises:
        KindredError: there is no reference of that name, or what is here is stale, missing or unreadable.
    """
    repository = Repository(Path())
    commit = repository.resolve(arguments.against)
    reference = _committed(repository, arguments.against, commit)
    params = load_params(PARAMS)
    recorded, notes = _recorded(reference, arguments.against)
    if arguments.recompute:
        folder = _recompute(params, arguments.cores)
    else:
        folder = Path()
        _refuse_stale(params)
    comparison = compare_files(reference, load_files(folder / TABLES), STATED)
    origins = compare_records(recorded, _present(folder, params)) if recorded else None
    notes.append(f"arithmetic: {params.arithmetic}, {MEANING[params.arithmetic]}")
    if not arguments.recompute:
        notes.append("compared as found here; to compute everything anew: kindred verify --recompute")
    elif comparison.verdict is Verdict.DIFFERENT:
        notes.append(f"what was computed is kept in {folder}")
    else:
        shutil.rmtree(folder)
    outcome = Outcome(arguments.against, commit, comparison, origins, _sections(params), notes)
    print(outcome_json(outcome) if arguments.json else describe(outcome))
    return outcome.status


def _committed(repository: Repository, name: str, commit: str) -> dict[str, bytes]:
    """Every file of results/tables in a commit, by its name there."""
    contents = {
        path.removeprefix(f"{TABLES}/"): repository.committed(commit, path)
        for path in repository.files(commit, TABLES.as_posix())
    }
    files = {path: content for path, content in contents.items() if content is not None}
    if not any(is_compared(path) for path in files):
        known = {experiment.name for experiment in repository.experiments()} | set(repository.tags())
        raise KindredError(
            f"{name} ({commit[:12]}) holds no tables in {TABLES}, so there is nothing to compare with; "
            f"named experiments: {', '.join(sorted(known)) or 'none yet'}"
        )
    return files


def _recorded(reference: Mapping[str, bytes], name: str) -> tuple[Record | None, list[str]]:
    """What the reference's sidecars and manifest say of its origin, and what a reader must know of them."""
    try:
        sidecars = {
            path: read_provenance(content, f"{TABLES}/{path} of {name}")
            for path, content in sorted(reference.items())
            if path.endswith(SIDECAR)
        }
        manifest = Manifest.model_validate_json(reference.get(MANIFEST, b""))
    except (KindredError, ValidationError) as error:
        return None, [f"where {name} comes from cannot be read: {str(error).splitlines()[0]}"]
    if not sidecars:
        return None, [f"{name} has no sidecars ({TABLES}/*{SIDECAR}): its origin is not recorded"]
    notes = [
        f"note: {TABLES}/{file} of {name} is not what was computed there (its sidecar has another checksum)"
        for sidecar in sidecars.values()
        for file, recorded in sidecar.files.items()
        if file in reference and hashlib.sha256(reference[file]).hexdigest() != recorded
    ]
    first = next(iter(sidecars.values()))
    return _record_of(first, {**first.chain, TABLES.as_posix(): link(manifest)}), notes


def _record_of(sidecar: Provenance, links: Mapping[str, Link]) -> Record:
    surroundings = sidecar.environment.model_dump() | {
        "threads": sidecar.params["model"]["threads"],
        "models": sidecar.models,
        "corpus": sidecar.corpus,
    }
    return Record(_chain(links), sidecar.params, surroundings)


def _present(folder: Path, params: Params) -> Record:
    """The same of what is compared, from the manifests and from this process."""
    with contextlib.chdir(folder):
        links = chain([TABLES])
        surroundings = environment(params.arithmetic).model_dump() | {
            "threads": params.model.threads,
            "models": model_fingerprints(params),
            "corpus": next(found.content for found in links.values() if found.step == "corpus"),
        }
    return Record(_chain(links), params.model_dump(mode="json"), surroundings)


def _chain(links: Mapping[str, Link]) -> dict[str, upstream.Link]:
    return {folder: upstream.Link(**found.model_dump()) for folder, found in links.items()}


def _sections(params: Params) -> dict[str, frozenset[str]]:
    """The sections of params that each step depends on."""
    names = {step.name: step.settings(params, step.identities(params)[0]) for step in STEPS.values()}
    return {
        step: frozenset(SECTIONS.get(name, name) for name in settings) for step, settings in names.items()
    }


def _refuse_stale(params: Params) -> None:
    """Raise KindredError unless all that the tables come from was made by what holds now."""
    lineage = Lineage(params, contents=True)
    stale = {
        folder: reason
        for folder in lineage.artefacts
        if folder not in BESIDE and (reason := lineage.why_stale(folder))
    }
    if not stale:
        return
    causes = defaultdict(list)
    for folder, reason in stale.items():
        if not reason.startswith(INPUT):  # that only follows from another
            causes[reason].append(folder)
    lines = [
        f"  {folders[0]}{f' and {len(folders) - 1} more' if len(folders) > 1 else ''}: {reason}"
        for reason, folders in causes.items()
    ]
    following = len(stale) - sum(len(folders) for folders in causes.values())
    if following:
        lines.append(f"  and {following} that come{'s' if following == 1 else ''} from these")
    raise KindredError(
        "nothing was compared: the tables here are not what these params, code and inputs give\n"
        + "\n".join(lines)
        + f"\n`dvc pull` fetches what was released, `snakemake --cores all {TABLES}` makes what is stale, "
        "`kindred verify --recompute` computes everything anew, aside"
    )


def _recompute(params: Params, cores: str) -> Path:
    """Compute the tables from nothing in a temporary folder with the files of the work tree; return the folder.

    Raises:
        KindredError: the computation failed; its folder is kept.
    """
    folder = Path(tempfile.mkdtemp(prefix="kindred-verify-"))
    print(f"kindred: computing everything anew in {folder}", file=sys.stderr, flush=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    search = [str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    try:
        _copy_project(params, folder)
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", cores, "--", str(TABLES)],
            cwd=folder,
            env=inherited | {"PYTHONPATH": os.pathsep.join(search), "PATH": os.pathsep.join(programs)},
            stdout=sys.stderr,
            check=False,
        )
    except BaseException:
        shutil.rmtree(folder)
        raise
    if done.returncode != 0:
        raise KindredError(
            f"the computation failed (snakemake ended with status {done.returncode}, its messages are above); "
            f"its folder is kept: {folder}"
        )
    return folder


def _copy_project(params: Params, folder: Path) -> None:
    """Copy what git tracks or would add, as it is now, but no results; and link what else the params name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in {name for name in os.fsdecode(listed.stdout).split("\0") if name}:
        source, target = Path(name), folder / name
        if source.parts[0] == TABLES.parts[0] or not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    named = [params.model.source, params.corpus.path, params.scoring.embedder]
    named += [getattr(entry, "path", None) for entry in params.saes.values()]
    for path in {Path(name) for name in named if name}:
        if path.exists() and not path.is_absolute() and not (folder / path).exists():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(path.resolve())
