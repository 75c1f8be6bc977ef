"""The store against frames computed one by one; its normalisation against NumPy; faults while it is built."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile

import ser_lightning.contents
import ser_lightning.files
from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.crashes import CrashWatch
from ser_lightning.errors import UserError
from ser_lightning.features import LogMel, build_store
from ser_lightning.features.audio import read_audio
from ser_lightning.features.sound import measure_corpus
from tests.components.test_code import write

MEL = compose([]).features


@pytest.fixture
def manifest(tmp_path):
    """Five recordings of noise in two classes; the last is longer than 14 s."""
    rng = np.random.default_rng(0)
    lines = ["path,label"]
    for i, seconds in enumerate([0.6, 1.0, 2.5, 0.49, 15.0]):
        soundfile.write(tmp_path / f"{i}.wav", 0.1 * rng.standard_normal(int(16_000 * seconds)), 16_000)
        lines.append(f"{i}.wav,{'ab'[i % 2]}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    config = compose(["corpus=table", f"corpus.root={tmp_path}", "corpus.table=table.csv", "corpus.max_bad_share=0.5"])
    return load_manifest(config.corpus, tmp_path)


def test_frames_are_those_of_each_recording(manifest, tmp_path):
    store = build_store(manifest, MEL, tmp_path / "cache")
    assert store.frames.shape == (store.lengths.sum(), 128)
    assert not store.frames.flags.writeable
    for row in manifest.table.itertuples():
        expected = LogMel()(read_audio(row.path))
        if len(expected) > 1400:
            start = (len(expected) - 1400) // 2
            expected = expected[start : start + 1400]
        np.testing.assert_array_equal(store.of(store.rows[row.id]), expected)
    assert store.lengths.max() == 1400


def test_normalisation_equals_all_frames_at_once(manifest, tmp_path):
    store = build_store(manifest, MEL, tmp_path / "cache")
    rows = [0, 2, 4]
    frames = np.concatenate([store.of(row) for row in rows]).astype(np.float64)
    mean, deviation = store.statistics(rows).pooled()
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-5)


def test_a_store_is_built_once_and_again_when_a_file_changes(manifest, tmp_path):
    build_store(manifest, MEL, tmp_path / "cache")
    (folder,) = (tmp_path / "cache" / "features").glob("table-logmel-*[!k]")
    built = (folder / "frames.npy").stat().st_mtime_ns
    build_store(manifest, MEL, tmp_path / "cache")
    assert (folder / "frames.npy").stat().st_mtime_ns == built
    soundfile.write(tmp_path / "0.wav", 0.1 * np.ones(16_000), 16_000)
    store = build_store(manifest, MEL, tmp_path / "cache")
    assert store.lengths[store.rows["0.wav"]] == 101
    build_store(manifest, MEL.model_copy(update={"max_seconds": 1.0}), tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "features").glob("table-logmel-*[!k]"))) == 3


def test_other_sound_under_equal_names_sizes_and_times_is_another_store(manifest, tmp_path):
    first = build_store(manifest, MEL, tmp_path / "cache")
    file = tmp_path / "1.wav"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    soundfile.write(file, 0.1 * np.random.default_rng(7).standard_normal(16_000), 16_000)
    os.utime(file, ns=times)
    second = build_store(manifest, MEL, tmp_path / "cache")
    assert second.audio != first.audio
    np.testing.assert_array_equal(second.of(second.rows["1.wav"]), LogMel()(read_audio(file)))


def test_equal_recordings_at_other_times_and_in_another_folder_are_the_same_store(manifest, tmp_path):
    soundfile.write(tmp_path / "2.wav", np.zeros(16_000), 16_000)
    first = build_store(manifest, MEL, tmp_path / "cache")
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("cache", "copy"))
    paths = [str(tmp_path / "copy" / name) for name in manifest.table["id"]]
    moved = replace(manifest, table=manifest.table.assign(path=paths))
    second = build_store(moved, MEL, tmp_path / "cache")
    assert second.folder == first.folder
    assert second.problems == {"2.wav": f"{tmp_path}/copy/2.wav: all samples are zero"}


def test_the_name_of_the_sound_is_that_of_the_bytes(manifest, tmp_path):
    """It stands in the signature of every run, and must not change."""
    store = build_store(manifest, MEL, tmp_path / "cache")
    rows = zip(manifest.table["id"], manifest.table["path"], strict=True)
    hashes = [[name, hashlib.sha256(Path(path).read_bytes()).hexdigest()] for name, path in rows]
    text = json.dumps(hashes, separators=(",", ":"))
    assert store.audio == hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", ["frames.npy", "index.npz", "header.json", "seal.json"])
def test_a_damaged_store_is_made_anew(manifest, tmp_path, name):
    first = build_store(manifest, MEL, tmp_path / "cache")
    frames = np.array(first.frames)
    content = bytearray((first.folder / name).read_bytes())
    content[len(content) // 2] ^= 2
    (first.folder / name).write_bytes(content)
    again = build_store(manifest, MEL, tmp_path / "cache")
    assert (again.folder, again.audio) == (first.folder, first.audio)
    np.testing.assert_array_equal(again.frames, frames)


def test_a_cache_that_nobody_can_write_serves_recordings_that_were_touched(manifest, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    first = build_store(manifest, MEL, tmp_path / "cache")
    for file in tmp_path.glob("*.wav"):
        file.touch()
    monkeypatch.setattr(ser_lightning.contents, "write_whole", refuse)
    monkeypatch.setattr(ser_lightning.files, "FileLock", refuse)
    assert build_store(manifest, MEL, tmp_path / "cache").folder == first.folder


def test_a_recording_that_changes_while_it_is_read_is_named(manifest, tmp_path, monkeypatch):
    transform = LogMel.scale

    def change(self, power):
        soundfile.write(tmp_path / "4.wav", 0.1 * np.ones(16_000), 16_000)
        return transform(self, power)

    monkeypatch.setattr(LogMel, "scale", change)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    with pytest.raises(UserError, match=r"the recording of 4\.wav has changed while it was read"):
        build_store(manifest, MEL, tmp_path / "cache")


def test_an_interrupted_build_goes_on_where_it_was(manifest, tmp_path, monkeypatch):
    whole = build_store(manifest, MEL, tmp_path / "whole")
    scale, made = LogMel.scale, []

    def fail_at_the_third(self, power):
        made.append(len(power))
        if len(made) == 3:
            raise KeyboardInterrupt
        return scale(self, power)

    monkeypatch.setattr(LogMel, "scale", fail_at_the_third)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        build_store(manifest, MEL, tmp_path / "cache")
    # Of 0.95 MB two recordings, 0.08, are on the disk, which has room for little more than the others
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=850_000))
    with pytest.raises(UserError, match="takes another 1 MB of disk"):
        build_store(manifest, MEL, tmp_path / "cache")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=900_000))
    store = build_store(manifest, MEL, tmp_path / "cache")
    assert len(made) == 6  # five recordings, of which one was tried twice
    for name in ("frames.npy", "index.npz", "header.json"):
        assert (store.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert {path.suffix for path in (tmp_path / "cache" / "features").iterdir()} == {".lock", ""}


def test_a_disk_that_is_too_small_is_named_before_anything_is_made(manifest, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=900_000))
    # 0.6 + 1 + 2.5 + 0.49 + 14 s of 100 frames of 128 bins of 4 bytes: 0.95 MB
    with pytest.raises(UserError, match=r"takes 1 MB of disk, .* has only 1 MB; paths.output=FOLDER"):
        build_store(manifest, MEL, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache" / "features").iterdir()] == [".lock"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1_000_000))
    assert len(build_store(manifest, MEL, tmp_path / "cache").rows) == 5


def test_a_silent_recording_is_named(manifest, tmp_path):
    soundfile.write(tmp_path / "2.wav", np.zeros(16_000), 16_000)
    store = build_store(manifest, MEL, tmp_path / "cache")
    assert list(store.problems) == ["2.wav"]
    assert "2.wav: all samples are zero" in store.problems["2.wav"]
    assert "2.wav" not in store.rows
    assert len(store.rows) == 4


def test_another_content_of_a_file_that_a_setting_names_is_another_store(manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
from pathlib import Path

class Mine:
    sample_rate, rate, shortest, bins = 16_000, 100, 160, 1
    def __init__(self, *, gain: Path = "gain.txt", more: list[Path] = ()):
        self.gain = float(Path(gain).read_text())
    def __call__(self, wave):
        return self.gain + wave[: len(wave) // 160 * 160 : 160, None]
"""
    write(tmp_path, {"mine.py": code, "conf/features/mine.yaml": "_target_: mine.Mine\nmore: [more.txt]\n"})
    write(tmp_path, {"more.txt": "a", "gain.txt": "1"})
    config = compose(["features=mine", f"paths.output={tmp_path}"])
    first = build_store(manifest, config.features, tmp_path / "cache")
    (tmp_path / "gain.txt").write_text("3")
    second = build_store(manifest, config.features, tmp_path / "cache")
    np.testing.assert_allclose(second.frames, first.frames + 2, rtol=1e-6)
    (tmp_path / "more.txt").write_text("b")
    assert build_store(manifest, config.features, tmp_path / "cache").folder not in (first.folder, second.folder)
    (tmp_path / "gain.txt").write_text("1")
    (tmp_path / "more.txt").write_text("a")
    assert build_store(manifest, config.features, tmp_path / "cache").folder == first.folder


class Blocks:
    """The first sample of every 10 ms."""

    sample_rate, rate, shortest, bins = 16_000, 100, 160, 1

    def __call__(self, wave):
        return wave[: len(wave) // 160 * 160 : 160, None]


class Choosy(Blocks):
    """Nothing of 1 s, a tenth of 2.5 s."""

    def __call__(self, wave):
        frames = super().__call__(wave)
        return frames[: {100: 0, 250: 25}.get(len(frames), 1500)]


class Slow(Blocks):
    """Says that there are ten times as many frames."""

    rate = 1000


class Empty(Blocks):
    def __call__(self, wave):
        return np.zeros((0, 1))


@pytest.fixture
def store_of(manifest, tmp_path, monkeypatch):
    """The store that a front end gives."""

    def build(front_end):
        monkeypatch.setattr(type(MEL), "make", lambda self: front_end())
        return build_store(manifest, MEL, tmp_path / front_end.__name__)

    return build


def test_a_recording_of_which_a_front_end_keeps_nothing_is_named(store_of):
    store = store_of(Choosy)
    assert list(store.rows) == ["0.wav", "2.wav", "3.wav", "4.wav"]
    assert store.lengths.tolist() == [60, 25, 49, 1400]
    (problem,) = store.problems.values()
    assert problem.endswith("1.wav: features=logmel makes no frames of it")


def test_a_front_end_that_keeps_nothing_at_all(manifest, store_of):
    with pytest.raises(UserError, match=r"5 of 5 recordings cannot be used, .*0\.wav: features=logmel makes no frames"):
        manifest.without(store_of(Empty).problems, 0.5)


def test_a_rate_that_no_recording_reaches_is_refused(store_of, tmp_path):
    with pytest.raises(UserError, match=r"far fewer frames than its rate of 1000 means, .*0\.wav 60 where 600 are"):
        store_of(Slow)
    assert [path.suffix for path in (tmp_path / "Slow" / "features").iterdir()] == [".lock"]


def test_a_corpus_that_is_made_of_a_file_is_made_anew_of_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
from pathlib import Path
import numpy as np
import pandas as pd
import soundfile

class Mine:
    def __init__(self, *, levels: Path = "levels.txt"):
        self.levels = levels
    def make(self, folder):
        for name in Path(self.levels).read_text().split():
            soundfile.write(folder / f"{name}.wav", 0.1 * np.ones(16_000), 16_000)
    def load(self, root):
        files = sorted(root.glob("*.wav"))
        names = [file.stem for file in files]
        return pd.DataFrame({"id": names, "path": files, "raw_label": names})
"""
    write(tmp_path, {"mine.py": code, "conf/corpus/mine.yaml": "_target_: mine.Mine\nroot: null\n"})
    write(tmp_path, {"levels.txt": "a b"})
    config = compose(["corpus=mine", f"paths.output={tmp_path}"]).corpus
    assert load_manifest(config, tmp_path).classes == ("a", "b")
    (tmp_path / "levels.txt").write_text("a c")
    assert load_manifest(config, tmp_path).classes == ("a", "c")


def test_every_recording_is_read_under_the_eye_of_a_watcher(manifest, tmp_path, monkeypatch):
    over, names = CrashWatch.over, []

    def record(self, path):
        names.append(Path(path).name)
        return over(self, path)

    monkeypatch.setattr(CrashWatch, "over", record)
    build_store(manifest, MEL, tmp_path / "cache")
    measure_corpus(manifest, tmp_path / "cache")
    assert sorted(names) == [f"{number}.wav" for number in range(5) for _ in range(2)]
