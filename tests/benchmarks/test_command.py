"""The command of the benchmark: what it prints of numbers, and each part on little."""

import json
import subprocess
import sys

import pytest

from benchmarks import corpus
from benchmarks.__main__ import main, show
from benchmarks.frozen import measure_frozen
from benchmarks.gpu import measure_side_by_side
from benchmarks.losses import measure_losses
from benchmarks.share import measure_run
from benchmarks.training import measure_training
from ser_lightning.config import compose
from tests.conftest import TOP


def test_what_misses_its_bar_is_said(capsys):
    show({"training": {"against_plain": 9.9, "padding": 0.05}, "gpu": {}})
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "9.9 (missed)" in lines["against the plain implementation"]
    assert "missed" not in lines["padding, of the frames convolved"]
    assert "not measured" in lines["all 275 runs on this GPU"]


def test_an_unknown_part_is_refused():
    said = subprocess.run([sys.executable, "-m", "benchmarks", "sped"], capture_output=True, text=True)
    assert said.returncode == 2
    assert "there is no sped; choose of training, losses, frozen, run, features, starts, growth, gpu" in said.stderr


def test_a_part_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "gpu", "--output", str(tmp_path)])
    main()
    measured = json.loads((tmp_path / "bench" / "bench.json").read_text())
    assert measured["gpu"] == {} or measured["gpu"]["hours_of_275_runs"] > 0


@pytest.fixture
def short_noise(monkeypatch):
    """Noise of a tenth of IEMOCAP's lengths, beside what the network needs at least."""
    monkeypatch.setattr(corpus, "FRAMES", tuple(50 + frames // 10 for frames in corpus.FRAMES))


@pytest.fixture
def small_noise(short_noise, monkeypatch):
    """A fiftieth of IEMOCAP in place of all of it, a smaller matrix, and no shape prepared beforehand."""
    import benchmarks.training as training

    monkeypatch.setattr(training, "MATRIX", 256)
    monkeypatch.setattr(training, "all_shapes", lambda bins: [])
    whole = training.plan
    monkeypatch.setattr(training, "plan", lambda *of: whole(*of, times=0.02))


def test_every_loss_is_measured_beside_centre_loss(tmp_path, short_noise, monkeypatch):
    import benchmarks.losses as losses

    whole = losses.plan
    monkeypatch.setattr(losses, "plan", lambda *given: whole(*given, times=0.02))
    measured = measure_losses(tmp_path, blocks=1, steps=1)
    shipped = {file.stem for file in (TOP / "conf" / "loss").glob("*.yaml")}
    assert measured["times"].keys() == {*shipped, "head=cosine", "softmax"}
    assert measured["times"]["center"] == 1
    assert measured["slowest"] == measured["times"][measured["slowest_loss"]] >= 1


def test_steps_on_frozen_frames_beside_the_papers(tmp_path, short_noise):
    measured = measure_frozen(tmp_path, blocks=1, steps=1, times=0.02)
    for name in ("statistics", "attentive"):
        assert measured[f"{name}_faster"] == pytest.approx(measured["crnn_step_ms"] / measured[f"{name}_step_ms"])
    frames = corpus.frozen_store(tmp_path / "cache", 0.02)
    assert (frames.bins, frames.frames.dtype) == (384, "float16")
    assert (frames.lengths == corpus.store(tmp_path / "cache", compose([]).features, 0.02).lengths // 2).all()


def test_ratios_are_of_the_numbers_beside_them(tmp_path, small_noise):
    measured = measure_training(tmp_path, blocks=2, steps=2, plain=1)
    ours, plain = measured["utterances_per_second"], measured["plain_utterances_per_second"]
    assert measured["against_plain"] == pytest.approx(ours / plain)
    assert 0 < measured["share_of_matmul"] < 1.5
    assert 0 <= measured["padding"] < 0.5


def test_shares_of_a_run_add_up(tmp_path, short_noise):
    measured = measure_run(tmp_path, times=0.02, epochs=1)
    shares = [value for name, value in measured.items() if name.startswith("share_of_") and "all_but" not in name]
    assert sum(shares) == pytest.approx(1)
    assert measured["share_of_all_but_training"] == pytest.approx(1 - measured["share_of_training"])


def test_processes_side_by_side(tmp_path, short_noise):
    """Also where there is no GPU the code runs, on the CPU, of which one process has enough."""
    # The process finds it in the cache
    corpus.plan(tmp_path, "features=logmel", times=0.02)
    row = measure_side_by_side(tmp_path, "logmel", workers=1, epochs=2, times=0.02, accelerator="cpu")
    run = row["step_ms"] / 1000 * 3520 + row["once_seconds"]
    assert row["runs_per_hour"] == pytest.approx(3600 / run)
