"""Artefacts that are missing, cut short or altered behind the workflow's back."""

import pytest

PUBLISHED = {"tables": 1, "figures": 1, "report": 1}


def test_a_deleted_artefact_is_made_anew_with_the_same_bytes_on_one_core(project, built, jobs):
    project.run("rm", "-rf", "cache/scoring/docs-1", "results/report")
    done = project.snakemake(cores=1)
    assert jobs(done) == {"scoring": 1, "case_study": 1, **PUBLISHED}
    assert project.hashes("cache", "results") == built.hashes("cache", "results")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cache/windows/docs-0/windows.json", {"windows": 1, "scoring": 1, "case_study": 1, **PUBLISHED}),
        ("results/figures/swap_cost.png", {"figures": 1}),
    ],
)
def test_a_file_that_is_cut_short_or_gone_is_noticed(project, file, expected):
    path = project.root / file
    path.write_bytes(path.read_bytes()[:-1])
    assert project.plan() == expected
    path.unlink()
    assert project.plan() == expected


def test_a_flipped_byte_is_refused_by_the_step_that_reads_it_and_made_anew_next(project, built, jobs):
    path = project.root / "cache/case_study/seeds/records.json"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    project.run("rm", "-rf", "results/tables")
    done = project.snakemake("results/tables", status=1)
    assert "cache/case_study/seeds/records.json differs from what was written (checksum)" in done.stderr
    assert "run snakemake again to have cache/case_study/seeds rebuilt" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.root / "results/tables").exists()
    assert jobs(project.snakemake("results/tables")) == {"case_study": 1, "tables": 1}
    assert project.hashes("cache", "results/tables") == {
        **built.hashes("cache", "results/tables"),
        **{name: digest for name, digest in project.hashes("cache").items() if name.endswith(".damaged")},
    }


def test_a_folder_of_other_params_swapped_in_is_refused_with_what_it_was_made_with(project):
    """As after a `dvc checkout` or a copy by hand, behind the back of a run that is on its way."""
    with project.changed(windows__length=20):
        project.snakemake("cache/windows/docs-0/manifest.json")
    project.plan()  # takes the params of now down for the steps
    done = project.step(
        "scoring",
        "cache/scoring/docs-0",
        tokens=["cache/tokens"],
        features=["cache/features/docs-0"],
        windows=["cache/windows/docs-0"],
        explanation=["cache/explanation/docs-0"],
        status=1,
    )
    message = "cache/windows/docs-0 cannot be used: it was made with windows.length = 20 (now 30)"
    assert message in done.stderr
    assert "Traceback" not in done.stderr
