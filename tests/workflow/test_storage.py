"""Push, pull, interruption and garbage collection, with the real DVC: a local directory, and S3 on loopback."""

import hashlib
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
# Each is answered without a signature; from then on the server demands valid ones.
SETTING_UP = ("create_user", "put_user_policy", "create_access_key")
# The commands that the docs advise, run as they stand there.
COLLECT = re.findall(r"^dvc gc .*$", (ROOT / "docs/storage.md").read_text(), re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """An S3 server of its own process, that verifies signatures, and who may use it."""

    process: subprocess.Popen
    log: Path
    url: str
    key: str
    secret: str
    bucket: str

    def client(self, secret=None):
        return client("s3", self.url, self.key, secret or self.secret)

    def objects(self, prefix):
        """The content of every object, by what follows the prefix in its key."""
        store = self.client()
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{prefix}/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {
            key.removeprefix(f"{prefix}/"): store.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in keys
        }

    def stored(self):
        """How many objects it has taken up so far."""
        return len(re.findall(r'"PUT /\S+/files/\S+ HTTP/1.1" 200', self.log.read_text()))


def client(service, url, key, secret):
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The server, on a free port of loopback, with one user and one bucket; ended with the tests."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(len(SETTING_UP))},
        )
    try:
        url = wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), process)[0]
        users = client("iam", url, "nobody", "nothing")
        users.create_user(UserName="kindred")
        users.put_user_policy(
            UserName="kindred", PolicyName="everything", PolicyDocument=json.dumps(EVERYTHING)
        )
        made = users.create_access_key(UserName="kindred")["AccessKey"]
        server = Server(process, log, url, made["AccessKeyId"], made["SecretAccessKey"], "experiments")
        server.client().create_bucket(Bucket=server.bucket)
        yield server
    finally:
        process.kill()
        process.wait()


def wait_for(condition, process, seconds=60):
    """What the condition yields once it holds; the process must live meanwhile."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "nothing happened"
        assert process.poll() is None, "it ended too early"
        time.sleep(0.005)
    return found


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch, tmp_path):
    """Nobody's own credentials, profile or proxy take part."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def recorded(built, tmp_path_factory):
    """The built experiment under git and DVC, its dvc.lock committed. Only to be copied."""
    project = built.copy(tmp_path_factory.mktemp("recorded") / "project")
    project.put_under_version_control()
    project.run("dvc", "repro", "--quiet")
    project.commit("default")
    return project


@pytest.fixture
def experiment(recorded, tmp_path):
    return recorded.copy(tmp_path / "experiment")


@pytest.fixture
def on_s3(experiment, server):
    """The experiment with a remote on the server, where nobody else has a place of the same name."""
    prefix = secrets.token_hex(4)
    experiment.run("dvc", "remote", "add", "--default", "store", f"s3://{server.bucket}/{prefix}")
    experiment.run("dvc", "remote", "modify", "store", "endpointurl", server.url)
    experiment.run("dvc", "remote", "modify", "store", "region", REGION)
    experiment.commit("the remote")
    give_credentials(experiment, server.key, server.secret)
    return experiment, prefix


def give_credentials(project, key, secret):
    project.run("dvc", "remote", "modify", "--local", "store", "access_key_id", key)
    project.run("dvc", "remote", "modify", "--local", "store", "secret_access_key", secret)


def clone(project, place, *options):
    project.run("git", "clone", "--quiet", *options, str(project.root), str(place))
    return type(project)(place)


def assert_complete(cloned, original):
    """Both tools find nothing to do, and everything is what it was."""
    assert "up to date" in cloned.run("dvc", "status").stdout
    assert cloned.plan() == {}
    assert cloned.hashes("cache", "results") == original.hashes("cache", "results")


def local_objects(project):
    """Name and content of everything in the project's own store of versions."""
    store = project.root / ".dvc/cache"
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.glob("files/md5/??/*")}


def assert_whole(objects):
    """Each object's content is the one that its name promises."""
    for name, content in objects.items():
        promised = "".join(name.split("/")[-2:]).removesuffix(".dir")
        assert hashlib.md5(content).hexdigest() == promised, name


def kill_group(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_clone_pulls_from_s3_what_was_pushed(on_s3, server, tmp_path):
    experiment, prefix = on_s3
    experiment.run("dvc", "push", "--quiet")
    stored = server.objects(prefix)
    assert stored == local_objects(experiment)
    assert_whole(stored)

    cloned = clone(experiment, tmp_path / "clone")
    assert server.secret not in (cloned.root / ".dvc/config").read_text()
    experiment.run("git", "grep", "--quiet", server.secret, "--", ".", status=1)
    give_credentials(cloned, server.key, server.secret)
    cloned.run("dvc", "pull", "--quiet")
    assert_complete(cloned, experiment)


def test_the_server_verifies_signatures(server):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        server.client(secret="wrong").list_objects_v2(Bucket=server.bucket)


@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_a_wrong_credential_is_one_clear_error(on_s3, server, wrong):
    experiment, prefix = on_s3
    before = local_objects(experiment)
    credentials = {"key": server.key, "secret": server.secret, wrong: "wrong"}
    give_credentials(experiment, **credentials)
    for command in (("push",), ("pull",), ("status", "--cloud")):
        told = experiment.run("dvc", *command, status=None)
        assert told.returncode != 0
        errors = [line for line in told.stderr.splitlines() if line.startswith("ERROR")]
        assert "403" in errors[0]
        assert "Forbidden" in errors[0]
        assert "Traceback" not in told.stderr
        assert len(told.stderr.splitlines()) <= 5, told.stderr
    assert server.objects(prefix) == {}
    assert local_objects(experiment) == before


def test_without_credentials_nothing_is_pushed(on_s3, server):
    experiment, prefix = on_s3
    (experiment.root / ".dvc/config.local").unlink()
    told = experiment.run("dvc", "push", status=None)
    assert told.returncode != 0
    assert "credentials" in told.stderr
    assert server.objects(prefix) == {}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_killed_push_to_s3_loses_nothing(recorded, on_s3, server, tmp_path, share):
    experiment, prefix = on_s3
    before = local_objects(experiment)
    already = server.stored()
    push = experiment.start("dvc", "push", "--jobs", "4")
    try:
        wait_for(lambda: server.stored() - already >= share * len(before), push)
        # The server sleeps while the push dies, so that whatever is under way is cut off in its middle.
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.3)
    finally:
        kill_group(push)
        os.kill(server.process.pid, signal.SIGCONT)
    stored = server.objects(prefix)
    assert 0 < len(stored) < len(before)
    assert_whole(stored)
    assert local_objects(experiment) == before
    assert_complete(experiment, recorded)

    experiment.run("dvc", "push", "--quiet")
    assert server.objects(prefix) == before
    cloned = clone(experiment, tmp_path / "clone")
    give_credentials(cloned, server.key, server.secret)
    cloned.run("dvc", "pull", "--quiet")
    assert_complete(cloned, experiment)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_killed_push_to_a_directory_loses_nothing(recorded, experiment, tmp_path, share):
    store = tmp_path / "store"
    experiment.run("dvc", "remote", "add", "--default", "store", str(store))
    experiment.commit("the remote")
    before = local_objects(experiment)

    def names():
        return [path for path in store.glob("files/md5/??/*") if path.suffix != ".tmp"]

    def stored():
        return {path.relative_to(store).as_posix(): path.read_bytes() for path in names()}

    push = experiment.start("dvc", "push", "--jobs", "1")
    try:
        in_slices(push, lambda: len(names()) >= share * len(before))
    finally:
        kill_group(push)
    assert 0 < len(stored()) < len(before)
    assert_whole(stored())
    assert local_objects(experiment) == before
    assert_complete(experiment, recorded)

    experiment.run("dvc", "push", "--quiet")
    assert stored() == before
    cloned = clone(experiment, tmp_path / "clone")
    cloned.run("dvc", "pull", "--quiet")
    assert_complete(cloned, experiment)


def in_slices(process, until, seconds=120):
    """Let a process run for moments only, and look in between, while it sleeps: copying is over in a blink."""
    end = time.monotonic() + seconds
    while True:
        os.killpg(process.pid, signal.SIGSTOP)
        if until():
            return
        assert time.monotonic() < end, "nothing happened"
        assert process.poll() is None, "it ended too early"
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.002)


@pytest.fixture(scope="module")
def two_experiments(recorded, tmp_path_factory):
    """Two tagged experiments, one commit after the other, and a third whose results only DVC's store still has."""
    project = recorded.copy(tmp_path_factory.mktemp("two") / "project")
    project.run("git", "tag", "default-1")
    commits = {"default-1": project.run("git", "rev-parse", "HEAD").stdout.strip()}
    commits["coarse-1"] = redrawn(project, 55).commit("coarser figures")
    project.run("git", "tag", "coarse-1")
    committed = local_objects(project)
    redrawn(project, 66)
    assert set(local_objects(project)) > set(committed)
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")
    return project, commits, committed


def redrawn(project, dpi):
    """Figures of another resolution: the cheapest change of what DVC keeps."""
    project.set("figures.dpi", dpi)
    project.run("dvc", "repro", "--quiet")
    return project


def assert_checks_out(project, name):
    project.run("git", "checkout", "--quiet", name)
    project.run("dvc", "checkout", "--quiet")
    assert "up to date" in project.run("dvc", "status").stdout
    assert project.plan() == {}


@pytest.mark.slow
@pytest.mark.parametrize("command", COLLECT)
def test_collecting_garbage_keeps_what_the_tags_need(two_experiments, tmp_path, command):
    original, _, committed = two_experiments
    project = original.copy(tmp_path / "project")
    project.run("git", "reset", "--quiet", "--hard", "default-1")  # the other is now held by its tag alone
    project.run("dvc", "checkout", "--quiet")
    project.run(*shlex.split(command), "--force")
    assert local_objects(project) == committed
    assert_checks_out(project, "coarse-1")
    assert_checks_out(project, "default-1")


@pytest.mark.slow
def test_a_clone_without_tags_gets_them_back_before_garbage_is_collected(two_experiments, tmp_path):
    original, commits, committed = two_experiments
    project = original.copy(tmp_path / "project")
    project.run("git", "tag", "--delete", *commits)
    (project.root / "docs").mkdir(exist_ok=True)
    rows = [f"{name},{commit},of a test" for name, commit in commits.items()]
    (project.root / "docs/experiments.csv").write_text("\n".join(["name,commit,what", *rows, ""]))
    project.run(sys.executable, "-m", "kindred", "tags")
    (by_tags,) = (command for command in COLLECT if "--all-tags" in command)
    project.run(*shlex.split(by_tags), "--force")
    assert local_objects(project) == committed
    assert_checks_out(project, "default-1")


@pytest.mark.slow
def test_the_command_that_the_docs_warn_of_does_remove_a_tagged_experiment(two_experiments, tmp_path):
    original, _, committed = two_experiments
    project = original.copy(tmp_path / "project")
    project.run("dvc", "gc", "--workspace", "--force")
    assert set(local_objects(project)) < set(committed)
    project.run("git", "checkout", "--quiet", "default-1")
    assert project.run("dvc", "checkout", status=None).returncode != 0
