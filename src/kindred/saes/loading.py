"""Every SAE of params.yaml, whatever its format, as one kind of object."""

from __future__ import annotations

from pathlib import Path

from kindred.params.saes import BatchTopKSae, FolderSae, SaeLensSae, SaeParams
from kindred.saes.batch_topk import load_batch_topk
from kindred.saes.hub import local_folder
from kindred.saes.interface import Sae
from kindred.saes.saelens import load_saelens_folder, load_saelens_release
from kindred.saes.sparsify import load_sparsify


def load_sae(name: str, params: SaeParams, *, device: str) -> Sae:
    """Load an SAE.

    Args:
        name: its key in params.yaml.
        params: its entry there.
        device: where its weights go.

    Raises:
        KindredError: if it cannot be found, is damaged, or needs what is not supported.
    """
    return _load(name, params).to(device)


def _load(name: str, params: SaeParams) -> Sae:
    if isinstance(params, FolderSae):
        return load_saelens_folder(name, Path(params.path))
    if isinstance(params, SaeLensSae):
        return load_saelens_release(name, params.release, params.id)
    if isinstance(params, BatchTopKSae):
        folder = local_folder(params.path, subfolder=None, revision=params.revision)
        return load_batch_topk(name, folder, params.hook_point)
    folder = local_folder(params.path, subfolder=params.hookpoint, revision=params.revision)
    return load_sparsify(name, folder)
