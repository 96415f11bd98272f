"""Time of encode_contexts against its limit: the bare forward pass, and per SAE one matrix product and top-k.

Run as `python benchmarks/activations.py`; `--model FOLDER` takes a real model in place of a random one.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from kindred.activations.encoding import encode_contexts
from kindred.models.hooks import HookPoint, blocks, run_to_hook_points
from kindred.models.loading import LoadedModel
from kindred.saes.architectures import TopKSae
from kindred.saes.interface import SaeMetadata

_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder in Hugging Face format; default: a random Llama")
    parser.add_argument("--d-model", type=int, default=256, help="of the random model")
    parser.add_argument("--n-layers", type=int, default=6, help="of the random model")
    parser.add_argument("--vocabulary", type=int, default=8192, help="of the random model")
    parser.add_argument("--n-saes", type=int, default=4)
    parser.add_argument("--d-sae", type=int, default=2048)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--layer", type=int, help="the SAEs read resid_post of it; default: the middle")
    parser.add_argument("--n-contexts", type=int, default=256)
    parser.add_argument("--context-length", type=int, default=128)
    parser.add_argument(
        "--padding", type=float, default=0.0, help="largest share of a context that is padding"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clock", choices=_CLOCKS, default="wall", help="cpu: sums threads, ignores other jobs"
    )
    return parser.parse_args()


def _load(arguments: argparse.Namespace) -> LoadedModel:
    """The model in float32; its tokenizer is not needed."""
    if arguments.model is not None:
        model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    else:
        config = LlamaConfig(
            vocab_size=arguments.vocabulary,
            hidden_size=arguments.d_model,
            intermediate_size=arguments.d_model * 8 // 3,
            num_hidden_layers=arguments.n_layers,
            num_attention_heads=max(1, arguments.d_model // 64),
            max_position_embeddings=arguments.context_length,
        )
        model = LlamaForCausalLM(config)
    model = cast(PreTrainedModel, model.eval().requires_grad_(False))
    hidden_size = int(model.config.hidden_size)
    return LoadedModel(model, cast(Any, None), len(blocks(model)), hidden_size)


def _saes(arguments: argparse.Namespace, d_model: int, hook_point: HookPoint) -> list[TopKSae]:
    saes = []
    for number in range(arguments.n_saes):
        decoder = torch.nn.functional.normalize(torch.randn(arguments.d_sae, d_model), dim=-1)
        weights = {
            "W_enc": decoder.T.contiguous(),
            "W_dec": decoder,
            "b_enc": torch.zeros(arguments.d_sae),
            "b_dec": torch.zeros(d_model),
        }
        metadata = SaeMetadata(source="benchmark", hook_name=str(hook_point))
        name = f"sae-{number}"
        saes.append(TopKSae(name, hook_point, weights, metadata, apply_b_dec_to_input=True, k=arguments.k))
    return saes


def _fastest(arguments: argparse.Namespace, work: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    clock = _CLOCKS[arguments.clock]
    seconds = []
    for _ in range(arguments.rounds):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


def _forward(model: LoadedModel, tokens: np.ndarray, hook_point: HookPoint, batch_size: int) -> list[Tensor]:
    """The bare forward pass of all contexts up to the hook point."""
    return [
        run_to_hook_points(model.model, torch.from_numpy(batch).long(), None, [hook_point])[hook_point]
        for batch in np.split(tokens, range(batch_size, len(tokens), batch_size))
    ]


def _encode(hidden: list[Tensor], saes: list[TopKSae], k: int) -> None:
    """One matrix product and one top-k per SAE and batch; nothing is kept."""
    for batch in hidden:
        rows = batch.reshape(-1, batch.shape[-1])
        for sae in saes:
            (rows @ sae.W_enc).topk(k, dim=-1, sorted=False)


def main() -> None:
    """Print seconds, tokens per second and the ratio to the limit."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = _load(arguments)
    layer = model.n_layers // 2 - 1 if arguments.layer is None else arguments.layer
    hook_point = HookPoint("resid_post", layer)
    saes = _saes(arguments, model.d_model, hook_point)
    generator = np.random.default_rng(0)
    shape = (arguments.n_contexts, arguments.context_length)
    vocabulary = int(model.model.config.vocab_size)
    tokens = generator.integers(1, vocabulary, size=shape).astype(np.int32)
    lengths = (shape[1] * (1 - arguments.padding * generator.random(shape[0]))).astype(np.int64)
    is_special = np.arange(shape[1]) >= lengths[:, None]
    is_special[:, 0] = True
    batch_size = arguments.batch_size
    with torch.inference_mode():
        hidden = _forward(model, tokens, hook_point, batch_size)
        forward = _fastest(arguments, lambda: _forward(model, tokens, hook_point, batch_size))
        encoders = _fastest(arguments, lambda: _encode(hidden, saes, arguments.k))
        whole = _fastest(
            arguments,
            lambda: encode_contexts(model, saes, tokens, is_special, batch_size=batch_size),
        )
    n_tokens = int(np.count_nonzero(~is_special))
    print(f"{model.model.num_parameters():,} parameters, {hook_point}, {n_tokens:,} tokens, {len(saes)} SAEs")
    print(f"forward {forward:.2f} s, encoders {encoders:.2f} s, limit {forward + encoders:.2f} s")
    print(f"encode_contexts {whole:.2f} s ({n_tokens / whole:,.0f} tokens/s)")
    print(f"ratio to the limit {whole / (forward + encoders):.3f}")


if __name__ == "__main__":
    main()
