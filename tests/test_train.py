"""`train` as a user types it: one configuration, the sweep of nine jobs, and what is refused."""

import json
import re
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.conftest import SMALL

SWEEP = ["-m", "loss.alpha=0.1,0.3,0.5", "loss.lam=0,0.5,1"]
QUICK = [word for word in SMALL if word != "logger=csv"]


def runs_in(output):
    return {folder.name for folder in (output / "runs").iterdir() if (folder / "result.json").exists()}


def test_the_sweep_of_nine_jobs(run_module, output):
    """Nine jobs, seven trainings and rows: with lambda 0 alpha plays no part. W&B is the default, without account."""
    (output / "runs").mkdir(exist_ok=True)
    before, wandb_before = runs_in(output), set(output.glob("wandb/offline-run-*"))
    studies_before = set(output.glob("studies/*"))

    def assert_counts():
        assert len(runs_in(output) - before) == 7
        tracked = [folder.name for folder in set(output.glob("wandb/offline-run-*")) - wandb_before]
        assert len(tracked) == 8
        assert sum("-report-" in name for name in tracked) == 1

    first = run_module("train", *SWEEP, *QUICK, "seed=77")
    assert first.returncode == 0, first.stderr
    assert_counts()
    assert "wandb sync" in first.stdout
    (study,) = set(output.glob("studies/*")) - studies_before
    assert study.name.startswith("batching.size-4_corpus.utterances-120_features.max_seconds-")
    table = pd.read_csv(study / "tables" / "scores.csv")
    assert table["name"].tolist()[0] == "loss.lam=0"
    assert table["lam"].tolist() == [0, 0.5, 1, 0.5, 1, 0.5, 1]
    assert table["alpha"].tolist()[1:] == [0.1, 0.1, 0.3, 0.3, 0.5, 0.5]
    picture = (study / "figures" / "sweep.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert "synthetic demo" in (study / "report.html").read_text()
    command = (study / "command.txt").read_text().strip()
    assert command.startswith("python -m ser_lightning.train -m ")
    assert all(word in command for word in SWEEP[1:])
    jobs = [json.loads(path.read_text()) for path in study.glob("jobs/*/job.json")]
    assert len([run for job in jobs for run in job["runs"]]) == 7
    assert all((output / "runs" / run / "result.json").exists() for job in jobs for run in job["runs"])

    assert "alpha 0.5 lambda" not in first.stdout
    assert "lambda 0.5 alpha 0.3 fold 0" in first.stdout

    again = run_module("train", *SWEEP, *QUICK, "seed=77")
    assert again.returncode == 0, again.stderr
    assert_counts()
    assert "1 of 1 runs are finished already" in again.stdout


def test_a_second_sweep_of_the_same_name_adds_to_the_first(run_module, output):
    """Hydra numbers the second sweep's jobs from 0 again; they are recorded where their settings are."""
    study = output / "studies" / "grown"
    for lams in ("0,1", "1,2"):
        done = run_module("train", "-m", f"loss.lam={lams}", "study.name=grown", *SMALL, "seed=78")
        assert done.returncode == 0, done.stderr
    jobs = [json.loads((study / "jobs" / str(number) / "job.json").read_text()) for number in range(3)]
    assert [job["settings"]["loss"]["lam"] for job in jobs] == [0, 1, 2]
    results = [json.loads((output / "runs" / run / "result.json").read_text()) for job in jobs for run in job["runs"]]
    assert [result["settings"]["loss"]["lam"] for result in results] == [0, 1, 2]
    assert pd.read_csv(study / "tables" / "scores.csv")["lam"].tolist() == [0, 1, 2]
    purpose = {"baseline": ["loss.lam=0"], "paper": "icassp2019", "level_margin": 3, "effect_margin": 1.5}
    assert json.loads((study / "study.json").read_text()).items() >= purpose.items()
    commands = (study / "command.txt").read_text().splitlines()
    assert [command.split()[4] for command in commands] == ["loss.lam=0,1", "loss.lam=1,2"]
    other = run_module("train", "loss.lam=3", "study.name=grown", *SMALL, "seed=78", "split=speaker")
    assert other.returncode == 1
    assert "the study grown has runs on demo under the paper protocol" in other.stderr


def test_one_configuration_ends_with_its_mean_over_folds(run_module, output):
    before = set(output.glob("studies/*"))
    done = run_module("train", *SMALL, "split.folds=[0,1]", "seed=79")
    assert done.returncode == 0, done.stderr
    (study,) = set(output.glob("studies/*")) - before
    (job,) = [json.loads(path.read_text()) for path in study.glob("jobs/*/job.json")]
    results = [json.loads((output / "runs" / run / "result.json").read_text()) for run in job["runs"]]
    assert [result["fold"] for result in results] == [0, 1]
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    shown = [float(number) for line in rows for number in re.findall(r"\d+\.\d\d", line)]
    mean = 50 * sum(result["scores"]["test"]["ua"] for result in results)
    assert any(abs(number - mean) < 0.00501 for number in shown)
    assert "synthetic demo" in done.stdout
    assert "2 folds x 1 repetition" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loss.lamda=0.5"], "loss.lamda is not a setting; did you mean loss.lam?"),
        (["corpus=emodb", "corpus.root=/nowhere"], "there is no folder /nowhere"),
        (["corpus=emodb"], "corpus.root is not set"),
        (["corpus.root=/nowhere"], "corpus.root=/nowhere: the demo corpus is made, not read, and has no folder"),
        (["corpus=iemodb"], "there is no corpus=iemodb; choose one of audformat, cremad, cremad_all, demo,"),
        (["readout=null"], "readout=null: choose one of centers, elm, svm, svm_rbf; readout=[] is none"),
        (["split.groups=3"], "split.groups is not a setting of the split that was chosen"),
        (["corpus=savee", "corpus.classes={joy: [happiness]}"], "corpus.classes={...} changes classes of the corpus"),
        (["split.folds=[7]"], "split.folds=7: the paper protocol has the folds 0 to 4 here; split.folds=null"),
        (["corpus=emodb", "corpus.root=/a (b)"], "corpus.root=/a (b) cannot be read; quote a value"),
        (["loss.alpha=1.5"], "loss.alpha=1.5: must be at most 1"),
        (["corpus=table", "corpus.root=.", "corpus.table=t.csv"], "there is no table"),
        (["hydra/launcher=joblib"], "hydra/launcher is for sweeps: python -m ser_lightning.train -m"),
    ],
)
def test_what_is_refused_is_said_in_one_line(run_module, arguments, message):
    failed = run_module("train", "logger=csv", *arguments)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    (line,) = failed.stderr.strip().splitlines()
    assert line.startswith("ser_lightning: ")
    assert message in line


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_a_launcher_that_is_not_installed_is_one_line(run_module):
    failed = run_module("train", "-m", "hydra/launcher=ray", "loss.lam=0,1")
    assert failed.returncode == 1
    (line,) = failed.stderr.strip().splitlines()
    assert line.startswith("ser_lightning: hydra/launcher=ray: Ray is not installed here; `make ray`")


@pytest.fixture
def recordings(tmp_path):
    """A corpus of 120 recordings of noise in two classes, as a table."""
    rng = np.random.default_rng(0)
    lines = ["path,label"]
    for i in range(120):
        level = 0.2 if i % 2 else 0.02
        soundfile.write(tmp_path / f"{i:03d}.wav", level * rng.standard_normal(9_600), 16_000)
        lines.append(f"{i:03d}.wav,{'loud' if i % 2 else 'quiet'}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path


TABLE = ["corpus=table", "corpus.root=.", "corpus.table=t.csv", "trainer.max_steps=4", "split.folds=[0]", "logger=csv"]


def test_bad_recordings_among_many_are_counted_and_named(run_module, recordings):
    soundfile.write(recordings / "000.wav", np.zeros(9_600), 16_000)
    whole = (recordings / "001.wav").read_bytes()
    (recordings / "001.wav").write_bytes(whole[:9_000])
    done = run_module("train", *TABLE)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "2 of 120 recordings are left out" in said
    assert "000.wav: all samples are zero" in said
    assert "001.wav: truncated" in said
    assert "Traceback" not in said


def test_a_corpus_of_silence_is_refused(run_module, recordings):
    for i in range(0, 120, 2):
        soundfile.write(recordings / f"{i:03d}.wav", np.zeros(9_600), 16_000)
    failed = run_module("train", *TABLE)
    assert failed.returncode == 1
    assert "60 of 120 recordings cannot be used" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_table_without_labels_is_refused(run_module, recordings):
    text = (recordings / "t.csv").read_text().replace("path,label", "path,mood")
    (recordings / "t.csv").write_text(text)
    failed = run_module("train", *TABLE)
    assert failed.returncode == 1
    assert "has no column 'label'; it has path, mood" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_read_outs_are_swept_on_shared_runs_and_shown(run_module):
    words = [*SMALL, "trainer.max_steps=3"]
    swept = run_module("train", "-m", *words, "readout=[svm,centers]", "readout.svm.C=0.01,1", "study.name=read")
    assert swept.returncode == 0, swept.stderr
    assert len(re.findall("1/1 ", swept.stdout)) == 1
    assert re.findall(r"readout (.*): UA \d", swept.stdout) == ["svm C=0.01", "centers", "svm C=1.0"]
    again = run_module("train", *words, "readout=svm", "readout.svm.C=1", "study.name=read-again")
    assert "1 of 1 runs are finished already" in again.stdout
    assert "Fitting" not in again.stdout
    assert re.search(r"readout svm: UA \d+\.\d\d % \([+-]\d+\.\d\d against the head\), WA \d", again.stdout)
