"""Files that are deleted, cut short or flipped behind the workflow's back: noticed, named and made anew by either tool.

The content store is emptied first, but for one test: from a full one, what is damaged would come back.

What to damage is chosen by a seed: one file of one artefact of each kind, and one place in it. Every kind is planned
after every damage, and rebuilt by both tools, in the slow tests; the others take them together, or a few of them.
"""

import json
import os
import random
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kindred.pipeline import STEPS

KINDS = tuple(STEPS)
MANIFEST = "manifest.json"
RESULTS = ("tables", "figures", "report")
slow = pytest.mark.slow


def cut(path, generator):
    with path.open("rb+") as file:
        file.truncate(generator.randrange(path.stat().st_size))


def flip(path, generator):
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def delete(path, _):
    path.unlink()


# What is done, and whether it is done to the manifest.
DAMAGES = {
    "deleted": (delete, False),
    "cut short": (cut, False),
    "flipped": (flip, False),
    "manifest flipped": (flip, True),
    "manifest deleted": (delete, True),
}


@pytest.fixture(scope="module")
def made(built):
    """Every artefact's manifest by its folder, undamaged."""
    paths = [path for folder in ("cache", "results") for path in (built.root / folder).rglob(MANIFEST)]
    return {
        path.parent.relative_to(built.root).as_posix(): json.loads(path.read_text()) for path in sorted(paths)
    }


def downstream(made, *folders):
    """How many jobs of each rule remake some artefacts and all that was made from them."""
    stale = set(folders)
    while more := {name for name, manifest in made.items() if stale & set(manifest["inputs"])} - stale:
        stale |= more
    kinds = [made[name]["kind"] for name in stale]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def choose(made, kind, damage):
    """The artefact's folder and the file of it that are damaged, always the same, and a generator for the rest."""
    generator = random.Random(f"{kind} {damage}")
    folder = generator.choice([name for name, manifest in made.items() if manifest["kind"] == kind])
    name = MANIFEST if DAMAGES[damage][1] else generator.choice(sorted(made[folder]["files"]))
    return folder, f"{folder}/{name}", generator


def do_damage(project, made, kind, damage):
    """Damage one artefact of a kind; its folder, and what of it must be named."""
    folder, name, generator = choose(made, kind, damage)
    DAMAGES[damage][0](project.root / name, generator)
    # A flipped setting looks like another setting: then the artefact is named with both values, not its manifest.
    return folder, folder if damage == "manifest flipped" else name


@contextmanager
def damaged(project, made, kind, damage):
    path = project.root / choose(made, kind, damage)[1]
    content, stat = path.read_bytes(), path.stat()
    try:
        yield do_damage(project, made, kind, damage)
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def named(done, *names):
    """Whether what is damaged is named by the lines of kindred, and nothing else."""
    lines = [line for line in done.stderr.splitlines() if line.endswith("; to be made anew")]
    return len(lines) == len(names) and all(
        any(line.startswith("kindred: ") and name in line for line in lines) for name in names
    )


@pytest.fixture(scope="module")
def shared(built, tmp_path_factory):
    """A copy whose files are damaged and put back."""
    return built.copy(tmp_path_factory.mktemp("damage") / "project")


@pytest.fixture(scope="module")
def kept(built, tmp_path_factory):
    """A repository in which DVC has recorded what is there; every test leaves it so."""
    project = built.copy(tmp_path_factory.mktemp("damage") / "repository")
    project.put_under_version_control()
    project.record()
    return project


# A flip in what a manifest says of its inputs cannot be told while these are damaged themselves.
@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "manifest flipped"])
def test_a_damage_to_every_kind_of_artefact_is_noticed_and_named(shared, made, damage, jobs):
    with ExitStack() as stack:
        chosen = [stack.enter_context(damaged(shared, made, kind, damage)) for kind in KINDS]
        done = shared.run("snakemake", "-n")
    assert named(done, *(name for _, name in chosen)), done.stderr
    assert jobs(done) == downstream(made, *(folder for folder, _ in chosen))


FEW = (("matching", "manifest flipped"), ("case_study", "flipped"), ("figures", "deleted"))


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        pytest.param(kind, damage, marks=() if (kind, damage) in FEW else slow)
        for kind in KINDS
        for damage in DAMAGES
    ],
)
def test_what_is_damaged_and_what_was_made_from_it_is_planned_and_nothing_else(
    shared, made, kind, damage, jobs
):
    with damaged(shared, made, kind, damage) as (folder, name):
        done = shared.run("snakemake", "-n")
    assert jobs(done) == downstream(made, folder)
    assert named(done, name), done.stderr


def test_a_flip_behind_an_unchanged_size_and_time_is_noticed(shared, made, jobs):
    path = shared.root / choose(made, "windows", "flipped")[1]
    time = path.stat().st_mtime_ns
    assert shared.plan() == {}
    with damaged(shared, made, "windows", "flipped") as (folder, name):
        os.utime(path, ns=(time, time))
        done = shared.run("snakemake", "-n")
    assert jobs(done) == downstream(made, folder)
    assert named(done, name)


def test_a_folder_deleted_as_a_whole_is_named_if_others_were_made_from_it(project, made, jobs):
    project.run("rm", "-rf", "cache/scoring/docs-1", "results/report")
    done = project.run("snakemake", "-n")
    assert jobs(done) == downstream(made, "cache/scoring/docs-1", "results/report")
    assert named(done, "cache/scoring/docs-1: it is missing")


def test_a_clone_with_tables_and_no_cache_is_told_that_all_is_computed(project):
    project.run("rm", "-rf", "cache")
    done = project.run("snakemake", "-n")
    assert "kindred: no cache here: all is computed" in done.stderr
    assert named(done)


def test_late_artefacts_are_rebuilt_with_the_same_bytes_on_one_core(project, built, made, jobs):
    damages = zip(("case_study", *RESULTS), DAMAGES, strict=False)
    names = [do_damage(project, made, kind, damage)[1] for kind, damage in damages]
    done = project.snakemake(cores=1)
    assert jobs(done) == {"case_study": 1, **dict.fromkeys(RESULTS, 1)}
    assert named(done, *names)
    assert project.hashes("cache", "results") == built.hashes("cache", "results")
    assert project.plan() == {}


def repaired_by_dvc(project, before, folders):
    """Whether DVC sees damage, rebuilds it, and is then of one mind with Snakemake."""
    outs = {"cache" if folder.startswith("cache") else folder for folder in folders}
    status = project.run("dvc", "status").stdout
    assert all(
        f"modified:           {out}" in status or f"deleted:            {out}" in status for out in outs
    )
    done = project.run("dvc", "repro")
    assert project.hashes("cache", "results") == before
    assert "up to date" in project.run("dvc", "status").stdout
    assert project.plan() == {}
    return done


def test_dvc_shows_and_rebuilds_damage(kept, made, jobs):
    before = kept.hashes("cache", "results")
    kept.empty_store()
    folder, name = do_damage(kept, made, "figures", "cut short")
    tables, manifest = do_damage(kept, made, "tables", "manifest deleted")
    done = repaired_by_dvc(kept, before, [folder, tables])
    assert jobs(done) == downstream(made, folder, tables)
    assert named(done, name, manifest)


@slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_rebuilt_with_the_same_bytes_by_either_tool(kept, made, kind, jobs):
    before = kept.hashes("cache", "results")
    kept.empty_store()
    first, second = list(DAMAGES)[KINDS.index(kind) % 5], list(DAMAGES)[(KINDS.index(kind) + 2) % 5]
    folder, name = do_damage(kept, made, kind, first)
    done = kept.snakemake()
    assert named(done, name)
    assert jobs(done) == downstream(made, folder)
    assert kept.hashes("cache", "results") == before
    assert jobs(kept.run("dvc", "repro")) == {}
    kept.empty_store()
    folder, name = do_damage(kept, made, kind, second)
    done = repaired_by_dvc(kept, before, [folder])
    assert named(done, name)
    assert jobs(done) == downstream(made, folder)


def test_a_flip_during_a_run_is_refused_by_the_step_that_reads_it_and_made_anew_next(project, made, jobs):
    project.plan()  # the survey at the start of a run, which finds nothing
    folder, name = do_damage(project, made, "case_study", "flipped")
    inputs = {}
    for place in made["results/report"]["inputs"]:
        inputs.setdefault(Path(place).parts[1], []).append(place)
    done = project.step("report", "results/report", **inputs, status=1)
    assert f"{name} differs from what was written (checksum)" in done.stderr
    assert f"run snakemake again to have {folder} rebuilt" in done.stderr
    assert "Traceback" not in done.stderr
    done = project.run("snakemake", "-n")
    assert jobs(done) == downstream(made, folder)
    assert named(done, f"{folder}/{MANIFEST} is missing")


@pytest.mark.parametrize(
    "damage", [pytest.param(damage, marks=() if damage == "flipped" else slow) for damage in DAMAGES]
)
def test_what_the_store_has_is_noticed_named_and_comes_back(project, made, jobs, damage):
    """The damage is done to what is no link, as by an editor that saves by renaming."""
    project.run("rm", "-rf", "cache/case_study", *(f"results/{name}" for name in RESULTS))
    assert jobs(project.snakemake()) == {"case_study": 1, **dict.fromkeys(RESULTS, 1)}
    before = project.hashes("cache", "results")
    for kind in ("case_study", *RESULTS):
        folder, name, generator = choose(made, kind, damage)
        path = project.root / name
        project.run("cp", "--remove-destination", name, f"{name}.copy")
        project.run("mv", f"{name}.copy", name)
        path.chmod(0o644)
        DAMAGES[damage][0](path, generator)
        done = project.snakemake()
        assert jobs(done) == {}
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("kindred: ")]
        assert line.endswith("; taken from the store, not computed")
        assert folder in line
        assert project.hashes("cache", "results") == before
