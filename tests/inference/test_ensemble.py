"""Windows, networks that answer together, and who may answer on what."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from ser_lightning import Recognizer
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio
from ser_lightning.inference.ensemble import NO_SPEECH, Ensemble, cut
from ser_lightning.inference.familiar import Familiar
from ser_lightning.inference.recordings import Item
from ser_lightning.report.calibration import fit_temperature
from ser_lightning.runs.ledger import read_outputs
from ser_lightning.runs.study import read_jobs
from tests import commands
from tests.inference.trained import WORDS


@settings(deadline=None)
@given(samples=st.integers(1, 3_000), window=st.integers(8, 300), beyond=st.floats(1, 3))
def test_stretches_are_the_recording_and_windows_cover_them(samples, window, beyond):
    longest = window * beyond
    windows, steps = cut(samples, longest, window)
    assert steps[0][0] == 0
    assert steps[-1][1] == samples
    assert [end for _, end, _ in steps[:-1]] == [start for start, _, _ in steps[1:]]
    if samples <= longest:
        assert windows == [(0, samples)]
        return
    assert all(end - start == window and start >= 0 and end <= samples for start, end in windows)
    for start, end, covering in steps:
        assert window // 4 <= end - start <= window
        assert covering
        assert covering == [
            number
            for number, (first, last) in enumerate(windows)
            if min(last, end) - max(first, start) >= (end - start) / 2
        ]


@pytest.fixture(scope="module")
def recognizer(trained):
    return Recognizer.load("tried", setting="loss.lam=0.3", output=trained)


@pytest.fixture(scope="module")
def logits(trained, study):
    """For each fold of lambda 0.3 the ledger's rows, by id."""
    tables = [read_outputs(trained / "runs" / run).set_index("id") for run in read_jobs(study)[1].runs]
    return [table[table["part"] == "test"].filter(like="logit_") for table in tables]


def answers(recognizer, files, speakers=None):
    speakers = speakers or [""] * len(files)
    items = [Item(Path(file).name, Path(file), speaker=who) for file, who in zip(files, speakers, strict=True)]
    return [several for _, several in recognizer.answer(items)]


def short(recordings, ids):
    """Those ids whose recordings are as long as the networks were trained with, and no longer."""
    return [name for name in ids if soundfile.info(recordings[name]).duration <= 3]


def test_own_recordings_are_answered_by_the_ledgers_logits_of_the_fold_that_never_saw_them(
    recognizer, recordings, study, trained, logits
):
    classes = list(recognizer.classes)
    for fold, run in enumerate(read_jobs(study)[1].runs):
        # As the report has it: by what the other fold says of its own test part
        other = read_outputs(trained / "runs" / read_jobs(study)[1].runs[1 - fold]).query("part == 'test'")
        kept = other[~other["id"].isin(logits[fold].index)]
        temperature = fit_temperature(
            kept.filter(like="logit_").to_numpy(dtype=float), kept["label"].map(classes.index).to_numpy()
        )
        assert recognizer.ensemble.temperatures[fold] == pytest.approx(temperature)
        ids = short(recordings, logits[fold].index)
        assert len(ids) > 10
        for name, (answer,) in zip(ids, answers(recognizer, [recordings[name] for name in ids]), strict=True):
            assert answer.networks == 1, run
            assert answer.spread == {}
            assert "answered by the 1 of 2 networks never trained on it" in answer.note
            expected = softmax(logits[fold].loc[name].to_numpy(dtype=float) / temperature)
            np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-4)
            assert answer.label == classes[int(expected.argmax())]


def test_a_copy_of_another_name_and_format_is_known_and_a_changed_one_is_not(recognizer, recordings, logits, tmp_path):
    name = short(recordings, logits[0].index)[0]
    wave, rate = soundfile.read(recordings[name], dtype="int16")
    soundfile.write(tmp_path / "copy.flac", wave, rate)
    soundfile.write(tmp_path / "louder.wav", np.clip(2 * wave.astype(int), -32768, 32767).astype("int16"), rate)
    (copy,), (changed,) = answers(recognizer, [tmp_path / "copy.flac", tmp_path / "louder.wav"])
    assert (copy.networks, changed.networks) == (1, 2)
    assert changed.note == ""


def test_what_every_network_was_trained_on_is_not_answered(recognizer, recordings, trained, logits):
    tested = {name for table in logits for name in table.index}
    name = next(name for name in short(recordings, recordings) if name not in tested)
    ((answer,),) = answers(recognizer, [recordings[name]])
    assert answer.label == ""
    assert answer.note == "a recording of the study itself, and every network that could answer was trained on it"


@pytest.fixture(scope="module")
def strange(recognizer):
    """The same networks, to which no recording is familiar."""
    ensemble = Ensemble(recognizer.ensemble.networks, recognizer.ensemble.temperatures, Familiar({}, 0))
    return Recognizer(ensemble, recognizer.source)


def alone(ensemble, wave):
    """Calibrated probabilities [networks, classes] of a wave, a network after the other."""
    shares = []
    for network, temperature in zip(ensemble.networks, ensemble.temperatures, strict=True):
        _, logits = network.answer([network.normalised(network.frames(wave))])
        shares.append(softmax(logits.numpy().astype(float)[0] / temperature))
    return np.array(shares)


def test_probabilities_are_means_over_networks_and_their_spread(strange, recordings):
    ids = short(recordings, sorted(recordings))[:40]
    for name, (answer,) in zip(ids, answers(strange, [recordings[name] for name in ids]), strict=True):
        shares = alone(strange.ensemble, read_audio(recordings[name]))
        np.testing.assert_allclose(list(answer.probabilities.values()), shares.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(list(answer.spread.values()), shares.std(axis=0, ddof=1), atol=1e-5)


def test_a_long_recording_is_the_mean_of_its_windows_and_pauses_have_no_class(strange, recordings, tmp_path):
    parts = [read_audio(recordings[name]) for name in short(recordings, sorted(recordings))[:6]]
    pause = np.zeros(4 * 16_000, dtype=np.float32)
    wave = np.concatenate([*parts[:3], pause, *parts[3:]])
    soundfile.write(tmp_path / "long.wav", wave, 16_000, subtype="FLOAT")
    (several,) = answers(strange, [tmp_path / "long.wav"])
    ensemble = strange.ensemble
    windows, steps = cut(len(wave), 3 * 16_000, ensemble.window * 16_000)
    assert len(several) == len(steps) > 4
    silent = 0
    for answer, (start, end, covering) in zip(several, steps, strict=True):
        assert (answer.start, answer.end) == (start / 16_000, end / 16_000)
        if not wave[start:end].any():
            assert answer.label == NO_SPEECH
            assert answer.probabilities == {}
            silent += 1
        elif answer.label != NO_SPEECH:
            shares = np.mean([alone(ensemble, wave[slice(*windows[number])]) for number in covering], axis=0)
            np.testing.assert_allclose(list(answer.probabilities.values()), shares.mean(axis=0), atol=1e-4)
    assert silent
    assert several == strange.predict(wave, 16_000)


def test_windows_are_as_long_as_a_typical_training_utterance_or_as_asked(strange, recordings, trained, study):
    ensemble = strange.ensemble
    outputs = [read_outputs(trained / "runs" / run) for run in read_jobs(study)[1].runs]
    assert 0.6 < ensemble.window < 3
    assert len(outputs) == 2
    cutting = Ensemble(ensemble.networks, ensemble.temperatures, ensemble.familiar, 1.0)
    assert (cutting.window, cutting.longest) == (1.0, 1.0)
    for seconds, message in ((0.2, r"--window 0\.2: the networks need 0.48 s"), (9, r"were trained with 3 s at most")):
        with pytest.raises(UserError, match=message):
            Ensemble(ensemble.networks, ensemble.temperatures, ensemble.familiar, seconds)


def test_silence_noise_and_what_is_too_short(strange, tmp_path):
    rng = np.random.default_rng(0)
    waves = {"zeros": np.zeros(32_000), "noise": rng.normal(0, 0.1, 32_000), "short": rng.normal(0, 0.1, 2_000)}
    for name, wave in waves.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, 16_000)
    several = answers(strange, [tmp_path / f"{name}.wav" for name in waves])
    assert [answer.label for (answer,) in several] == [NO_SPEECH, NO_SPEECH, ""]
    assert several[2][0].note == "too short: 0.12 s, and the networks need 0.48 s"


def test_from_python_waves_of_any_rate_and_channels(strange, recordings):
    name = short(recordings, sorted(recordings))[0]
    wave, rate = soundfile.read(recordings[name])
    (mono,), (stereo,) = strange.predict(wave, rate), strange.predict(np.stack([wave, wave], axis=1), rate)
    assert mono == stereo
    for bad in (np.zeros(100, dtype=np.int16), np.full(16_000, np.nan), np.zeros((2, 2, 2))):
        with pytest.raises(UserError, match="floats"):
            strange.predict(bad, rate)
    with pytest.raises(UserError, match="the wave reaches 16384; floats"):
        strange.predict(np.array([0.0, -16384.0]), rate)
    with pytest.raises(UserError, match=r"more channels than samples; .*give wave\.T"):
        strange.predict(wave[None], rate)
    with pytest.raises(UserError, match="the rate is 0; samples per second"):
        strange.predict(wave, 0)


def test_normalised_by_speaker_all_of_whom_is_heard_first(trained, recordings, tmp_path):
    words = [*WORDS, "split.folds=[0]", "trainer.max_steps=2", "study.name=voices", "normalise=speaker"]
    done = commands.run("train", words, tmp_path, tmp_path, SER_OUTPUT=str(trained), WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    loaded = Recognizer.load("voices", output=trained)
    everyone = Ensemble(loaded.ensemble.networks, [1.0], Familiar({}, 0))
    # Longer ones would be cut into windows; as in training the middle is taken of each
    everyone.longest = 99.0
    whole = Recognizer(everyone, loaded.source)
    ids = sorted(recordings)
    speakers = [f"{name[:5]}{name[-4]}" for name in ids]
    outputs = answers(whole, [recordings[name] for name in ids], speakers)
    rows = read_outputs(loaded.source.folders[0]).set_index("id").query("part == 'test'").filter(like="logit_")
    given = {name: several[0] for name, several in zip(ids, outputs, strict=True)}
    for name, logits in rows.iterrows():
        expected = softmax(logits.to_numpy(dtype=float))
        np.testing.assert_allclose(list(given[name].probabilities.values()), expected, atol=1e-4)
    assert not any("of its speaker alone" in answer.note for answer in given.values())
    few = answers(whole, [recordings[name] for name in ids[:4]], ["a", "b", "b", "b"])
    assert few[0][0].label == ""
    assert few[0][0].note == (
        "no other speech of its speaker was given, by which it could be normalised (normalise=speaker)"
    )
    assert {answer.note for (answer,) in few[1:]} == {"normalised by 3 utterances of its speaker alone"}
    unknown = r", \S*".join(recordings[name].name for name in ids[1:3])
    with pytest.raises(UserError, match=rf"who speaks; of \S*{unknown} they do not"):
        answers(whole, [recordings[name] for name in ids[:3]], ["a", "", ""])
    with pytest.raises(UserError, match="who speaks; of the wave they do not"):
        whole.predict(np.zeros(16_000), 16_000)


def test_networks_of_other_classes_do_not_answer_together(recognizer):
    first, second = recognizer.ensemble.networks
    with pytest.raises(UserError, match="have other classes or sample rates"):
        Ensemble([first, replace(second, classes=("a", "b", "c", "d"))], [1.0, 1.0], Familiar({}, 0))


def test_looked_at_together_or_alone_the_answers_are_equal(strange, recordings, monkeypatch):
    files = [recordings[name] for name in sorted(recordings)[:10]]
    together = answers(strange, files)
    monkeypatch.setattr("ser_lightning.inference.ensemble.TOGETHER", 1)
    apart = answers(strange, files)
    for one, other in zip(together, apart, strict=True):
        for left, right in zip(one, other, strict=True):
            assert left.label == right.label
            assert left.probabilities == pytest.approx(right.probabilities, abs=1e-5)
