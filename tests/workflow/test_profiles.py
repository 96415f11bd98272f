"""Whatever machines a profile is for, freshness is judged as everywhere, and no profile has a say in the numbers."""

from pathlib import Path

import pytest
import yaml

PROFILES = Path(__file__).parents[2] / "profiles"
OTHERS = sorted(path.name for path in PROFILES.iterdir() if path.name != "default")


def settings(name):
    return yaml.safe_load((PROFILES / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", OTHERS)
def test_a_profile_keeps_the_settings_of_the_default_one(name):
    assert settings("default").items() <= settings(name).items()


@pytest.mark.parametrize("name", ["default", *OTHERS])
def test_a_profile_sets_no_parameter(name):
    assert not {"config", "configfile", "configfiles", "set-threads"} & settings(name).keys()
