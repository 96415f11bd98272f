"""One entry of `saes` in params.yaml: where a sparse autoencoder lies and which loader reads it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class FolderSae(BaseModel):
    """An SAE in SAELens's own folder format (`cfg.json` and `sae_weights.safetensors`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    loader: Literal["folder"] = Field(description="reads SAELens's folder format")
    path: Text = Field(description="the local folder")


class SaeLensSae(BaseModel):
    """An SAE of SAELens's directory of pretrained SAEs, by release and id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    loader: Literal["sae_lens"] = Field(description="fetches by SAELens release and id")
    release: Text = Field(description="a release that the installed SAELens knows")
    id: Text = Field(description="an SAE's id within the release")


class SparsifySae(BaseModel):
    """An SAE written by EleutherAI's sparsify: one folder (`cfg.json`, `sae.safetensors`) per hook point."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    loader: Literal["sparsify"] = Field(description="reads EleutherAI sparsify's format")
    path: Text = Field(description="a local folder or a hub repository")
    hookpoint: Text | None = Field(
        default=None,
        description="the sub-folder and module, such as layers.6.mlp; null: the folder itself holds the SAE",
    )
    revision: Text | None = Field(default=None, description="a hub revision; null: the default branch")


class BatchTopKSae(BaseModel):
    """A BatchTopK checkpoint in FaithfulSAE's format (`config.json` and `sae.pt`, 2506.17673)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    loader: Literal["batch_topk"] = Field(description="reads FaithfulSAE's BatchTopK checkpoints")
    path: Text = Field(description="a local folder or a hub repository")
    hook_point: Text | None = Field(
        default=None,
        description="overrides the hook point of the checkpoint's config, such as blocks.8.hook_resid_pre",
    )
    revision: Text | None = Field(default=None, description="a hub revision; null: the default branch")


SaeParams = Annotated[FolderSae | SaeLensSae | SparsifySae | BatchTopKSae, Field(discriminator="loader")]
