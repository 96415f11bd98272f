"""DVC and Snakemake agree on what is done, in either order, and across a clone."""

import pytest

FROM_WINDOWS = {"windows": 2, "scoring": 2, "case_study": 1, "tables": 1, "figures": 1, "report": 1}


def test_dvc_finds_nothing_to_do_after_snakemake(repository, built, jobs):
    assert jobs(repository.run("dvc", "repro")) == {}
    assert "up to date" in repository.run("dvc", "status").stdout
    assert repository.plan() == {}
    assert repository.hashes("cache", "results") == built.hashes("cache", "results")


@pytest.mark.slow
def test_dvc_reruns_only_what_depends_on_a_change_and_a_clone_needs_nothing(repository, jobs, tmp_path):
    repository.run("dvc", "repro")
    repository.set("windows.length", 20)
    assert jobs(repository.run("dvc", "repro")) == FROM_WINDOWS
    assert repository.plan() == {}
    repository.set("windows.length", 30)
    assert jobs(repository.snakemake()) == {}  # they come from the store
    assert jobs(repository.run("dvc", "repro")) == {}

    repository.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    repository.run("dvc", "push", "--quiet")
    repository.commit()
    repository.run("git", "clone", "--quiet", str(repository.root), str(tmp_path / "clone"))
    clone = type(repository)(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.plan() == {}
    assert clone.hashes("cache", "results") == repository.hashes("cache", "results")
