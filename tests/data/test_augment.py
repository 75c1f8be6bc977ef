"""Each distortion against a plain loop; what is drawn as a function of seed, epoch and utterance; training alone."""

import numpy as np
import pytest
import torch
from scipy.special import betainc

from ser_lightning.config import compose
from ser_lightning.data.augment import (
    Checked,
    Distortion,
    mask,
    mix,
    mixed_in,
    resample,
    utterance_rng,
    warp_bins,
)
from ser_lightning.data.batches import Share
from ser_lightning.data.datamodule import SpectrogramDataModule
from ser_lightning.data.splits import make_splits
from ser_lightning.errors import UserError
from ser_lightning.training.plan import prepare
from tests.components.test_code import write

FRAMES = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
MEAN = torch.linspace(-1, 1, 20)


def rng(epoch=0, name="u1", seed=0):
    return utterance_rng(seed, epoch, name)


@pytest.mark.parametrize("speed, count", [(0.8, 62), (1.25, 40), (1, 50)])
def test_another_speed_is_interpolated_between_frames(speed, count):
    changed = resample(FRAMES, speed)
    assert changed.shape == (count, 20)
    places = np.linspace(0, 49, count)
    for column in (0, 7, 19):
        expected = np.interp(places, np.arange(50), FRAMES[:, column].numpy())
        np.testing.assert_allclose(changed[:, column], expected, atol=1e-5)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_warp_moves_bins_and_keeps_the_ends(factor):
    changed = warp_bins(FRAMES, factor)
    bend = 0.6 * 19 * min(factor, 1)
    for column in range(20):
        source = column / factor
        if column > bend:
            source = 19 - (19 - column) / (19 - bend) * (19 - bend / factor)
        expected = [np.interp(source, np.arange(20), row.numpy()) for row in FRAMES]
        np.testing.assert_allclose(changed[:, column], expected, atol=1e-5)
    np.testing.assert_array_equal(changed[:, [0, 19]], FRAMES[:, [0, 19]])


def test_masks_are_as_wide_as_drawn_and_lie_inside():
    hidden = mask(20, 0.25, np.array([[0.5, 0.0], [0.999, 0.999]]))
    # int(.5 * 6) = 3 from 0 on, and int(.999 * 6) = 5 up to the end
    assert np.flatnonzero(hidden).tolist() == [0, 1, 2, 15, 16, 17, 18, 19]
    assert not mask(20, 0.0, np.array([[0.999, 0.5]])).any()
    assert mask(20, 1.0, np.array([[0.999, 0.999]])).all()
    # No more than the share, of a few frames and of a single row
    assert mask(15, 0.1, np.array([[0.999, 0.0]])).sum() == 1
    assert not mask(1, 0.5, np.array([[0.999, 0.999]])).any()


def test_masked_frames_and_bins_are_what_becomes_zero():
    changed = Distortion(time=0.3, frequency=0.3)(FRAMES, MEAN, rng(1))
    hidden = changed != FRAMES
    assert 0 < hidden.sum() < hidden.numel()
    assert torch.equal(changed[hidden], MEAN.expand(50, 20)[hidden])
    # whole rows and whole columns
    rows, columns = hidden.all(dim=1), hidden.all(dim=0)
    assert torch.equal(hidden, rows[:, None] | columns[None])


def test_what_is_drawn_depends_on_seed_epoch_and_utterance_alone():
    whole = Distortion(speed=0.2, warp=0.2, time=0.2, frequency=0.2)
    changed = whole(FRAMES, MEAN, rng())
    assert torch.equal(changed, whole(FRAMES, MEAN, rng()))
    others = [rng(epoch=1), rng(name="u2"), rng(seed=1)]
    assert not any(torch.equal(changed[:9], whole(FRAMES, MEAN, other)[:9]) for other in others)
    # the masks are the same with and without the others
    alone = Distortion(time=0.2, frequency=0.2)(FRAMES, MEAN, rng())
    without = Distortion(warp=0.2)(FRAMES, MEAN, rng())
    both = Distortion(warp=0.2, time=0.2, frequency=0.2)(FRAMES, MEAN, rng())
    assert torch.equal(both, torch.where(alone != FRAMES, alone, without))
    assert not FRAMES.isnan().any()


@pytest.mark.parametrize(
    ("other", "places"),
    [
        ([1, 2, 3, 4], {(1, 2, 3, 4)}),
        ([1, 2], {(1, 2, 0, 0), (0, 1, 2, 0), (0, 0, 1, 2)}),
        ([1, 2, 3, 4, 5, 6], {(1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)}),
    ],
)
def test_what_is_mixed_in_lies_at_some_place_and_leaves_the_length(other, places):
    frames, other = torch.full((4, 1), 8.0), torch.tensor(other)[:, None].float()
    mixtures = [mix(frames, other, 0.25, rng(seed=seed)) for seed in range(30)]
    assert {tuple(((one - 6) / 0.25).squeeze(1).tolist()) for one in mixtures} == places


@pytest.mark.parametrize("alpha", [0.2, 1, 4])
def test_how_much_is_mixed_in_is_the_smaller_half_of_a_beta_distribution(alpha):
    source = rng()
    shares = np.array([mixed_in(alpha, source) for _ in range(4000)])
    assert shares.min() >= 0
    assert shares.max() <= 0.5
    for share in (0.05, 0.1, 0.3):
        assert (shares <= share).mean() == pytest.approx(2 * betainc(alpha, alpha, share), abs=0.03)


@pytest.fixture
def data_of(small):
    def build(*overrides):
        config = small(*overrides)
        manifest, store = prepare(config)
        split = make_splits(manifest, config.split)[0]
        return SpectrogramDataModule(
            manifest, store, split, config.normalise, config.augment, config.batching, config.seed
        )

    return build


@pytest.mark.parametrize("normalise", ["training", "utterance"])
def test_training_utterances_alone_are_changed(data_of, normalise):
    plain, augmented = data_of(f"normalise={normalise}"), data_of(f"normalise={normalise}", "augment=warp")
    assert plain.augmentation is None
    for part in ("dev", "test", "train"):
        for one, other in zip(plain.evaluation_dataloader(part), augmented.evaluation_dataloader(part), strict=True):
            assert torch.equal(one.spectrogram, other.spectrogram)
    store, dataset = augmented.parts["train"].store, augmented.parts["train"]
    seen = 0
    for one, batch in zip(plain.train_dataloader(), augmented.train_dataloader(), strict=True):
        assert one.ids == batch.ids
        assert torch.equal(one.lengths, batch.lengths)
        assert not torch.equal(one.spectrogram, batch.spectrogram)
        for row, name in enumerate(batch.ids):
            frames = torch.from_numpy(np.array(store.of(store.rows[name]))).float()
            # The utterance's own mean first, so that nothing of it is left, then the training part's mean and deviation
            own = frames.mean(dim=0) if normalise == "utterance" else torch.zeros(frames.shape[1])
            mean, deviation = augmented.normalisation["mean"], augmented.normalisation["deviation"]
            expected = (Distortion(warp=0.1)(frames - own, mean, utterance_rng(0, 0, name)) - mean) / deviation
            length = int(batch.lengths[row])
            torch.testing.assert_close(batch.spectrogram[row, :length], expected, atol=1e-4, rtol=1e-4)
            if normalise == "utterance":
                assert (batch.spectrogram[row, :length].mean(dim=0) + mean / deviation).abs().max() < 1e-3
            assert not batch.spectrogram[row, length:].any()
            seen += 1
    assert seen == len(dataset)


def test_batches_are_mixed_by_seed_epoch_and_utterance_alone(data_of):
    words = ["augment.time=0.2", "features.max_seconds=14"]
    plain, mixed = data_of(*words), data_of(*words, "augment.mixup=1", "batching.size=7", "batching=random")
    dataset, heard = mixed.parts["train"], {}
    for batch in plain.train_dataloader():
        assert batch.mixed is None
        for row, name in enumerate(batch.ids):
            heard[name] = batch.spectrogram[row, : batch.lengths[row]]
    seen = []
    for batch in mixed.train_dataloader():
        assert batch.lengths.tolist() == [len(heard[name]) for name in batch.ids]
        for row, name in enumerate(batch.ids):
            (source,) = utterance_rng(0, 0, name).spawn(1)
            place = int(source.integers(len(dataset)))
            share = mixed_in(1, source)
            expected = mix(heard[name], heard[dataset.ids[place]], share, source)
            length = int(batch.lengths[row])
            torch.testing.assert_close(batch.spectrogram[row, :length], expected)
            assert not batch.spectrogram[row, length:].any()
            assert batch.mixed[0][row] == dataset.labels[place]
            assert batch.mixed[1][row].item() == pytest.approx(share)
            seen.append(name)
    assert sorted(seen) == sorted(heard)
    # Of no share of a batch, and of a part of one
    assert [len(one) for one in dataset[Share([], 1, 0)].mixed] == [0, 0]
    assert torch.equal(dataset[Share([3, 5], 4, 0)].mixed[1][1:], dataset[Share([5], 4, 0)].mixed[1])
    assert not torch.equal(dataset[Share([5], 4, 0)].mixed[1], dataset[Share([5], 4, 1)].mixed[1])
    assert all(batch.mixed is None for batch in mixed.evaluation_dataloader("train"))
    assert all(batch.mixed is None for batch in mixed.val_dataloader())


@pytest.mark.parametrize("alpha", ["-0.1", "inf"])
def test_alpha_is_a_finite_number_from_0_on(alpha):
    with pytest.raises(UserError, match=r"augment\.mixup=.*: must be (at least 0|finite)"):
        compose([f"augment.mixup={alpha}"])


def test_no_utterance_becomes_shorter_than_the_shortest(data_of):
    data = data_of("augment.speed=0.5", "features.max_seconds=14")
    shortest = int(data.parts["train"].lengths.min())
    lengths = torch.cat([batch.lengths for batch in data.train_dataloader()])
    plain = torch.cat([batch.lengths for batch in data_of("features.max_seconds=14").train_dataloader()])
    assert lengths.min() >= shortest
    assert (lengths != plain).float().mean() > 0.5


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("frames[0]", r"augment=mine: mine\.py:\d+: it makes \[20\] of frames \[50, 20\]; expected \[any, 20\]"),
        ("None", "it makes NoneType of frames"),
        ("frames / 0 * 0", "it makes values that are not finite"),
        ("frames.nothing", r"augment=mine: mine\.py:\d+: .*nothing"),
    ],
)
def test_what_an_augmentation_of_ones_own_gets_wrong_is_named(tmp_path, monkeypatch, result, message):
    monkeypatch.chdir(tmp_path)
    code = f"""
class Mine:
    changes = True
    def __call__(self, frames, mean, rng):
        return {result}
"""
    write(tmp_path, {"mine.py": code, "conf/augment/mine.yaml": "_target_: mine.Mine\n"})
    with pytest.raises(UserError, match=message):
        Checked(compose(["augment=mine", f"paths.output={tmp_path}"]).augment)(FRAMES, MEAN, rng())


def test_an_augmentation_of_ones_own_may_write_to_what_it_is_given(data_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
class Mine:
    def __call__(self, frames, mean, rng):
        frames[:2] = mean
        return frames
"""
    write(tmp_path, {"mine.py": code, "conf/augment/mine.yaml": "_target_: mine.Mine\n"})
    # Stored in float32, and read as it lies on the disk
    data = data_of("augment=mine")
    before = np.array(data.parts["train"].store.frames)
    (batch, *_) = data.train_dataloader()
    assert batch.spectrogram[:, :2].abs().max() < 1e-5 < batch.spectrogram[:, 2].abs().max()
    np.testing.assert_array_equal(data.parts["train"].store.frames, before)


def test_an_augmentation_of_ones_own_may_mix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
class Mine:
    changes = True
    def __init__(self, *, alpha: float | None = 0.5):
        self.mixup = alpha
    def __call__(self, frames, mean, rng):
        return frames
"""
    write(tmp_path, {"mine.py": code, "conf/augment/mine.yaml": "_target_: mine.Mine\n"})
    words = ["augment=mine", f"paths.output={tmp_path}"]
    assert Checked(compose(words).augment).mixup == 0.5
    with pytest.raises(UserError, match=r"augment=mine: mine\.py:2: its `mixup`, alpha, should be .* it is None"):
        Checked(compose([*words, "augment.alpha=null"]).augment)
