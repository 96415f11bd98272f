"""Rounds of eai-delphi's LatentCache, in an environment of its own: one for each line that comes in.

`.venv-delphi/bin/python benchmarks/peers/delphi_cache.py SETUP.json`. Imports and loading happen before it answers
`ready`; each round answers `done` and its seconds. Unlike ours it runs the upper layers and the head, makes dense
activations of a whole batch, keeps all of them in memory until the end, counts firings, encodes and keeps special
tokens, rounds values to float16, and writes 8 bytes for each activation and the tokens once for each split.
"""

import json
import shutil
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from delphi.latents.cache import LatentCache
from delphi.sparse_coders.load_sparsify import sae_dense_latents
from safetensors.torch import load_file
from sparsify import SparseCoder, SparseCoderConfig
from transformers import AutoModelForCausalLM

N_SPLITS = 5  # delphi's default


def main() -> None:
    """Load what the setup names, then run a round for each line."""
    setup = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(setup["threads"])
    dtype = getattr(torch, setup["dtype"])
    model = AutoModelForCausalLM.from_pretrained(setup["model"], dtype=dtype).to(setup["device"]).eval()
    sae = _sae(setup).to(setup["device"])
    tokens = torch.from_numpy(np.load(setup["tokens"]).astype(np.int64))
    directory = Path(setup["out"])
    print("ready", flush=True)
    for _ in sys.stdin:
        shutil.rmtree(directory, ignore_errors=True)
        start = time.perf_counter()
        encode = partial(sae_dense_latents, sae=sae)
        cache = LatentCache(model, {setup["hook_point"]: encode}, batch_size=setup["batch_size"])
        cache.run(tokens.numel(), tokens)
        cache.save_splits(N_SPLITS, directory)
        print("done", time.perf_counter() - start, flush=True)


def _sae(setup: dict) -> SparseCoder:
    weights = load_file(setup["sae"])
    d_model, d_sae = weights["W_enc"].shape
    sae = SparseCoder(d_model, SparseCoderConfig(num_latents=d_sae, k=setup["k"]))
    sae.encoder.weight.data = weights["W_enc"].T.contiguous()
    sae.encoder.bias.data = weights["b_enc"]
    sae.b_dec.data = weights["b_dec"]
    # As delphi uses a sparse coder on a model of another precision.
    return sae.to(getattr(torch, setup["dtype"]))


if __name__ == "__main__":
    main()
