"""Batches: every utterance once, of like length, in an order that (seed, repeat, fold, epoch) decides."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.data.batches import EpochBatches, Share, UtteranceDataset, epoch_batches, evaluation_batches
from ser_lightning.features import FeatureStore


def padding(batches, lengths):
    """Share of frames that are padding."""
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    return 1 - lengths.sum() / padded


def iemocap_like(utterances=4425, seed=0):
    """Lengths in frames with the spread of IEMOCAP's (mean 4.5 s, up to 14 s)."""
    rng = np.random.default_rng(seed)
    return np.clip(100 * rng.lognormal(1.3, 0.65, utterances), 58, 1400).astype(np.int64)


@settings(max_examples=50, deadline=None)
@given(
    utterances=st.integers(1, 300),
    size=st.integers(1, 40),
    order=st.sampled_from(["sorted", "random"]),
    pool=st.integers(1, 20),
    seed=st.integers(0, 100),
)
def test_every_utterance_once_longest_first(utterances, size, order, pool, seed):
    lengths = np.random.default_rng(seed).integers(49, 1400, utterances)
    batches = epoch_batches(lengths, size, order, pool, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches)) == list(range(utterances))
    assert len(batches) == -(-utterances // size)
    assert sum(len(batch) < size for batch in batches) <= 1
    for batch in batches:
        assert (np.diff(lengths[batch]) <= 0).all()


def test_sorted_batches_hold_utterances_of_like_length():
    lengths = iemocap_like()
    rng = np.random.default_rng(0)
    assert padding(epoch_batches(lengths, 32, "sorted", 20, rng), lengths) < 0.12
    assert padding(epoch_batches(lengths, 32, "random", 1, rng), lengths) > 0.5


def test_consecutive_batches_are_not_alike():
    lengths = iemocap_like()
    batches = epoch_batches(lengths, 32, "sorted", 20, np.random.default_rng(0))
    longest = np.array([lengths[batch].max() for batch in batches])
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.3


def test_a_small_corpus_has_other_batches_in_every_epoch():
    """Sorted as a whole, 271 utterances would meet the same ones in each epoch."""
    lengths = iemocap_like(271)
    together = [
        {frozenset(share.positions) for share in EpochBatches(lengths, 32, "sorted", 20, (0, 0, 0), lambda e=epoch: e)}
        for epoch in range(4)
    ]
    assert not set.intersection(*together)
    pairs = [{frozenset((a, b)) for batch in one for a in batch for b in batch if a < b} for one in together]
    shared = len(pairs[0] & pairs[1]) / len(pairs[0])
    assert shared < 0.5


def order_of(seed=0, repeat=0, fold=0, epoch=0):
    return list(EpochBatches(iemocap_like(200), 32, "sorted", 20, (seed, repeat, fold), lambda: epoch))


def test_the_order_is_a_function_of_seed_repeat_fold_epoch():
    first = order_of()
    np.random.seed(99)  # a global state that must not matter
    torch.manual_seed(99)
    assert order_of() == first
    for change in ({"seed": 1}, {"repeat": 1}, {"fold": 1}, {"epoch": 1}):
        assert order_of(**change) != first


@settings(max_examples=50, deadline=None)
@given(utterances=st.integers(1, 100), size=st.integers(1, 20), ranks=st.integers(1, 5), seed=st.integers(0, 100))
def test_ranks_share_every_batch_among_them(utterances, size, ranks, seed):
    lengths = np.random.default_rng(seed).integers(49, 1400, utterances)

    def batches(**rank):
        return list(EpochBatches(lengths, size, "sorted", 20, (seed, 0, 0), lambda: 3, **rank))

    shares = [batches(rank=rank, ranks=ranks) for rank in range(ranks)]
    for batch, *parts in zip(batches(), *shares, strict=True):
        assert batch.whole == len(batch.positions)
        assert sorted(position for part in parts for position in part.positions) == sorted(batch.positions)
        assert all(part.whole == batch.whole for part in parts)
        sizes = [len(part.positions) for part in parts]
        assert max(sizes) - min(sizes) <= 1
    evaluated = [np.concatenate([[], *evaluation_batches(lengths, size, rank, ranks)]) for rank in range(ranks)]
    assert sorted(np.concatenate(evaluated)) == list(range(utterances))


def test_a_rank_without_a_share_has_something_to_compute_on():
    store = store_of([7, 3, 5])
    dataset = UtteranceDataset(store, ["u0", "u1", "u2"], [2, 0, 1], [5, -1, 5], *store.statistics([0, 1, 2]).pooled())
    batch = dataset[Share([], 1)]
    assert batch.spectrogram.shape == (1, 7, 4)
    assert (len(batch), batch.whole, batch.ids) == (0, 1, ())
    assert batch.labels.shape == (0,)
    assert batch.labels.dtype == torch.int64


def test_the_epoch_is_asked_for_at_every_pass():
    epoch = 0
    batches = EpochBatches(iemocap_like(200), 32, "sorted", 20, (0, 0, 0), lambda: epoch)
    first = list(batches)
    assert len(batches) == len(first) == 7
    assert list(batches) == first
    epoch = 1
    assert list(batches) != first


def test_evaluation_is_in_order_of_length_and_nearly_without_padding():
    lengths = iemocap_like()
    batches = evaluation_batches(lengths, 32)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert padding(batches, lengths) < 0.02


def store_of(lengths, bins=4, seed=0):
    frames = np.random.default_rng(seed).normal(-30, 12, (sum(lengths), bins)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    parts = [frames[a:b].astype(np.float64) for a, b in pairwise(offsets)]
    sums, squares = np.array([p.sum(0) for p in parts]), np.array([(p**2).sum(0) for p in parts])
    return FeatureStore(Path(), frames, offsets, sums, squares, {f"u{i}": i for i in range(len(lengths))}, "", {})


def test_a_batch_is_normalised_then_padded_with_the_mean():
    store = store_of([7, 3, 5])
    mean, deviation = store.statistics([0, 1, 2]).pooled()
    dataset = UtteranceDataset(store, ["u0", "u1", "u2"], [2, 0, 1], [5, -1, 5], mean, deviation)
    batch = dataset[Share([0, 2], 2)]
    assert batch.spectrogram.shape == (2, 7, 4)
    assert batch.ids == ("u0", "u2")
    assert batch.lengths.tolist() == [7, 5]
    assert (batch.labels.tolist(), batch.speakers.tolist()) == ([2, 1], [5, 5])
    np.testing.assert_allclose(batch.spectrogram[1, :5], (store.of(2) - mean) / deviation, rtol=1e-6)
    assert not batch.spectrogram[1, 5:].any()
    whole = np.concatenate([dataset[Share([i], 1)].spectrogram[0] for i in range(3)])
    np.testing.assert_allclose(whole.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(whole.std(0), 1, rtol=1e-5)


def test_lengths_stay_on_the_cpu():
    dataset = UtteranceDataset(store_of([7, 3]), ["u0", "u1"], [0, 1], [0, 0], np.zeros(4, "f4"), np.ones(4, "f4"))
    moved = dataset[Share([0, 1], 2)].to(torch.device("meta"))
    assert moved.spectrogram.device.type == moved.labels.device.type == "meta"
    assert moved.lengths.device.type == "cpu"
