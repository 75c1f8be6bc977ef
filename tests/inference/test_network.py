"""A run's network answers as it did when it was tested, without what trained it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError, read_audio
from ser_lightning.inference.network import load_network
from ser_lightning.runs.ledger import BEST, read_features, read_outputs
from ser_lightning.runs.study import read_jobs
from ser_lightning.training.checkpoint import read_checkpoint, write_checkpoint
from tests import commands
from tests.inference.trained import WORDS


def answers(
    folder: Path, recordings: dict[str, Path], part: str = "test"
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The ledger's rows of a part, and z and logits of its recordings, by the network of the run."""
    network = load_network(folder)
    rows = read_outputs(folder).query("part == @part")
    frames = [
        network.normalised(network.frames(read_audio(recordings[name], network.sample_rate))) for name in rows["id"]
    ]
    z, logits = network.answer(frames)
    return rows, z.numpy(), logits.numpy()


def runs(study: Path) -> list[Path]:
    return [study.parent.parent / "runs" / run for job in read_jobs(study) for run in job.runs]


def test_it_gives_the_ledgers_logits_and_z(study, recordings):
    for folder in runs(study):
        rows, z, logits = answers(folder, recordings)
        ledger = rows.filter(like="logit_")
        assert [name.removeprefix("logit_") for name in ledger.columns] == list(load_network(folder).classes)
        np.testing.assert_allclose(logits, ledger.to_numpy(), atol=1e-5)
        stored = read_features(folder).set_index("id").loc[rows["id"]].filter(regex=r"^z_\d").to_numpy()
        np.testing.assert_allclose(z, stored, atol=1e-5)


@pytest.mark.parametrize(
    "words, tolerance",
    [
        # Convolutions in bfloat16 depend on what shares their batch, by its last bit and more
        (["trainer.precision=bf16"], 0.05),
        (["normalise=utterance", "normalise.deviation=true", "features=logstft"], 1e-5),
        (["normalise=level", "model=attentive", "head=cosine", "features=lld"], 1e-5),
        (["model=none", "head=svm", "features=functionals"], 1e-5),
        (["loss=triplet", "loss.lam=1", "loss.softmax=0", "head=means", "model=gru"], 1e-4),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_whatever_its_parts_and_precision(trained, recordings, tmp_path, words, tolerance):
    words = [*WORDS, "split.folds=[0]", "trainer.max_steps=2", f"study.name={tmp_path.name}", *words]
    done = commands.run("train", words, tmp_path, tmp_path, SER_OUTPUT=str(trained), WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    (folder,) = runs(trained / "studies" / tmp_path.name)
    rows, _, logits = answers(folder, recordings)
    np.testing.assert_allclose(logits, rows.filter(like="logit_").to_numpy(), atol=tolerance)


def test_a_run_of_an_earlier_version_that_names_no_classes_of_its_parts(study, recordings, tmp_path):
    folder = runs(study)[0]
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    content = read_checkpoint(copy / BEST)
    del content["recognizer"]["targets"]
    write_checkpoint(content, copy / BEST)
    np.testing.assert_array_equal(answers(copy, recordings)[2], answers(folder, recordings)[2])


def test_too_short_a_recording_says_so(study):
    network = load_network(runs(study)[0])
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    with pytest.raises(BadRecordingError, match=r"too short: its 0\.47 s have 48 frames, and the network needs 49"):
        network.frames(noise[:7_600])
    # 48 hops of 160 samples make 49 frames
    assert network.frames(noise[:7_680]).shape == (49, 128)
    with pytest.raises(BadRecordingError, match="400 samples are fewer than the 513 of a frame"):
        network.frames(noise[:400])


def test_of_longer_ones_the_middle_is_taken_as_in_training(study):
    network = load_network(runs(study)[0])
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * 16_000).astype(np.float32)
    assert network.max_seconds == 3
    assert network.frames(noise).shape == (300, 128)


def test_an_answer_does_not_depend_on_the_batch(study):
    network = load_network(runs(study)[0])
    rng = np.random.default_rng(0)
    frames = [network.normalised(network.frames(rng.normal(0, 0.1, n).astype(np.float32))) for n in (8_000, 20_000)]
    together, alone = network.answer(frames)[1], torch.cat([network.answer([one])[1] for one in frames])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_what_is_no_finished_run_is_refused_in_one_line(study, tmp_path):
    folder = runs(study)[0]
    with pytest.raises(UserError, match="is no finished run"):
        load_network(tmp_path)
    other = tmp_path / folder.name
    shutil.copytree(folder, other)
    shutil.copy(runs(study)[1] / BEST, other / BEST)
    with pytest.raises(UserError, match="is of another run"):
        load_network(other)


def test_weights_of_other_shapes_are_refused_in_one_line(study, tmp_path):
    folder = runs(study)[0]
    other = tmp_path / folder.name
    shutil.copytree(folder, other)
    content = read_checkpoint(other / BEST)
    content["state_dict"]["head.weight"] = torch.zeros(2, 64)
    write_checkpoint(content, other / BEST)
    with pytest.raises(UserError, match="does not fit the parts that its run names") as refusal:
        load_network(other)
    assert "\n" not in str(refusal.value)


def test_a_front_end_whose_files_are_other_ones_by_now_is_refused(study, tmp_path):
    """Such as a pretrained network's weights, under which a trained head would answer anything."""
    folder = runs(study)[0]
    other = tmp_path / folder.name
    shutil.copytree(folder, other)
    content = read_checkpoint(other / BEST)
    assert load_network(other).signature == folder.name
    content["recognizer"]["content"] = "0123456789ab"
    write_checkpoint(content, other / BEST)
    with pytest.raises(UserError, match="was trained on frames of other files than those that are now at"):
        load_network(other)
    # A run of an earlier version does not say
    del content["recognizer"]["content"]
    write_checkpoint(content, other / BEST)
    assert load_network(other).signature == folder.name


HOSTILE = """
from pathlib import Path
Path("imported").touch()
from torch import nn

class Mine(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.linear = nn.Linear(features, classes)
    def forward(self, z):
        return self.linear(z)
"""


def test_code_that_comes_with_a_run_is_imported_only_if_trusted(trained, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(HOSTILE)
    (tmp_path / "conf" / "head").mkdir(parents=True)
    (tmp_path / "conf" / "head" / "mine.yaml").write_text("_target_: mine.Mine\n")
    words = [*WORDS, "split.folds=[0]", "trainer.max_steps=2", "study.name=own", "head=mine"]
    done = commands.run("train", words, tmp_path, tmp_path, SER_OUTPUT=str(trained), WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    (folder,) = runs(trained / "studies" / "own")
    # What answers is the copy in the run
    (tmp_path / "mine.py").unlink()
    (tmp_path / "imported").unlink()
    with pytest.raises(UserError, match=r"head=mine is the class mine\.Mine, code that comes with the run"):
        load_network(folder)
    assert not (tmp_path / "imported").exists()
    assert load_network(folder, trust=True).classes
    assert (tmp_path / "imported").exists()


def test_nothing_is_imported_that_takes_longer_than_an_answer(study):
    code = (
        "import sys, json, numpy as np; from pathlib import Path\n"
        "from ser_lightning.inference.network import load_network\n"
        "from ser_lightning.inference.sources import find_source\n"
        f"source = find_source({str(study)!r}, Path('outputs'))\n"
        "network = load_network(source.folders[0])\n"
        "frames = network.frames(np.random.default_rng(0).normal(0, .1, 16000).astype('float32'))\n"
        "network.answer([network.normalised(frames)])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = json.loads(printed)
    assert "torch" in loaded
    assert not {"lightning", "hydra", "omegaconf", "pandas", "scipy", "sklearn", "wandb", "matplotlib"} & {*loaded}
