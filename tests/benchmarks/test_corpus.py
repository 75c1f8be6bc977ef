"""The noise that speed is measured on has IEMOCAP's lengths and classes."""

import numpy as np

from benchmarks.corpus import FRAMES, configuration, first_split, manifest, store


def test_lengths_are_those_of_iemocap(tmp_path):
    frames = store(tmp_path, configuration(tmp_path).features, 0.02)
    assert len(frames.lengths) == round(5531 * 0.02)
    assert abs(frames.lengths.mean() - 449) < 5  # 2,484,236 frames of 5,531 utterances
    assert (FRAMES[0], np.median(frames.lengths) // 10, FRAMES[-1]) == (59, 35, 1400)
    mean, deviation = frames.statistics(list(range(len(frames.lengths)))).pooled()
    np.testing.assert_allclose(frames.frames.mean(axis=0), mean, atol=0.5)
    np.testing.assert_allclose(frames.frames.std(axis=0), deviation, rtol=0.05)


def test_classes_and_parts_are_those_of_the_paper(tmp_path):
    noise = manifest()
    assert noise.table["label"].value_counts().to_dict() == {"neu": 1708, "ang": 1103, "hap": 1636, "sad": 1084}
    assert abs(len(first_split(noise, configuration(tmp_path)).ids("train")) - 4425) <= 10
    assert len(manifest(2)) == 11062
