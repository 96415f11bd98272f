"""`kindred` in folders and clones where it cannot do its work: one line that says where or how it can."""

import subprocess
from pathlib import Path

import pytest

from kindred.command import main

COMMANDS = (["verify"], ["sizes"], ["tags"], ["provenance", "x"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a project, as far as the commands look for it."""
    for name in ("params.yaml", "Snakefile"):
        (tmp_path / name).touch()
    (tmp_path / "docs").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_below_the_project_is_told_the_root(project, command, monkeypatch, capsys):
    monkeypatch.chdir(project / "docs")
    assert main(command) == 2
    assert f"does not hold params.yaml and Snakefile: cd {project}, and run again" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_outside_is_refused(tmp_path, command, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    assert "change into the folder of the project" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["verify"], ["tags"], ["sizes", "HEAD"]])
def test_without_git_the_commands_that_need_it_say_so(project, command, monkeypatch, capsys):
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", str(project / "docs"))
    assert main(command) == 2
    assert "git is not installed" in capsys.readouterr().err


def test_a_file_in_the_place_of_a_folder_is_one_line(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    (project / "docs").rmdir()
    (project / "docs").touch()
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert main(["tags"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
