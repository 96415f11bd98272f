"""Encoding contexts to the disk, against its limit and against eai-delphi's LatentCache.

The limit: the bare forward pass up to the hook point, and for each SAE one matrix product and one torch.topk, on the
same batches; nothing is masked, checked, sorted or kept.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from measure import Row, Settings, by_turns
from numpy.typing import NDArray
from peers.delphi_process import PYTHON, Delphi, cached_rows
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, PretrainedConfig, PreTrainedModel

from kindred.activations.encoding import encode_contexts
from kindred.artefacts import activations as artefact
from kindred.models.hooks import HookPoint, blocks, run_to_hook_points
from kindred.models.loading import LoadedModel
from kindred.saes.architectures import TopKSae
from kindred.saes.interface import SaeMetadata

K = 32
BATCH_SIZE = 32  # contexts; delphi's default
LIMIT = "forward to the hook point, a matmul and torch.topk per SAE"
PEER = "eai-delphi 0.1.3, LatentCache.run + save_splits"


@dataclass(frozen=True)
class Case:
    """One size; `peer` says whether delphi is timed too."""

    model: str
    config: PretrainedConfig
    d_sae: int
    context_length: int
    n_tokens: int
    n_saes: int = 1
    peer: bool = False

    def __str__(self) -> str:
        saes = "" if self.n_saes == 1 else f", {self.n_saes} SAEs"
        return f"{self.model}{saes}, d_sae {self.d_sae // 1024}k, context {self.context_length}"


@dataclass(frozen=True)
class World:
    """What all ways of a case work on."""

    case: Case
    model: LoadedModel
    saes: list[TopKSae]
    tokens: NDArray[np.int32]
    is_special: NDArray[np.bool_]
    hook_point: HookPoint


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the rows of each case: against the limit, then against the peer or two runs."""
    for case in _cases(settings):
        with torch.inference_mode(), TemporaryDirectory() as name:
            yield from _rows_of(_world(case, settings.device), settings, Path(name))


def _cases(settings: Settings) -> Iterator[Case]:
    if settings.small or settings.device == "cpu":
        yield from _cases_on_cpu(settings.small)
    if settings.small or settings.device != "cpu":
        yield from _cases_on_gpu(settings.small)


def _cases_on_cpu(small: bool) -> Iterator[Case]:
    for d_model in (64,) if small else (256, 512):
        config = LlamaConfig(
            vocab_size=8192,
            hidden_size=d_model,
            intermediate_size=d_model * 8 // 3,
            num_hidden_layers=6,
            num_attention_heads=d_model // 64,
            max_position_embeddings=256,
        )
        model, n_tokens = f"d {d_model}", 8192 if small or d_model == 512 else 16384
        widths = (1024,) if small else (4096, 16384)
        for d_sae in widths:
            for length in (128, 256):
                # Delphi takes most of the time: two of the cases, the smallest and the largest.
                peer = (d_model, d_sae, length) in {(256, 4096, 128), (512, 16384, 256)}
                peer = PYTHON.exists() if small else peer
                yield Case(model, config, d_sae, length, n_tokens, peer=peer)
        yield Case(model, config, widths[0], 128, n_tokens, n_saes=2)


def _cases_on_gpu(small: bool) -> Iterator[Case]:
    """The shapes of Llama-3.2-1B and Gemma-2-2B; small ones are of the same make."""
    shape: dict[str, Any] = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    shape |= {"head_dim": 32, "intermediate_size": 128, "num_hidden_layers": 4, "vocab_size": 512}
    llama: dict[str, Any] = {"hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8}
    llama |= {"head_dim": 64, "intermediate_size": 8192, "num_hidden_layers": 16, "vocab_size": 128256}
    gemma: dict[str, Any] = {"hidden_size": 2304, "num_attention_heads": 8, "num_key_value_heads": 4}
    gemma |= {"head_dim": 256, "intermediate_size": 9216, "num_hidden_layers": 26, "vocab_size": 256000}
    configs = {
        "Llama-3.2-1B's shape": LlamaConfig(**(shape if small else llama), dtype="bfloat16"),
        "Gemma-2-2B's shape": Gemma2Config(**(shape if small else gemma), dtype="bfloat16"),
    }
    for model, config in configs.items():
        for d_sae in (1024,) if small else (16384, 65536, 131072):
            n_tokens = 8192 if small else 131072
            peer = PYTHON.exists() if small else d_sae < 131072
            yield Case(model, config, d_sae, 128, n_tokens, peer=peer)


def _world(case: Case, device: str) -> World:
    torch.manual_seed(0)
    dtype = getattr(torch, str(case.config.dtype or "float32").removeprefix("torch."))
    model = cast(PreTrainedModel, AutoModelForCausalLM.from_config(case.config, dtype=dtype))
    model = model.to(device).eval().requires_grad_(False)
    loaded = LoadedModel(model, cast(Any, None), len(blocks(model)), case.config.hidden_size)
    hook_point = HookPoint("resid_post", loaded.n_layers // 2 - 1)
    generator = np.random.default_rng(0)
    shape = (case.n_tokens // case.context_length, case.context_length)
    tokens = generator.integers(1, case.config.vocab_size, size=shape, dtype=np.int32)
    is_special = np.zeros(shape, dtype=np.bool_)
    is_special[:, 0] = True
    saes = [_sae(f"sae-{number}", case, hook_point).to(device) for number in range(case.n_saes)]
    return World(case, loaded, saes, tokens, is_special, hook_point)


def _sae(name: str, case: Case, hook_point: HookPoint) -> TopKSae:
    d_model = case.config.hidden_size
    decoder = torch.nn.functional.normalize(torch.randn(case.d_sae, d_model), dim=-1)
    weights = {
        "W_enc": decoder.T.contiguous(),
        "W_dec": decoder,
        "b_enc": torch.randn(case.d_sae) / 100,
        "b_dec": torch.randn(d_model) / 100,
    }
    metadata = SaeMetadata(source="benchmark", hook_name=str(hook_point))
    return TopKSae(name, hook_point, weights, metadata, apply_b_dec_to_input=True, k=K)


def _rows_of(world: World, settings: Settings, directory: Path) -> Iterator[Row]:
    ours = directory / "ours"
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: _encode(world, world.saes, ours),
        "limit": lambda: _limit(world),
    }
    if len(world.saes) > 1:
        ways["peer"] = lambda: [_encode(world, [sae], ours) for sae in world.saes]
    if not world.case.peer:
        seconds = by_turns(ways, settings)
    else:
        with _delphi(world, settings, directory) as delphi:
            seconds = by_turns(ways | {"peer": delphi.round}, settings)
        _require_same(world, ours, directory / "delphi")
    case, n = str(world.case), settings.rounds
    yield Row("activations", case, "limit", LIMIT, seconds["ours"], seconds["limit"], n, 0.90)
    if "peer" in seconds:
        reference, target = (PEER, 3.0) if world.case.peer else ("one SAE after the other, two runs", None)
        yield Row("activations", case, "peer", reference, seconds["ours"], seconds["peer"], n, target)


def _encode(world: World, saes: list[TopKSae], directory: Path) -> None:
    """What the step does between loading and sealing."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    d_sae = {sae.name: sae.d_sae for sae in saes}
    with artefact.writing_shard(directory, 0, *world.tokens.shape, d_sae) as append:
        for batch in encode_contexts(
            world.model, saes, world.tokens, world.is_special, batch_size=BATCH_SIZE
        ):
            append(batch)


def _limit(world: World) -> None:
    device = world.model.model.device
    for start in range(0, len(world.tokens), BATCH_SIZE):
        tokens = torch.from_numpy(world.tokens[start : start + BATCH_SIZE].astype(np.int64)).to(device)
        hidden = run_to_hook_points(world.model.model, tokens, None, [world.hook_point])[world.hook_point]
        hidden = hidden.reshape(-1, hidden.shape[-1]).to(torch.float32)
        for sae in world.saes:
            (hidden @ sae.W_enc).topk(K, dim=-1, sorted=False)


def _delphi(world: World, settings: Settings, directory: Path) -> Delphi:
    """Delphi on the same model, SAE and tokens, with the same threads, batches and disk."""
    if not PYTHON.exists():
        raise FileNotFoundError(f"{PYTHON}: make it as benchmarks/peers/delphi-requirements.txt says")
    world.model.model.save_pretrained(directory / "model")
    tensors = {name: world.saes[0].weights[name].cpu().contiguous() for name in ("W_enc", "b_enc", "b_dec")}
    save_file(tensors, directory / "sae.safetensors")
    np.save(directory / "tokens.npy", world.tokens)
    setup = {
        "model": str(directory / "model"),
        "sae": str(directory / "sae.safetensors"),
        "tokens": str(directory / "tokens.npy"),
        "out": str(directory / "delphi"),
        "hook_point": f"model.layers.{world.hook_point.layer}",
        "k": K,
        "batch_size": BATCH_SIZE,
        "device": settings.device,
        "dtype": str(world.model.model.dtype).removeprefix("torch."),
        "threads": settings.threads,
    }
    return Delphi("delphi_cache.py", setup, directory / "setup.json")


def _require_same(world: World, ours: Path, delphi: Path) -> None:
    """Raise if the two have found other activations at tokens that are not special.

    In float32 all but a few choices among nearly equal values must agree; delphi's values are rounded to float16.
    """
    (sae,) = world.saes
    (folder,) = delphi.iterdir()
    key, value = cached_rows(folder, world.tokens.shape[1], sae.d_sae)
    not_special = ~world.is_special.reshape(-1)[key // sae.d_sae]
    key, value = key[not_special], value[not_special]
    found = artefact.load(ours).saes[sae.name]
    own_key = np.repeat(np.arange(world.tokens.size), np.diff(found.indptr)) * sae.d_sae + found.feature
    shared, of_own, of_its = np.intersect1d(own_key, key, assume_unique=True, return_indices=True)
    share = len(shared) / max(len(key), len(own_key))
    # In bfloat16, delphi's precision on such a model, the last of the k are chosen by the rounding.
    least, tolerance = (0.9999, 2e-3) if world.model.model.dtype == torch.float32 else (0.8, 5e-2)
    if share < least or not np.allclose(found.value[of_own], value[of_its], rtol=tolerance, atol=tolerance):
        raise AssertionError(f"{world.case}: delphi agrees on {share:.4%} of the activations only")
