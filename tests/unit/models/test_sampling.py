import numpy as np
import pytest
import torch

from kindred.corpus.packing import SpecialTokens
from kindred.models.language_model import ArchitectureSettings, build_language_model
from kindred.models.sampling import draw, sample_contexts

LENGTH = 12
ROWS = 10
SPECIAL = SpecialTokens(bos=0, eos=1, pad=2)


def reference(model, rows, length, generator, special):
    """Every context from scratch at every position, rows that have ended dropped at the same share."""
    result = torch.full((rows, length), special.pad)
    result[:, 0] = special.bos
    alive = list(range(rows))
    running = dict.fromkeys(alive, True)
    for position in range(1, length):
        prefixes = result[alive, :position].clone()
        with torch.no_grad():
            logits = model(input_ids=prefixes, attention_mask=torch.ones_like(prefixes)).logits[:, -1].float()
        for token in {special.bos, special.pad} - {special.eos}:
            logits[:, token] = -torch.inf
        drawn = draw(logits, generator)[:, 0].tolist()
        for row, token in zip(alive, drawn, strict=True):
            if running[row]:
                result[row, position] = token
                running[row] = token != special.eos
        kept = [row for row in alive if running[row]]
        if not kept:
            break
        if len(kept) <= 0.75 * len(alive):
            alive = kept
    return result.numpy()


def test_the_cache_and_the_dropping_of_rows_change_nothing(model):
    special = SpecialTokens(bos=0, eos=1, pad=2)
    sampled = sample_contexts(model, ROWS, LENGTH, torch.Generator().manual_seed(3), ROWS, special=special)
    expected = reference(model, ROWS, LENGTH, torch.Generator().manual_seed(3), special)
    np.testing.assert_array_equal(sampled, expected)
    assert sampled.dtype == np.int32


@pytest.fixture(scope="module")
def small():
    settings = ArchitectureSettings(
        hidden_size=16, n_layers=2, n_heads=2, intermediate_size=32, context_length=LENGTH
    )
    return build_language_model(settings, 50, SpecialTokens(0, 1, 2), seed=0).eval()


def test_what_follows_eos_is_padding(small):
    special = SpecialTokens(bos=0, eos=7, pad=2)
    sampled = sample_contexts(small, 200, LENGTH, torch.Generator().manual_seed(0), 64, special=special)
    assert (sampled[:, 0] == special.bos).all()
    ended = 0
    for row in sampled:
        ends = np.flatnonzero(row == special.eos)
        body = row[1:] if not len(ends) else row[1 : ends[0]]
        assert not np.isin(body, [special.bos, special.pad]).any()
        if len(ends):
            ended += 1
            assert (row[ends[0] + 1 :] == special.pad).all()
    assert ended > 0


def test_the_generator_decides(small):
    first, again, other = (
        sample_contexts(small, 4, LENGTH, torch.Generator().manual_seed(seed), 2, special=SPECIAL)
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_draws_follow_the_softmax():
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0])
    n = 40_000
    drawn = draw(logits.expand(n, 4), torch.Generator().manual_seed(0))
    frequencies = torch.bincount(drawn[:, 0], minlength=4) / n
    assert frequencies[2] == 0
    torch.testing.assert_close(frequencies, torch.softmax(logits, dim=0), atol=0.01, rtol=0)


def test_progress_reaches_the_total(small):
    seen = []
    sample_contexts(
        small,
        5,
        4,
        torch.Generator().manual_seed(0),
        2,
        special=SPECIAL,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]
