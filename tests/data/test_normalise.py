"""Each normalisation against plain NumPy on the frames of a few utterances."""

import numpy as np
import pytest

from ser_lightning.config import compose
from ser_lightning.data.normalise import Speaker, normalise
from ser_lightning.errors import UserError
from ser_lightning.features.statistics import Statistics
from tests.components.test_code import write

RNG = np.random.default_rng(0)
UTTERANCES = [RNG.normal(-40 + 8 * number, 3 + number, (length, 4)) for number, length in enumerate((9, 5, 7, 6, 8))]
SPEAKERS = np.array(["a", "a", "b", "b", "b"])
TRAIN = np.array([True, True, True, False, False])
STATISTICS = Statistics(
    np.array([len(frames) for frames in UTTERANCES]),
    np.array([frames.sum(axis=0) for frames in UTTERANCES]),
    np.array([(frames**2).sum(axis=0) for frames in UTTERANCES]),
)


def own(name):
    """What is left of each utterance's frames, by a plain loop."""
    left = []
    for frames, speaker in zip(UTTERANCES, SPEAKERS, strict=True):
        voice = np.concatenate([one for one, other in zip(UTTERANCES, SPEAKERS, strict=True) if other == speaker])
        left.append(
            {
                "training": lambda frames, voice: frames,
                "level": lambda frames, voice: frames - frames.mean(),
                "utterance": lambda frames, voice: frames - frames.mean(axis=0),
                "utterance normalise.deviation=true": lambda frames, voice: (
                    (frames - frames.mean(axis=0)) / frames.std(axis=0)
                ),
                "speaker": lambda frames, voice: (frames - voice.mean(axis=0)) / voice.std(axis=0),
            }[name](frames, voice)
        )
    return left


@pytest.mark.parametrize("name", ["training", "level", "utterance", "utterance normalise.deviation=true", "speaker"])
def test_frames_are_normalised_as_by_a_plain_loop(name):
    part = compose(f"normalise={name}".split()).normalise
    normalised = normalise(part, STATISTICS, SPEAKERS, TRAIN)
    left = own(name)
    trained = np.concatenate(left[:3])
    rows = np.array([4, 1])
    mean, deviation = normalised.of(rows)
    assert mean.dtype == deviation.dtype == np.float32
    for place, row in enumerate(rows):
        ours = (UTTERANCES[row] - (mean if mean.ndim == 1 else mean[place])) / (
            deviation if deviation.ndim == 1 else deviation[place]
        )
        np.testing.assert_allclose(ours, (left[row] - trained.mean(axis=0)) / trained.std(axis=0), rtol=1e-4, atol=1e-4)


def test_a_speakers_statistics_of_few_utterances_are_of_the_same_few_for_all():
    shift, scale = Speaker(utterances=2).shift_and_scale(STATISTICS, SPEAKERS)
    pairs = [np.concatenate([UTTERANCES[first], UTTERANCES[second]]) for first, second in ((2, 3), (2, 4), (3, 4))]
    assert (shift[2:] == shift[2]).all()
    assert (scale[2:] == scale[2]).all()
    assert any(np.allclose(shift[2], pair.mean(axis=0)) and np.allclose(scale[2], pair.std(axis=0)) for pair in pairs)
    np.testing.assert_allclose(shift[0], np.concatenate(UTTERANCES[:2]).mean(axis=0))


def test_what_is_used_of_a_tested_speaker_is_said():
    uses = {name: compose([f"normalise={name}"]).normalise.make().uses for name in ("training", "level", "utterance")}
    assert not any(uses.values())
    assert Speaker().uses == "normalised by all utterances of each tested speaker, unlabelled (transductive)"
    assert (
        Speaker(utterances=5).uses
        == "normalised by up to 5 utterances of each tested speaker, unlabelled (transductive)"
    )


def test_an_unknown_speaker_is_refused():
    with pytest.raises(
        UserError, match="normalise=speaker: the speaker of 2 utterances is unknown; normalise=utteranc"
    ):
        Speaker().shift_and_scale(STATISTICS, np.array(["", "a", "", "b", "b"]))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("(np.zeros((5, 3)), np.ones((1, 1)))", r"the shift has the shape \[5, 3\]; it should be \[5, 4\]"),
        ("(np.zeros((1, 1)), np.zeros((5, 1)))", "the scale has values that are not positive"),
        ("(np.full((5, 1), np.nan), np.ones((1, 1)))", "the shift has values that are not finite"),
        ("1 / 0", r"normalise=mine: .*ZeroDivisionError"),
    ],
)
def test_what_a_normalisation_of_ones_own_gets_wrong_is_named(tmp_path, monkeypatch, result, message):
    monkeypatch.chdir(tmp_path)
    code = f"""
import numpy as np

class Mine:
    uses = ""
    def shift_and_scale(self, statistics, speakers):
        return {result}
"""
    write(tmp_path, {"mine.py": code, "conf/normalise/mine.yaml": "_target_: mine.Mine\n"})
    part = compose(["normalise=mine", f"paths.output={tmp_path}"]).normalise
    with pytest.raises(UserError, match=message):
        normalise(part, STATISTICS, SPEAKERS, TRAIN)
