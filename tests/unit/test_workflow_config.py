from pathlib import Path

import pytest

from kindred.errors import KindredError
from kindred.workflow_config import KUBERNETES_KEYS, PIPELINE_KEYS, check_config, experiments_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("config", "keys", "expected"),
    [
        ({"seed": 5}, PIPELINE_KEYS, ["--config seed: unknown key (allowed: experiment: ", "params.yaml"]),
        ({"experiement": "small"}, PIPELINE_KEYS, ["--config experiement: unknown key; did you mean experiment?"]),
        ({"experiments": "small"}, PIPELINE_KEYS, ["did you mean experiment?"]),
        ({"Experiment": "small"}, PIPELINE_KEYS, ["--config Experiment: unknown key; did you mean experiment?"]),
        ({"experiment": "small", "length": 3}, PIPELINE_KEYS, ["--config length: unknown key (allowed"]),
        ({"experiment": None}, PIPELINE_KEYS, ["--config experiment: no value (allowed: the name of an overlay"]),
        ({"experiment": "small"}, KUBERNETES_KEYS, ["did you mean experiments?"]),
    ],
)  # fmt: skip
def test_a_key_that_nothing_reads_is_refused_by_name(config, keys, expected):
    with pytest.raises(KindredError) as caught:
        check_config(config, keys)
    for words in expected:
        assert words in str(caught.value)


def test_known_keys_pass_and_every_wrong_one_has_its_line():
    check_config({}, PIPELINE_KEYS)
    check_config({"experiment": "small"}, PIPELINE_KEYS)
    check_config({"experiments": "small,default", "project": "/opt/kindred"}, KUBERNETES_KEYS)
    with pytest.raises(KindredError, match=r"--config one: .*\n--config two: "):
        check_config({"one": 1, "two": 2}, PIPELINE_KEYS)


def test_each_experiment_of_the_list_must_have_its_overlay():
    assert experiments_of({}, ROOT) == ["default"]
    assert experiments_of({"experiments": "small,default"}, ROOT) == ["small", "default"]
    with pytest.raises(KindredError, match=r"experiments=smal: unknown experiment; did you mean small\?"):
        experiments_of({"experiments": "default,smal"}, ROOT)
