import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict

from ser_lightning.corpora.demo_speech import (
    HIGHEST,
    LOWEST,
    SHARES,
    VOICES,
    class_counts,
    draw_prosody,
    plan,
    synthesise,
    tilt,
)
from ser_lightning.errors import UserError

UTTERANCES = 160


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The table of a corpus at the default difficulty, with each recording's samples."""
    folder = tmp_path_factory.mktemp("demo")
    synthesise(folder, UTTERANCES, seed=0, overlap=1.0)
    table = pd.read_csv(folder / "table.csv", dtype=str, keep_default_na=False)
    table["wave"] = [soundfile.read(folder / path, dtype="int16")[0] for path in table["path"]]
    table["folder"] = str(folder)
    return table


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def order_probability(higher: pd.Series, lower: pd.Series) -> float:
    """The share of pairs in which the value of `higher` exceeds that of `lower`: 0.5 no difference, 1 no overlap."""
    return float(np.mean(higher.to_numpy()[:, None] > lower.to_numpy()[None, :]))


@pytest.fixture(scope="module")
def seed_three(tmp_path_factory):
    """The files of a corpus of 20 utterances."""
    folder = tmp_path_factory.mktemp("seed_three")
    synthesise(folder, 20, seed=3, overlap=1.0)
    return contents(folder)


def test_equal_arguments_give_equal_bytes_in_one_process_and_in_a_fresh_one(seed_three, tmp_path):
    synthesise(tmp_path / "again", 20, seed=3, overlap=1.0)
    command = "import sys, pathlib; from ser_lightning.corpora.demo_speech import synthesise as s;"
    command += "s(pathlib.Path(sys.argv[1]), 20, 3, 1.0)"
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "fresh")], check=True)
    assert len(seed_three) == 21
    assert contents(tmp_path / "again") == seed_three
    assert contents(tmp_path / "fresh") == seed_three


def test_another_seed_gives_another_corpus(seed_three, tmp_path):
    synthesise(tmp_path, 20, seed=4, overlap=1.0)
    other = contents(tmp_path)
    shared = set(seed_three) & set(other)
    assert len(shared) > 1
    assert all(seed_three[name] != other[name] for name in shared)


def test_overlap_changes_the_prosody_and_nothing_else():
    narrow, wide = plan(300, seed=0, overlap=0.5), plan(300, seed=0, overlap=2.0)
    assert [utterance.row for utterance in narrow] == [utterance.row for utterance in wide]
    spread = [np.std([u.prosody for u in planned if u.label == "neu"], axis=0) for planned in (narrow, wide)]
    assert np.all(spread[1] > 2 * spread[0])


def test_a_relative_folder_is_written_where_the_caller_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthesise(Path("new/corpus"), 4, seed=0, overlap=1.0)
    assert len(list((tmp_path / "new/corpus/wav").glob("*.wav"))) == 4


@pytest.mark.parametrize("utterances, counts", [(5531, [1708, 1103, 1636, 1084]), (600, [185, 120, 177, 118])])
def test_classes_have_the_shares_of_iemocap(utterances, counts):
    assert class_counts(utterances) == counts
    labels = [utterance.label for utterance in plan(utterances, seed=0, overlap=1.0)]
    assert [labels.count(name) for name in SHARES] == counts


@pytest.mark.parametrize("utterances", range(1, 40))
def test_class_counts_are_the_shares_to_less_than_one_utterance(utterances):
    counts = class_counts(utterances)
    assert sum(counts) == utterances
    assert np.all(np.abs(np.array(counts) - utterances * np.array(list(SHARES.values())) / 5531) < 1)


def test_ten_speakers_in_five_sessions_each_with_a_fair_share_of_every_class(corpus):
    assert set(corpus["speaker"]) == {f"{session}{gender}" for session in "12345" for gender in "FM"}
    assert (corpus["speaker"] == corpus["session"] + corpus["gender"]).all()
    table = pd.crosstab(corpus["speaker"], corpus["label"])
    assert (table.max() - table.min()).max() <= 1


def test_half_of_every_class_is_scripted(corpus):
    table = pd.crosstab(corpus["label"], corpus["kind"], normalize="index")
    assert sorted(table.columns) == ["improvised", "scripted"]
    assert table["scripted"].between(0.45, 0.55).all()


def test_sessions_share_the_scripts():
    planned = pd.DataFrame([vars(utterance) for utterance in plan(600, seed=0, overlap=1.0)])
    scripted = planned[planned["kind"] == "scripted"]
    sessions = scripted["speaker"].str[0].groupby(scripted["text_id"]).nunique()
    assert len(sessions) == 24
    assert sessions.min() >= 3


def test_a_dialogue_belongs_to_one_session_and_one_kind(corpus):
    assert (corpus.groupby("dialogue")["session"].nunique() == 1).all()
    assert corpus["dialogue"].str.fullmatch(r"Ses0[1-5]_(scripted|impro)\d\d").all()
    assert (corpus["dialogue"].str.contains("scripted") == (corpus["kind"] == "scripted")).all()


def test_ids_are_unique_and_name_dialogue_and_gender(corpus):
    assert corpus["id"].is_unique
    assert corpus["id"].is_monotonic_increasing
    turns = corpus["dialogue"] + "_" + corpus["gender"]
    assert (corpus["id"].str[:-3] == turns).all()
    assert (corpus["path"] == "wav/" + corpus["id"] + ".wav").all()


def test_a_text_id_stands_for_one_text(corpus):
    assert (corpus.groupby("text_id")["text"].nunique() == 1).all()
    assert (corpus.groupby("text")["text_id"].nunique() == 1).all()


def test_text_and_dialogue_do_not_give_the_class_away():
    from scipy.stats import chi2_contingency

    planned = pd.DataFrame([vars(utterance) for utterance in plan(6000, seed=0, overlap=1.0)])
    for column in ("text_id", "dialogue", "speaker", "kind"):
        assert chi2_contingency(pd.crosstab(planned[column], planned["label"])).pvalue > 0.01


def test_recordings_are_16_khz_mono_pcm_of_varied_length(corpus):
    for folder, path in zip(corpus["folder"], corpus["path"], strict=True):
        info = soundfile.info(Path(folder) / path)
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "WAV")
    seconds = corpus["wave"].map(len) / 16_000
    assert seconds.between(0.6, 6.0).all()
    assert 1.4 < seconds.mean() < 2.0
    assert seconds.mean() > 1.1 * seconds.median()
    assert seconds.quantile(0.95) > 3
    assert seconds.quantile(0.05) < 0.9


def test_even_the_extremes_of_prosody_keep_within_length_and_full_scale(tmp_path):
    synthesise(tmp_path, 60, seed=0, overlap=20.0)
    for file in (tmp_path / "wav").iterdir():
        wave, rate = soundfile.read(file, dtype="int16")
        assert 0.6 <= len(wave) / rate <= 6.0
        assert np.abs(wave.astype(int)).max() < 32_000


def test_no_recording_clips_or_falls_silent(corpus):
    for wave in corpus["wave"]:
        assert np.abs(wave.astype(int)).max() < 32_000
        blocks = wave[: len(wave) // 160 * 160].reshape(-1, 160)
        assert np.all(blocks.std(axis=1) > 1)


def test_background_noise_does_not_depend_on_the_class(corpus):
    floor = corpus["wave"].map(lambda wave: np.log10(wave[:400].std()))
    levels = floor.groupby(corpus["label"]).median()
    assert levels.max() - levels.min() < 0.15
    assert floor.std() > 0.1


def test_a_tilt_is_so_many_db_per_octave_and_as_loud():
    noise = np.random.default_rng(0).standard_normal(2**16).astype(np.float32)
    tilted = tilt(noise, 3.0)
    assert np.square(tilted).mean() == pytest.approx(np.square(noise).mean(), rel=1e-5)
    power = [np.abs(np.fft.rfft(wave)) ** 2 for wave in (noise, tilted)]
    gain = 10 * np.log10(power[1] / power[0])
    frequency = np.fft.rfftfreq(2**16, 1 / 16_000)
    place = [int(np.argmin(np.abs(frequency - one))) for one in (50, 100, 1000, 2000, 4000)]
    assert np.diff(gain[place]) == pytest.approx([0, 3 * np.log2(10), 3, 3], abs=1e-2)


def test_brightness_differs_between_classes_and_overlaps(corpus):
    slope = corpus["wave"].map(spectral_slope)
    relative = slope - slope.groupby(corpus["speaker"]).transform("median")
    by_class = {name: relative[corpus["label"] == name] for name in SHARES}
    assert by_class["ang"].median() > by_class["neu"].median() + 2 > by_class["sad"].median() + 4
    assert 0.8 < order_probability(by_class["ang"], by_class["neu"]) < 1
    assert 0.6 < order_probability(by_class["ang"], by_class["hap"]) < 1


def spectral_slope(wave):
    """dB per octave from 200 Hz to 6 kHz."""
    power = np.abs(np.fft.rfft(wave.astype(float))) ** 2
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(wave), 1 / 16_000), 1))
    bands = [(octave > low) & (octave <= low + 1) for low in np.log2([200, 400, 800, 1600, 3200])]
    return np.polyfit(range(5), [10 * np.log10(power[band].mean()) for band in bands], 1)[0]


def test_length_silence_and_level_tell_nothing_of_the_class(corpus):
    cues = pd.DataFrame([measure(wave.astype(float) / 32768) for wave in corpus["wave"]])
    forest = RandomForestClassifier(200, min_samples_leaf=2, class_weight="balanced", random_state=0)
    predictions = cross_val_predict(forest, cues, corpus["label"], cv=5)
    # Chance is a quarter, and its standard error over 160 utterances 0.035
    assert balanced_accuracy_score(corpus["label"], predictions) < 0.25 + 3 * 0.035


def measure(wave):
    """Length, silence before and behind, peak and level, as the audit's forest knows them."""
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    return [len(wave), loud[0], len(wave) - loud[-1], np.abs(wave).max(), 10 * np.log10(np.square(wave).mean())]


def test_pitch_differs_between_classes_and_overlaps(corpus):
    pitch = corpus["wave"].map(median_pitch)
    by_gender = pitch.groupby(corpus["gender"]).median()
    assert by_gender["F"] > 1.5 * by_gender["M"]
    relative = np.log2(pitch / pitch.groupby(corpus["speaker"]).transform("median"))
    by_class = {name: relative[corpus["label"] == name] for name in SHARES}
    assert by_class["hap"].median() > by_class["neu"].median() > by_class["sad"].median()
    assert by_class["ang"].median() > by_class["sad"].median() + 0.15
    assert 0.7 < order_probability(by_class["hap"], by_class["neu"]) < 0.99
    assert 0.6 < order_probability(by_class["neu"], by_class["sad"]) < 0.97


def median_pitch(wave: np.ndarray) -> float:
    """Hz, over the louder frames."""
    import librosa

    sound = wave / 32768
    pitch = librosa.yin(sound, fmin=55, fmax=450, sr=16_000, frame_length=1024, hop_length=1024)
    level = librosa.feature.rms(y=sound, frame_length=1024, hop_length=1024)[0]
    return float(np.median(pitch[level > 0.3 * level.max()]))


def ideal_listener(overlap: float) -> float:
    """Unweighted accuracy of the best decision from the measures of prosody alone."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.metrics import recall_score

    labels = np.repeat(list(SHARES), 5000)
    known, heard = (draw_prosody(labels, overlap, np.random.default_rng(seed)) for seed in (0, 1))
    listener = QuadraticDiscriminantAnalysis(priors=[0.25] * 4).fit(known, labels)
    return float(recall_score(labels, listener.predict(heard), average="macro"))


def test_difficulty_follows_overlap():
    assert 0.80 < ideal_listener(1.0) < 0.85
    assert ideal_listener(0.5) > 0.95
    assert ideal_listener(2.0) < 0.65


def test_prosody_keeps_to_its_bounds():
    prosody = draw_prosody(["ang", "sad"] * 500, 50.0, np.random.default_rng(0), [5.0] * 1000)
    assert np.array_equal(prosody.min(axis=0), LOWEST)
    assert np.array_equal(prosody.max(axis=0), HIGHEST)


def test_speakers_have_voices_of_their_own():
    assert len(set(VOICES.values())) == 10


BROKEN = {
    "missing": "raise ImportError('there is none')",
    "no library": "get_data_path = get_library_path = lambda: __file__",
    "no voices": "import pathlib\nget_data_path = lambda: str(pathlib.Path(__file__).parent)\n"
    "get_library_path = lambda: {library!r}",
}


@pytest.mark.parametrize("how", BROKEN)
def test_without_espeak_the_error_says_what_to_install(how, tmp_path, monkeypatch):
    import espeakng_loader

    stand_in = BROKEN[how].format(library=espeakng_loader.get_library_path())
    (tmp_path / "espeakng_loader.py").write_text(stand_in)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(UserError, match=r"espeak-ng.*pip install .*espeakng-loader"):
        synthesise(tmp_path / "corpus", 4, seed=0, overlap=1.0)
    assert not (tmp_path / "corpus").exists()


def test_importing_the_module_loads_neither_torch_nor_librosa():
    command = "import sys, ser_lightning.corpora.demo_speech; print({'torch', 'librosa'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"
