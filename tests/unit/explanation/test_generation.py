from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kindred.explanation.generation import Decoding, generate, generate_tokens, uniform_draws
from kindred.explanation.row_cache import RowCache
from kindred.models.tokenizer import train_tokenizer

TOKENIZER: PreTrainedTokenizerFast = train_tokenizer(['the "mean" of a matrix. ' * 9], 280, 64)
MODEL = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
).eval()


def one_token(logits: torch.Tensor, temperature: float | None, uniforms: np.ndarray | None) -> list[str]:
    decoding = Decoding(max_new_tokens=1, temperature=temperature, stop_ids=frozenset(), stop_text=None)
    return generate(MODEL, TOKENIZER, DynamicCache(), logits, decoding, uniforms=uniforms)


def letters(*probabilities: float) -> torch.Tensor:
    """Logits of one row that give the letters a, b, c, ... these probabilities."""
    logits = torch.full((len(TOKENIZER),), -torch.inf)
    for letter, probability in zip("abcdef", probabilities, strict=False):
        logits[TOKENIZER.convert_tokens_to_ids(letter)] = np.log(probability)
    return logits


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_sampling_draws_tokens_in_proportion_to_their_probability(seed: int) -> None:
    n_rows = 400
    # Evenly spread draws leave no chance: each letter gets its share of the rows to within one.
    uniforms = (np.random.default_rng(seed).permutation(n_rows)[:, None] + 0.5) / n_rows
    texts = one_token(letters(0.5, 0.2, 0.3).expand(n_rows, -1), 1.0, uniforms)
    for letter, probability in zip("abc", (0.5, 0.2, 0.3), strict=True):
        assert abs(texts.count(letter) - probability * n_rows) <= 1


def test_temperature_sharpens_and_greedy_takes_the_likeliest() -> None:
    uniforms = (np.arange(400)[:, None] + 0.5) / 400
    rows = letters(0.6, 0.4).expand(400, -1)
    assert abs(one_token(rows, 0.5, uniforms).count("a") - 400 * 0.36 / 0.52) <= 1
    assert set(one_token(rows, None, None)) == {"a"}


def test_draws_at_both_ends_stay_inside_the_vocabulary() -> None:
    uniforms = np.array([[0.0], [np.nextafter(1.0, 0.0)]])
    assert one_token(letters(0.7, 0.3).expand(2, -1), 1.0, uniforms) == ["a", "b"]


def test_draws_of_a_row_hang_on_its_seed_alone() -> None:
    seeds = [(0, 0, 7, 0), (0, 0, 7, 1), (0, 1, 7, 0), (1, 0, 7, 0), (0, 0, 8, 0)]
    draws = uniform_draws(seeds, 5)
    assert len(np.unique(draws[:, 0])) == len(seeds)
    np.testing.assert_array_equal(uniform_draws(seeds[3:4], 5)[0], draws[3])
    assert draws.min() >= 0
    assert draws.max() < 1


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 12), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_row_says_the_same_alone_and_among_rows_that_end_earlier_or_later(
    seed: int, n_rows: int, max_new_tokens: int, allocated: bool
) -> None:
    generator = np.random.default_rng(seed)
    ends = frozenset(generator.integers(0, len(TOKENIZER), 40).tolist())
    decoding = Decoding(max_new_tokens, 1.0, ends, None)
    prompt = torch.from_numpy(generator.integers(0, len(TOKENIZER), (n_rows, 4)))
    uniforms = generator.random((n_rows, max_new_tokens))

    def tokens(rows: slice) -> list[list[int]]:
        cache = DynamicCache(config=MODEL.config)
        if allocated:
            cache = RowCache(MODEL.config, n_rows, 4 + max_new_tokens)
            cache.begin(len(prompt[rows]))
        with torch.no_grad():
            logits = MODEL(prompt[rows], past_key_values=cache).logits[:, -1]
        return generate_tokens(MODEL, TOKENIZER, cache, logits, decoding, uniforms=uniforms[rows])

    together = tokens(slice(None))
    assert together == [tokens(slice(row, row + 1))[0] for row in range(n_rows)]
    for row in together:
        assert not ends.intersection(row[:-1])
        assert len(row) == max_new_tokens or row[-1] in ends


def test_rows_leave_the_batch_when_a_quarter_of_it_has_ended() -> None:
    # Each row draws one token again and again until its uniform number jumps to that of the end.
    n_rows, end = 8, len(TOKENIZER) - 1
    uniforms = np.zeros((n_rows, 6))
    for row, step in enumerate((0, 1, 2, 2, 5, 5, 5, 5)):
        uniforms[row, step:] = np.nextafter(1.0, 0.0)
    cache = RowCache(MODEL.config, n_rows, 8)
    cache.begin(n_rows)
    with torch.no_grad():
        logits = MODEL(torch.zeros(n_rows, 2, dtype=torch.long), past_key_values=cache).logits[:, -1]
    batches: list[list[int]] = []

    def steer(rows: list[int]) -> AbstractContextManager[None]:
        batches.append(rows)
        return nullcontext()

    decoding = Decoding(6, 1.0, frozenset({end}), None)
    tokens = generate_tokens(MODEL, TOKENIZER, cache, logits, decoding, uniforms=uniforms, steer=steer)
    assert [len(row) for row in tokens] == [1, 2, 3, 3, 6, 6, 6, 6]
    assert batches == [list(range(8)), [2, 3, 4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("token", "stop_text", "text"),
    [('"', '"', ""), ('."', '"', "."), ('."', None, '."'), ("<|eos|>", None, "")],
)
def test_a_text_ends_before_the_quote_and_without_the_end_token(
    token: str, stop_text: str | None, text: str
) -> None:
    tokenizer = train_tokenizer(['it." ' * 50], 270, 64)
    ids = tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        tokenizer.add_tokens(token)
        ids = tokenizer(token, add_special_tokens=False)["input_ids"]
    logits = torch.zeros(1, len(tokenizer))
    logits[0, ids[0]] = 1
    decoding = Decoding(1, None, frozenset({tokenizer.eos_token_id}), stop_text)
    assert generate(MODEL, tokenizer, DynamicCache(), logits, decoding) == [text]


def test_sampling_without_random_numbers_is_an_error() -> None:
    with pytest.raises(ValueError, match="uniforms"):
        one_token(letters(1.0)[None], 1.0, None)


def test_a_temperature_near_zero_is_greedy() -> None:
    uniforms = (np.arange(50)[:, None] + 0.5) / 50
    assert set(one_token(letters(0.4, 0.6).expand(50, -1), 1e-320, uniforms)) == {"b"}
