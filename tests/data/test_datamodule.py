"""The data of one fold: normalised by its training part alone, counted, labelled."""

import numpy as np
import pytest

from ser_lightning.data.datamodule import SpectrogramDataModule
from ser_lightning.data.splits import make_splits
from ser_lightning.training.plan import prepare


@pytest.fixture
def data(small):
    config = small()
    manifest, store = prepare(config)
    split = make_splits(manifest, config.split)[0]
    return SpectrogramDataModule(manifest, store, split, config.normalise, config.augment, config.batching, config.seed)


def test_mean_and_deviation_are_of_the_training_part_alone(data):
    store = data.parts["train"].store
    frames = np.concatenate([store.of(row) for row in data.parts["train"].rows]).astype(np.float64)
    np.testing.assert_allclose(data.normalised.mean, frames.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(data.normalised.deviation, frames.std(axis=0), rtol=1e-4)


def test_loaders_give_every_utterance_of_their_part_once(data):
    for part, loader in (
        ("train", data.train_dataloader()),
        ("dev", data.val_dataloader()),
        ("test", data.evaluation_dataloader("test")),
    ):
        ids = [name for batch in loader for name in batch.ids]
        assert sorted(ids) == data.split.ids(part)
        assert all(len(batch) <= 32 for batch in loader)


def test_labels_are_the_manifests(data, small):
    manifest, _ = prepare(small())
    label_of = dict(zip(manifest.table["id"], manifest.table["label"], strict=True))
    for batch in data.val_dataloader():
        for name, label in zip(batch.ids, batch.labels, strict=True):
            assert data.classes[label] == label_of[name]
    train = [label_of[name] for name in data.split.ids("train")]
    assert data.class_counts == [train.count(name) for name in ("neu", "ang", "hap", "sad")]
