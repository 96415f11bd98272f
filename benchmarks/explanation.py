"""Time the batched self-explanation against a loop over features and scales, both run in full.

Usage: python benchmarks/explanation.py [--features 10] [--scales 64] [--tokens 32] [--model FOLDER]
Without a model, one of the shape of the shipped model is made with random weights.
"""

import argparse
import time

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.explanation.generation import Decoding, generate
from kindred.explanation.injection import Steering
from kindred.explanation.prompt_pass import SteeredPrompt, row_batches
from kindred.explanation.sweep import scale_grid, sweep
from kindred.explanation.template import PlaceholderPrompt, build_prompt
from kindred.models.loading import LoadedModel, load_model
from kindred.models.tokenizer import train_tokenizer


def random_model() -> LoadedModel:
    """Return an untrained model of the shipped model's shape."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["What is the meaning of the word? " * 10], 300, 256)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    return LoadedModel(model=model, tokenizer=tokenizer, n_layers=6, d_model=256)


def batched(
    loaded: LoadedModel,
    prompt: PlaceholderPrompt,
    steering: Steering,
    directions: torch.Tensor,
    scales: np.ndarray,
    decoding: Decoding,
    batch_size: int,
) -> np.ndarray:
    """Measure the curves and generate at every feature and scale, in batches with a shared prefix."""
    steered = SteeredPrompt(loaded.model, prompt, steering, loaded.n_layers - 1)
    curves = sweep(
        steered, directions, scales, metric="entropy", batch_size=batch_size, advance=lambda _: None
    )
    rows, columns = np.divmod(np.arange(len(directions) * len(scales)), len(scales))
    for batch in row_batches(len(rows), batch_size):
        state = steered.run(directions[rows[batch]], torch.from_numpy(scales[columns[batch]]))
        generate(loaded.model, loaded.tokenizer, state.cache, state.logits, decoding)
    return curves.entropy


def looped(
    loaded: LoadedModel,
    prompt: PlaceholderPrompt,
    steering: Steering,
    directions: torch.Tensor,
    scales: np.ndarray,
    max_new_tokens: int,
) -> np.ndarray:
    """Do the same with the library's own `generate` for one feature and one scale at a time."""
    model = loaded.model
    tokens = torch.tensor([prompt.token_ids])
    entropy = np.empty((len(directions), len(scales)), dtype=np.float32)
    block = model.get_decoder().layers[steering.boundary]
    for feature, direction in enumerate(directions):
        for index, scale in enumerate(scales.tolist()):
            vector = direction * (scale * steering.unit)

            def add(_block: object, args: tuple[torch.Tensor, ...], vector: torch.Tensor = vector) -> object:
                if args[0].shape[1] == 1:  # a generated token
                    return args
                residual = args[0].clone()
                residual[:, list(prompt.positions)] += vector
                return (residual, *args[1:])

            hook = block.register_forward_pre_hook(add)
            output = model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=max_new_tokens,
                min_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_logits=True,
            )
            hook.remove()
            log_probabilities = output.logits[0][0].log_softmax(-1)
            entropy[feature, index] = -(log_probabilities.exp() * log_probabilities).sum()
    return entropy


def main() -> None:
    """Time both ways, check that they agree, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--scales", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="a local folder in Hugging Face format, or a hub name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.model is None:
        loaded = random_model()
    else:
        loaded = load_model(arguments.model, revision=None, dtype=torch.float32, device="cpu")
    prompt = build_prompt(loaded.tokenizer, "meaning")
    directions = torch.randn(arguments.features, loaded.d_model, generator=torch.Generator().manual_seed(0))
    directions = directions / directions.norm(dim=-1, keepdim=True)
    steering = Steering(boundary=0, unit=1.0, kind="add", mean=torch.zeros(loaded.d_model))
    scales = scale_grid(arguments.scales, 8.0)
    # Both ways make every token: no stop, so that the work is the same.
    decoding = Decoding(arguments.tokens, None, frozenset(), None)
    start = time.perf_counter()
    fast = batched(loaded, prompt, steering, directions, scales, decoding, arguments.batch_size)
    batched_seconds = time.perf_counter() - start
    start = time.perf_counter()
    with torch.no_grad():
        slow = looped(loaded, prompt, steering, directions, scales, arguments.tokens)
    looped_seconds = time.perf_counter() - start
    print(f"{arguments.features} features x {arguments.scales} scales x {arguments.tokens} tokens")
    print(f"batched {batched_seconds:.2f} s, loop {looped_seconds:.2f} s")
    print(f"ratio {looped_seconds / batched_seconds:.1f}")
    print(f"largest difference of entropies {np.abs(fast - slow).max():.1e} nats")


if __name__ == "__main__":
    main()
