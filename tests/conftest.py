"""The real workflow in a folder of its own: every test that runs it works on such a copy."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COPIED = (
    "Snakefile",
    "rules",
    "profiles",
    "experiments",
    "params.yaml",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "requirements.lock",
    "src",
    "models",
)
RESULTS = ("results/tables", "results/figures", "results/report")
# What Python's audit tells before it changes the disk: a kill before each of them meets every state of the disk.
CHANGES = (
    *("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.chmod", "os.utime"),
    *("shutil.rmtree", "shutil.copyfile", "fcntl.flock", "fcntl.ioctl"),
)
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@dataclass(frozen=True)
class Project:
    """A copy of the project; its commands run its own sources."""

    root: Path

    @property
    def environment(self):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "SNAKEMAKE_", "GIT_"))}
        return {
            **inherited,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command, status=0, **options):
        """Run a command in the folder, and demand its exit status (None: any)."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=900,
            **options,
        )
        assert status in (None, done.returncode), (
            f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(self, *command):
        """Start a command as the leader of a process group of its own, its output in output.txt."""
        with (self.root / "output.txt").open("w") as output:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What runs the tests may ignore interrupts (a shell's background), and children inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )

    def snakemake(self, *targets, cores=2, status=0):
        return self.run("snakemake", "--cores", str(cores), *targets, status=status)

    def step(self, name, out, *, status=0, params=".kindred/params.json", log="logs/step.log", **inputs):
        """Run the command of one step."""
        arguments = [part for key, paths in inputs.items() for part in (f"--{key}", *paths)]
        command = [sys.executable, "-m", f"kindred.steps.{name}", "--params", params, "--out", out]
        return self.run(*command, "--log", log, *arguments, status=status)

    def empty_store(self):
        """Let nothing come back: what is missing has to be computed."""
        self.run("kindred", "prune", "--all")

    def plan(self, *targets):
        """How many jobs of each rule Snakemake would run."""
        return jobs_of(self.run("snakemake", "-n", *targets))

    def copy(self, place):
        """The same with the same times."""
        subprocess.run(["cp", "-a", self.root, place], check=True)
        return Project(place)

    def set(self, key, value):
        """Change one value where it takes effect: in the overlay if that has the key."""
        overlay = self.root / "experiments" / f"{self._params()['experiment']}.yaml"
        for path in (overlay, self.root / "params.yaml"):
            data = yaml.safe_load(path.read_text()) if path.exists() else {}
            *sections, last = key.split(".")
            place = data
            for section in sections:
                place = place.get(section, {})
            if last in place:
                place[last] = value
                path.write_text(yaml.safe_dump(data, sort_keys=False))
                return
        raise KeyError(key)

    @contextmanager
    def changed(self, **values):
        """The params with some values changed (`windows__length=20`), and put back at the end."""
        paths = [self.root / "params.yaml", *self.root.glob("experiments/*.yaml")]
        before = {path: path.read_bytes() for path in paths}
        for key, value in values.items():
            self.set(key.replace("__", "."), value)
        yield
        for path, content in before.items():
            path.write_bytes(content)

    def _params(self):
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def hashes(self, *folders):
        """SHA-256 of every file of the folders, manifests included."""
        return {
            path.relative_to(self.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in folders
            for path in sorted((self.root / folder).rglob("*"))
            if path.is_file() and path.name != ".snakemake_timestamp"
        }

    def put_under_version_control(self):
        """Make a repository of git and DVC of the folder; nothing is committed yet."""
        self.run("git", "init", "--quiet", "--initial-branch", "main")
        self.run("dvc", "init", "--quiet")
        self.run("dvc", "config", "core.analytics", "false")

    def commit(self, message="state"):
        """Commit everything that git does not ignore; return the commit."""
        self.run("git", "add", "--all")
        self.run("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", message)
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def record(self):
        """Let DVC record what is there, with tables whose sidecars name a commit, as after a release; commit that."""
        self.commit()
        self.run("rm", "-rf", "results/tables")
        self.run("dvc", "repro")
        return self.commit()

    def partials(self):
        """What half-written artefacts lie about."""
        return [
            path for folder in ("cache", "results") for path in (self.root / folder).rglob(".*.partial-*")
        ]


def jobs_of(done):
    """The job table that Snakemake prints, through DVC too, without its totals and the target `all`."""
    text = done.stdout + done.stderr
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", text, re.DOTALL)
    if table is None:
        assert "Nothing to be done" in text or "didn't change, skipping" in text, text
        return {}
    rows = (line.split() for line in table[1].splitlines())
    return {name: int(count) for name, count in rows if name != "all"}


def pytest_addoption(parser):
    """`--built FOLDER` saves a developer the build: the folder is a `built` project that an earlier run left."""
    parser.addoption(
        "--built", type=Path, help="a small experiment built before, to be used instead of a new one"
    )


@pytest.fixture(scope="session")
def new_project():
    """A function that copies the project's files, nothing built, into a folder."""

    def make(place):
        place.mkdir(parents=True)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / name)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, place / name)
        return Project(place)

    return make


@pytest.fixture(scope="session")
def killed_at():
    """A function that runs an action in a process that is killed before its change of the disk of that number.

    It returns False if the action had ended by then.
    """

    def run(number, action):
        child = os.fork()
        if child == 0:
            left = number

            def count(event, arguments):
                nonlocal left
                if event in CHANGES:
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            try:
                sys.addaudithook(count)
                action()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)

    return run


@pytest.fixture(scope="session")
def jobs():
    """The function that reads Snakemake's job table."""
    return jobs_of


@pytest.fixture(scope="session")
def built(tmp_path_factory, new_project, pytestconfig):
    """The small experiment, built once from nothing, with an empty store. Only to be read, or copied."""
    if pytestconfig.getoption("--built"):
        return Project(pytestconfig.getoption("--built").resolve())
    project = new_project(tmp_path_factory.mktemp("built") / "project")
    project.snakemake("--config", "experiment=small", "--", *RESULTS)
    project.set("experiment", "small")
    project.empty_store()
    return project


@pytest.fixture
def unbuilt(built, tmp_path):
    """A copy of the built project as if nothing had been run in it."""
    project = built.copy(tmp_path / "unbuilt")
    project.run("rm", "-rf", "cache", "results", "logs", ".kindred", ".snakemake")
    return project


@pytest.fixture
def project(built, tmp_path):
    """A copy of the built project, to be changed."""
    return built.copy(tmp_path / "project")


@pytest.fixture
def repository(project):
    """The built project under git and DVC, with all that git has to know committed."""
    project.put_under_version_control()
    project.commit()
    return project
