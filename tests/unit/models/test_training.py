import itertools

import numpy as np
import pytest
import torch

from kindred.corpus.document import Document
from kindred.corpus.packing import SpecialTokens, pack_documents
from kindred.errors import KindredError
from kindred.models.checkpoint import checkpoint_writer, read_checkpoint
from kindred.models.language_model import ArchitectureSettings, build_language_model
from kindred.models.training import (
    TrainingData,
    TrainingSettings,
    batches,
    count_steps,
    definition_tokens_seen,
    split_documents,
    train_language_model,
)

SPECIAL = SpecialTokens(0, 1, 2)
ARCHITECTURE = ArchitectureSettings(
    hidden_size=16, n_layers=1, n_heads=2, intermediate_size=32, context_length=8
)
SETTINGS = TrainingSettings(
    token_budget=4 * 8 * 12 + 5,
    batch_size=4,
    warmup_steps=2,
    definition_share=0.25,
    validate_every=5,
    checkpoint_every=5,
    bfloat16=False,
    compile=False,
)


def contexts(first, n):
    return pack_documents(
        [[first + i % 3, first + 1, first + 2] * 2 for i in range(n)], 8, SPECIAL, pack=True
    )


DATA = TrainingData(documents=contexts(3, 20), definitions=contexts(10, 5), validation=contexts(3, 4))


def trained(settings=SETTINGS, data=DATA, **arguments):
    model = build_language_model(ARCHITECTURE, 20, SPECIAL, seed=0)
    train_language_model(model, data, settings, **arguments)
    return model


def assert_equal_weights(first, second):
    for (name, one), two in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_the_loss_falls_and_every_step_is_reported():
    seen = []
    trained(report=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 13))
    assert seen[-1].tokens == 12 * 4 * 8
    assert seen[-1].loss_nats < seen[0].loss_nats - 0.5
    assert [p.step for p in seen if p.validation_loss_nats is not None] == [5, 10, 12]


def test_the_same_recipe_gives_the_same_weights():
    assert_equal_weights(trained(), trained())


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    path = tmp_path / "checkpoint.pt"
    assert read_checkpoint(path, "recipe") is None
    write = checkpoint_writer(path, "recipe")

    def interrupt(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(save=write, report=interrupt)
    state = read_checkpoint(path, "recipe")
    assert state.step == 5
    assert_equal_weights(trained(state=state, save=write), trained())
    finished = read_checkpoint(path, "recipe")
    assert finished.step == 12
    assert_equal_weights(trained(state=finished), trained())
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    trained(save=checkpoint_writer(path, "one"))
    with pytest.raises(KindredError, match=r"checkpoint\.pt"):
        read_checkpoint(path, "other")


def test_a_truncated_checkpoint_is_an_error(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(KindredError, match=r"checkpoint\.pt"):
        read_checkpoint(path, "recipe")


def test_definitions_have_their_share_of_the_stream_and_are_counted():
    stream = list(itertools.islice(batches(DATA, SETTINGS), 12))
    rows = np.concatenate(stream)
    is_definition = (rows >= 10).any(axis=1)
    assert is_definition.sum() == 12
    assert (rows[is_definition] > 2).sum() == definition_tokens_seen(DATA, SETTINGS)


def test_an_epoch_sees_every_context_once():
    data = TrainingData(DATA.documents, None, DATA.validation)
    n = data.documents.n_contexts
    rows = np.concatenate(list(itertools.islice(batches(data, SETTINGS), n)))
    for epoch in range(4):
        seen = rows[epoch * n : (epoch + 1) * n]
        assert sorted(map(tuple, seen)) == sorted(map(tuple, data.documents.tokens))
    assert definition_tokens_seen(data, SETTINGS) == 0


def test_a_budget_for_less_than_a_step_is_an_error():
    with pytest.raises(KindredError, match="token_budget is 31"):
        count_steps(TrainingSettings(token_budget=31, batch_size=4), 8)


def test_the_split_hangs_on_no_order():
    documents = [Document(f"text {index}", f"source {index}", "label") for index in range(2000)]
    training, validation = split_documents(documents, 0.1, seed=0)
    assert 150 < len(validation) < 250
    assert len(training) + len(validation) == len(documents)
    _, reverse = split_documents(documents[::-1], 0.1, seed=0)
    assert reverse[::-1] == validation
    _, other = split_documents(documents, 0.1, seed=1)
    assert other != validation


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its own compiler
def test_compiled_training_in_bfloat16_learns_too():
    seen = []
    settings = TrainingSettings(token_budget=4 * 8 * 12, batch_size=4, warmup_steps=2, definition_share=0.0)
    trained(settings, report=seen.append)
    assert seen[-1].loss_nats < seen[0].loss_nats - 0.5
