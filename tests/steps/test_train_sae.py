"""The settings of one trained SAE are the recipe of its training and what its cfg.json has to say."""

import dataclasses
import warnings
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # SAELens imports deprecated modules
    from kindred.saes.training import SaeRecipe
    from kindred.steps.train_sae import SaeSettings, metadata

RECIPE = yaml.safe_load((Path(__file__).parents[2] / "models/recipe.yaml").read_text())
SETTINGS = {
    **RECIPE["sae"],
    "seed": 3,
    "model_name": "docs-lm",
    "dataset": "docs",
    "hook_point": RECIPE["residuals"]["hook_point"],
    "context_length": 256,
}


def read(values):
    return TypeAdapter(SaeSettings).validate_python(values)


def test_the_shipped_recipe_is_read_as_the_recipe_of_the_training():
    settings = read(SETTINGS)
    assert isinstance(settings, SaeRecipe)
    assert dataclasses.asdict(settings) == SETTINGS
    assert metadata(settings)["training_tokens"] == RECIPE["sae"]["n_samples"]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SaeRecipe)])
def test_every_field_of_the_recipe_must_be_there_and_be_valid(name):
    with pytest.raises(ValidationError, match=name):
        read({key: value for key, value in SETTINGS.items() if key != name})
    with pytest.raises(ValidationError, match=name):
        read({**SETTINGS, name: "many"})


def test_a_field_that_nothing_reads_is_refused():
    with pytest.raises(ValidationError, match="d_saes"):
        read({**SETTINGS, "d_saes": 1})
