import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kindred.corpus.packing import SpecialTokens
from kindred.models.language_model import ArchitectureSettings, build_language_model
from kindred.models.optimizers import build_optimizers, learning_rate_factor, set_learning_rate


def test_muon_gets_hidden_matrices_and_adamw_the_rest():
    settings = ArchitectureSettings(
        hidden_size=16, n_layers=2, n_heads=2, intermediate_size=32, context_length=8
    )
    model = build_language_model(settings, 30, SpecialTokens(0, 1, 2), seed=0)
    muon, adamw = build_optimizers(model, 0.01, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_muon, by_adamw = (
        {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for optimizer in (muon, adamw)
    )
    assert by_muon | by_adamw == set(names.values())
    assert not by_muon & by_adamw
    assert all("proj" in name for name in by_muon)
    assert all("norm" in name or "embed" in name for name in by_adamw)
    set_learning_rate((muon, adamw), 0.5)
    assert {group["lr"] for optimizer in (muon, adamw) for group in optimizer.param_groups} == {0.5}


@given(st.integers(1, 500), st.integers(0, 50), st.floats(0, 1))
def test_the_schedule_stays_within_its_bounds(n_steps, n_warmup, share):
    factors = [learning_rate_factor(step, n_steps, n_warmup, share) for step in range(n_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_the_schedule_rises_stays_and_falls():
    factors = [learning_rate_factor(step, 100, 10, 0.25) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:76] == [1.0] * 67
    assert factors[99] == pytest.approx(1 / 25)


def test_without_warmup_and_decay_the_rate_is_constant():
    assert torch.tensor([learning_rate_factor(step, 5, 0, 0.0) for step in range(5)]).eq(1).all()
