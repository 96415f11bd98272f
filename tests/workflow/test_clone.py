"""A clone, a tag and `dvc pull` give what was published, whatever kind of links DVC lays; nothing harms its cache."""

import hashlib
import os
import random

import pytest

FIRST, SECOND = "small-1", "small-2"
FROM_WINDOWS = {"windows": 2, "scoring": 2, "case_study": 1, "tables": 1, "figures": 1, "report": 1}
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def published(built, tmp_path_factory):
    """A repository with two tagged experiments that differ in two cheap keys, its store beside it."""
    place = tmp_path_factory.mktemp("published")
    project = built.copy(place / "repository")
    project.put_under_version_control()
    project.run("dvc", "remote", "add", "--default", "store", str(place / "store"))
    for tag in (FIRST, SECOND):
        project.run("dvc", "repro")
        project.run("dvc", "push", "--quiet")
        project.commit(tag)
        project.run("git", "tag", tag)
        project.set("tables.digits", 5)
        project.set("figures.dpi", 61)
    project.run("git", "checkout", "--quiet", ".")
    project.run("git", "checkout", "--quiet", FIRST)
    project.run("dvc", "checkout", "--quiet")
    return project


@pytest.fixture
def clone(published, tmp_path):
    """A function: a fresh clone at a tag, pulled with one type of links. Nothing else is done to it."""

    def make(kind="copy", tag=FIRST):
        published.run("git", "clone", "--quiet", str(published.root), str(tmp_path / "clone"))
        project = type(published)(tmp_path / "clone")
        project.run("git", "checkout", "--quiet", tag)
        project.run("dvc", "config", "--local", "cache.type", kind)
        project.run("dvc", "pull", "--quiet")
        return project

    return make


def finds_nothing_to_do(project):
    """Both tools, and git: the work tree is what the commit says."""
    assert "up to date" in project.run("dvc", "status").stdout
    assert project.plan() == {}
    assert project.run("git", "status", "--porcelain").stdout == ""
    return True


def corrupted(project):
    """The files of DVC's cache that are no longer what their names, their MD5s, say."""
    objects = [path for path in (project.root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    assert len(objects) > 50
    return [
        path
        for path in objects
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        != path.parent.name + path.name.removesuffix(".dir")
    ]


def is_linked(project, kind):
    path = project.root / "results/report/index.html"
    return {
        "copy": not path.is_symlink() and path.stat().st_nlink == 1,
        "hardlink": not path.is_symlink() and path.stat().st_nlink > 1,
        "symlink": path.is_symlink(),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["symlink", pytest.param("copy", marks=SLOW), pytest.param("hardlink", marks=SLOW)]
)
def test_a_clone_needs_nothing_but_a_pull(published, clone, kind):
    reader = clone(kind)
    assert is_linked(reader, kind)
    assert finds_nothing_to_do(reader)
    assert reader.hashes("cache", "results") == published.hashes("cache", "results")
    assert "Nothing to be done" in reader.snakemake("results/tables").stderr
    assert corrupted(reader) == []


@pytest.mark.parametrize("kind", ["symlink", pytest.param("hardlink", marks=SLOW)])
def test_nothing_is_changed_in_a_store_that_others_share(clone, kind):
    """Not even a time, which only the owner of a file may set."""
    reader = clone(kind)
    store = [path for path in (reader.root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    assert len(store) > 50
    for path in store:  # as if pulled by others, one by one: times in no order
        moment = random.Random(path.name).randrange(1_600_000_000, 1_700_000_000)
        os.utime(path, (moment, moment))
    before = [(path, path.stat().st_mtime_ns, path.stat().st_mode) for path in store]
    assert finds_nothing_to_do(reader)
    assert [(path, path.stat().st_mtime_ns, path.stat().st_mode) for path in store] == before


@pytest.mark.parametrize(
    ("kind", "values", "reruns"),
    [
        ("symlink", {"figures__dpi": 61}, {"figures": 1}),
        pytest.param("copy", {"windows__length": 20}, FROM_WINDOWS, marks=SLOW),
        pytest.param("hardlink", {"windows__length": 20}, FROM_WINDOWS, marks=SLOW),
        pytest.param("symlink", {"windows__length": 20}, FROM_WINDOWS, marks=SLOW),
    ],
)
def test_a_run_writes_nothing_through_a_link(clone, jobs, kind, values, reruns):
    reader = clone(kind)
    pulled = reader.hashes("cache", "results")
    with reader.changed(**values):
        assert jobs(reader.snakemake()) == reruns
        assert jobs(reader.run("dvc", "repro")) == {}
        rerun = reader.hashes("cache", "results")
        assert rerun != pulled
        assert corrupted(reader) == []
    reader.run("git", "checkout", "--quiet", ".")
    reader.run("dvc", "checkout", "--quiet")
    assert reader.hashes("cache", "results") == pulled
    assert finds_nothing_to_do(reader)
    assert corrupted(reader) == []


def test_going_between_two_tags_costs_no_recomputation(clone):
    reader = clone()
    reader.run("dvc", "fetch", "--quiet", "--all-tags")
    seen = {}
    for tag in (SECOND, FIRST, SECOND, FIRST):
        reader.run("git", "checkout", "--quiet", tag)
        reader.run("dvc", "checkout", "--quiet")
        assert finds_nothing_to_do(reader)
        found = reader.hashes("cache", "results")
        assert seen.setdefault(tag, found) == found
    assert seen[FIRST] != seen[SECOND]


def test_benchmarks_of_an_earlier_run_do_not_count(project):
    """Snakemake takes a benchmark for an output; git and DVC leave it as it was when they check out something else."""
    project.run("rm", "-rf", ".snakemake")
    benchmarks = list((project.root / "logs/benchmarks").rglob("*.tsv"))
    assert benchmarks
    for path in benchmarks:
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert project.plan() == {}


def test_a_checkout_keeps_an_edited_result(clone):
    """`dvc checkout` refuses to remove what it has not saved; `--force` throws the edit away."""
    reader = clone("copy")
    published = reader.hashes("cache", "results")
    edited = reader.root / "results/report/index.html"
    edited.chmod(0o644)
    edited.write_text(edited.read_text() + "<!-- a remark of somebody's -->\n")
    text = edited.read_text()
    assert "results/report" in reader.run("dvc", "status").stdout
    refusal = reader.run("dvc", "checkout", status=255)
    assert "results/report/index.html" in refusal.stderr
    assert edited.read_text() == text
    assert reader.plan() == {"report": 1}
    reader.run("dvc", "checkout", "--quiet", "--force")
    assert reader.hashes("cache", "results") == published
    assert finds_nothing_to_do(reader)


def test_git_keeps_an_edited_table(clone):
    reader = clone()
    table = reader.root / "results/tables/pairs.csv"
    table.write_text(table.read_text().replace("best", "BEST"))
    refusal = reader.run("git", "checkout", SECOND, status=1)
    assert "results/tables/pairs.csv" in refusal.stderr
    assert "BEST" in table.read_text()
    assert reader.plan() == {"tables": 1}
    reader.run("git", "checkout", "--quiet", ".")
    assert finds_nothing_to_do(reader)


def test_a_checkout_keeps_a_run_that_dvc_has_not_seen(clone, jobs):
    """What snakemake made is nowhere but in the work tree, until `dvc repro` (which reruns nothing) saves it."""
    reader = clone()
    published = reader.hashes("cache", "results")
    (reader.root / "cache/windows/.docs-0.partial-left").mkdir()
    reader.set("figures.dpi", 62)
    reader.snakemake("results/figures")
    new = reader.hashes("results/figures")
    reader.run("git", "checkout", "--quiet", ".")
    refusal = reader.run("dvc", "checkout", status=255)
    assert "results/figures" in refusal.stderr
    assert reader.hashes("results/figures") == new

    reader.set("figures.dpi", 62)
    assert jobs(reader.run("dvc", "repro")) == {}
    kept = reader.commit("another resolution")
    reader.run("git", "checkout", "--quiet", FIRST)
    reader.run("dvc", "checkout", "--quiet")
    assert reader.hashes("cache", "results") == published
    assert finds_nothing_to_do(reader)
    reader.run("git", "checkout", "--quiet", kept)
    reader.run("dvc", "checkout", "--quiet")
    assert reader.hashes("results/figures") == new
    assert finds_nothing_to_do(reader)


@pytest.mark.slow
def test_deleted_and_recomputed_it_is_what_dvc_lock_says(published, clone):
    reader = clone("hardlink")
    reader.run("rm", "-rf", "results", "cache", "logs", ".kindred", ".snakemake")
    reader.snakemake()
    assert finds_nothing_to_do(reader)
    assert reader.hashes("cache", "results") == published.hashes("cache", "results")
    assert corrupted(reader) == []
