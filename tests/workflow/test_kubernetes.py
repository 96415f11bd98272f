"""The Kubernetes profile, as far as that goes without a cluster.

Planned: `snakemake --profile profiles/kubernetes -n` knows every option of the profile, finds the executor and the
storage plugin, asks S3 (moto's server on loopback) what is there, and plans a job for each experiment. Run: the same
workflow and the same storage with Snakemake's local executor in the place of pods. Not shown: an image, a pod.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

PLUGINS = Path(sys.prefix, "cluster")
KEYS = {"ACCESS_KEY": "key", "SECRET_KEY": "secret"}
BUCKET = "kindred"
PREFIX = "results"


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The address of an S3 server with an empty bucket of the profile's name."""
    if not (PLUGINS / "snakemake_executor_plugin_kubernetes").exists():
        pytest.skip(f"no plugins for Kubernetes in {PLUGINS}: make {PLUGINS}/.complete")
    log = tmp_path_factory.mktemp("s3") / "server.log"
    command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            while not (url := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert server.poll() is None
            client(url[0]).create_bucket(Bucket=BUCKET)
            yield url[0]
        finally:
            server.kill()


def client(url):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEYS["ACCESS_KEY"],
        aws_secret_access_key=KEYS["SECRET_KEY"],
    )


def snakemake(project, url, *arguments):
    keys = (f"SNAKEMAKE_STORAGE_S3_{name}={value}" for name, value in KEYS.items())
    path = f"PYTHONPATH={project.root / 'src'}{os.pathsep}{PLUGINS}"
    return project.run(
        *("env", *keys, path, "NO_PROXY=127.0.0.1", "snakemake", "--storage-s3-endpoint-url", url, *arguments)
    )


def test_the_profile_plans_a_pod_for_each_experiment(built, s3, jobs, tmp_path):
    project = built.copy(tmp_path / "project")
    done = snakemake(
        project, s3, "--profile", "profiles/kubernetes", "-n", "--config", "experiments=default,small"
    )
    assert jobs(done) == {"experiment": 2}
    for experiment in ("default", "small"):
        assert f"s3://{BUCKET}/{PREFIX}/{experiment}/tables" in done.stdout + done.stderr


def test_what_a_job_hands_over_lies_in_s3_byte_by_byte(built, s3, jobs, tmp_path):
    """The job finds its project built, so what is tried is the way of the results, not the pipeline again."""
    project = built.copy(tmp_path / "project")
    command = (
        *("--snakefile", "profiles/kubernetes/Snakefile", "--cores", "2"),
        *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/{PREFIX}"),
        *("--config", "experiments=small", f"project={built.root}"),
    )
    assert jobs(snakemake(project, s3, *command)) == {"experiment": 1}
    store = client(s3)
    listed = store.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/small/")["Contents"]
    keys = [item["Key"] for item in listed]
    for kind in ("tables", "figures", "report"):
        for name in built.hashes(f"results/{kind}"):
            key = f"{PREFIX}/small/{name.removeprefix('results/')}"
            assert key in keys
            content = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert content == (built.root / name).read_bytes()
    assert jobs(snakemake(project, s3, *command)) == {}
