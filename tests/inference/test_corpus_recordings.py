"""Which files `explore` reads, and what it makes of them."""

import base64
import io

import numpy as np
import pytest
import soundfile
import yaml
from scipy.signal import spectrogram as reference

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.inference.corpus_recordings import (
    Recordings,
    decibels,
    find_recordings,
    read_corpus,
    spectrogram,
    wav,
)
from ser_lightning.runs.ledger import CONFIG
from ser_lightning.runs.study import COMMAND
from tests.inference.explored import COUNT, SOUNDS, samples, simulate


@pytest.fixture
def simulation(tmp_path):
    return simulate(tmp_path)


def first_run(simulation):
    return min(folder for folder in simulation.runs.iterdir())


def change_corpus(simulation, **values):
    file = first_run(simulation) / CONFIG
    config = yaml.safe_load(file.read_text())
    config["corpus"] |= values
    file.write_text(yaml.safe_dump(config))


def find(simulation, *roots):
    return find_recordings(
        read_corpus(simulation.study, first_run(simulation), roots), simulation.runs.parent / "cache"
    )


def test_every_utterance_has_its_own_file(simulation, tmp_path):
    recordings = find(simulation)
    for number in range(COUNT):
        name = f"r{number:02d}.{SOUNDS[number % 4][2]}"
        assert recordings.file(f"u{number:02d}") == tmp_path / "corpus" / name


def test_a_corpus_that_was_given_another_name(simulation):
    change_corpus(simulation, name="mine")
    with pytest.raises(UserError, match="the corpus mine is not known here"):
        find(simulation)
    (simulation.study / COMMAND).write_text("python -m ser_lightning.train -m corpus=table corpus.name=mine\n")
    assert len(find(simulation).paths) == COUNT


def test_a_corpus_that_has_moved(simulation, tmp_path):
    (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"mine|there is no folder .*/corpus; corpus.root must name"):
        find(simulation)
    assert find(simulation, str(tmp_path / "elsewhere")).file("u00") == tmp_path / "elsewhere" / "r00.wav"
    with pytest.raises(UserError, match="--root is given 2 times, and table has one folder"):
        find(simulation, "a", "b")


def test_of_corpora_that_are_joined_each_may_have_moved(tmp_path):
    for name, files in (
        ("emodb", [f"03a01{code}a.wav" for code in "WLEAFTN"]),
        ("savee", ["JE_a01.wav", "JE_n01.wav"]),
    ):
        (tmp_path / name).mkdir()
        for file in files:
            soundfile.write(tmp_path / name / file, np.linspace(-0.5, 0.5, 8000), 16_000)
    words = ["corpus.name=two", "corpus.roots={emodb: gone, savee: gone too}"]
    run = tmp_path / "runs" / "0123"
    run.mkdir(parents=True)
    (run / CONFIG).write_text(yaml.safe_dump(compose(["corpus=mixed", *words]).described))
    study = tmp_path / "studies" / "two"
    study.mkdir(parents=True)
    (study / COMMAND).write_text("python -m ser_lightning.train corpus=mixed corpus.name=two\n")
    moved = [f"{name}={tmp_path / name}" for name in ("emodb", "savee")]
    recordings = find_recordings(read_corpus(study, run, moved), tmp_path / "cache")
    assert recordings.file("savee/JE_n01") == tmp_path / "savee" / "JE_n01.wav"
    for wrong in (str(tmp_path), "tess=x", "savee="):
        with pytest.raises(UserError, match="two joins emodb and savee; say which has moved, --root emodb=FOLDER"):
            read_corpus(study, run, [wrong])


def test_a_corpus_of_a_file_that_another_one_is_based_on(tmp_path):
    (tmp_path / "wav").mkdir()
    for code in "WLEAFTN":
        soundfile.write(tmp_path / "wav" / f"03a01{code}a.wav", np.full(8000, 0.1), 16_000)
    simulation = simulate(tmp_path, "emodb_all", tmp_path)
    assert find(simulation).file("03a01La") == tmp_path / "wav" / "03a01La.wav"


def test_a_corpus_of_the_users_own(simulation, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import pandas as pd\n\n\nclass Mine:\n    def load(self, root):\n"
        "        return pd.DataFrame({'id': ['a'], 'path': [str(root / 'r00.wav')], 'raw_label': ['x']})\n"
    )
    (tmp_path / "conf" / "corpus").mkdir(parents=True)
    (tmp_path / "conf" / "corpus" / "mine.yaml").write_text("_target_: mine.Mine\n")
    change_corpus(simulation, name="mine")
    file = first_run(simulation) / CONFIG
    config = yaml.safe_load(file.read_text())
    del config["corpus"]["table"], config["corpus"]["columns"]
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="not known here"):
        find(simulation)
    monkeypatch.chdir(tmp_path)
    assert find(simulation).paths == {"a": str(tmp_path / "corpus" / "r00.wav")}


def test_the_demo_is_read_from_where_it_was_made(small, output):
    config = small()
    run = output / "runs" / "0123"
    run.mkdir(parents=True)
    (run / CONFIG).write_text(yaml.safe_dump(config.described))
    recordings = find_recordings(read_corpus(output / "studies" / "demo", run), output / "cache")
    assert len(recordings.paths) == 120
    assert recordings.file(min(recordings.paths)).is_relative_to(output / "cache" / "corpora")


def test_no_file_outside_the_corpus_is_read(tmp_path):
    root, outside = tmp_path / "corpus", tmp_path / "outside.wav"
    (root / "folder").mkdir(parents=True)
    for file in (root / "inside.wav", outside):
        file.write_bytes(b"sound")
    (root / "link.wav").symlink_to(outside)
    (root / "inner.wav").symlink_to(root / "inside.wav")
    (root / "loop.wav").symlink_to(root / "loop.wav")
    paths = {
        "inside": root / "inside.wav",
        "inner link": root / "inner.wav",
        "link": root / "link.wav",
        "dots": root / "folder" / ".." / ".." / "outside.wav",
        "absolute": outside,
        "beside": tmp_path / "corpus2",
        "absent": root / "absent.wav",
        "loop": root / "loop.wav",
        "folder": root / "folder",
    }
    (tmp_path / "corpus2").write_bytes(b"its name begins alike")
    recordings = Recordings({name: str(path) for name, path in paths.items()}, [root])
    assert {recordings.file(name) for name in ("inside", "inner link")} == {root / "inside.wav"}
    for name in ("link", "dots", "absolute", "beside"):
        with pytest.raises(UserError, match=f"lies outside the corpus's folder, {root}"):
            recordings.file(name)
    for name in ("absent", "loop"):
        with pytest.raises(UserError, match="is not there"):
            recordings.file(name)
    with pytest.raises(UserError, match="is not a regular file"):
        recordings.file("folder")
    with pytest.raises(UserError, match="unknown is not in the corpus as it is now"):
        recordings.file("unknown")


@pytest.mark.parametrize("number", range(4))
def test_a_recording_is_served_as_it_is(simulation, number):
    file = find(simulation).file(f"u{number:02d}")
    rate, channels, _ = SOUNDS[number]
    served, served_rate = soundfile.read(io.BytesIO(wav(file)), always_2d=True)
    original, _ = soundfile.read(file, always_2d=True)
    assert (served.shape, served_rate) == ((samples(number), channels), rate)
    assert np.abs(served - original).max() <= 2**-15


def test_what_is_louder_than_full_scale_is_cut_and_does_not_wrap(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.array([0.5, 1.5, -1.5]), 16_000, subtype="FLOAT")
    served, _ = soundfile.read(io.BytesIO(wav(tmp_path / "loud.wav")))
    np.testing.assert_allclose(served, [0.5, 1, -1], atol=2**-15)


def test_what_is_no_sound_is_told(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    for read in (wav, spectrogram):
        with pytest.raises(UserError, match=r"a\.wav: not readable as audio"):
            read(tmp_path / "a.wav")


def test_decibels_are_scipys():
    time = np.arange(8000) / 16_000
    wave = np.sin(2 * np.pi * 1000 * time) * time + 1e-3 * np.random.default_rng(0).normal(size=8000)
    power = reference(wave, window=np.hamming(640), noverlap=480, detrend=False, mode="magnitude")[2].T ** 2
    level = np.maximum(10 * np.log10(power / power.max()), -80)
    shown = decibels(wave)
    assert shown.shape == (1 + (8000 - 640) // 160, 321)
    assert np.abs(shown / 255 * 80 - 80 - level).max() <= 0.5 * 80 / 255 + 1e-6
    # 1 kHz is bin 40 of 25 Hz
    assert set(shown.argmax(axis=1)) == {40}


def test_long_and_short_waves_make_a_picture():
    wave = np.random.default_rng(0).normal(size=16_000 * 60)
    assert len(decibels(wave)) == 2000 - 1
    assert decibels(wave[:100]).shape == (1, 321)
    assert (decibels(np.zeros(700)) == 0).all()


def test_a_spectrogram_is_sent_frame_by_frame(simulation):
    file = find(simulation).file("u03")
    sent = spectrogram(file)
    assert sent["seconds"] == pytest.approx(samples(3) / 8000)
    values = np.frombuffer(base64.b64decode(sent["values"]), np.uint8).reshape(sent["frames"], sent["bins"])
    # 8 kHz recordings have nothing above 4 kHz, of whose bins 160 is the first
    assert values[:, 10:150].mean() > values[:, 170:].max() + 50
