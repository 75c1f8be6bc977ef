"""From errors to one clear line, and from a command line to a study's name."""

import subprocess
import sys

import pytest
from omegaconf.errors import ConfigAttributeError

from ser_lightning.command import absolute_output, explain, explain_launch, study_name
from ser_lightning.components.groups import CONF
from ser_lightning.config import compose
from ser_lightning.runs.signature import flat


def test_equal_commands_share_a_study_whatever_their_order_and_paths():
    one = study_name(["loss.lam=0,0.5", "corpus=emodb", "corpus.root=/a"])
    assert one == study_name(["corpus=emodb", "corpus.root=/b/c", "paths.output=/d", "loss.lam=0,0.5", "logger=csv"])
    assert one != study_name(["loss.lam=0,0.6", "corpus=emodb"])
    assert one == study_name(["loss.lam=0,0.5", "corpus=emodb", "rerun=true"])
    assert study_name([]) == "default"


def test_long_names_stay_apart():
    many = ",".join(str(i / 100) for i in range(60))
    one, other = study_name([f"loss.lam={many}"]), study_name([f"loss.lam={many},9"])
    assert one != other
    assert len(one) <= 80


def test_an_unknown_key_names_the_one_that_was_meant():
    error = ConfigAttributeError("Could not override 'loss.lamda'.\nTo append to your config use +loss.lamda=0.5")
    assert explain(error) == "loss.lamda is not a setting; did you mean loss.lam?"


def test_a_key_of_another_corpus():
    error = ConfigAttributeError("Could not override 'corpus.overlap'.\nTo append to your config use +...")
    assert explain(error) == "corpus.overlap is not a setting of the corpus that was chosen"


def test_an_absent_choice_names_those_there_are():
    error = ConfigAttributeError("In 'train': Could not find 'features/mfcc'\n\nAvailable options in 'features':...")
    assert explain(error) == "there is no features=mfcc; choose one of logmel, logstft"


def test_an_absent_launcher_names_those_there_are():
    error = ConfigAttributeError("In 'hydra/config': Could not find 'hydra/launcher/slrum'\n\nAvailable options ...")
    assert explain(error) == "there is no hydra/launcher=slrum; choose one of joblib, ray, slurm"


def test_other_errors_are_folded_into_one_line():
    assert explain(ValueError("one\n\n  two\nSet the environment variable HYDRA_FULL_ERROR=1")) == "one two"


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ([], "{here}/from environment"),
        (["paths.output=a"], "{here}/a"),
        (["paths.output='a b'"], "{here}/a b"),
        (["paths.output=/a", "paths.output=/b"], "/b"),
        (["paths.output=it's"], "{here}/it\\'s"),
    ],
)
def test_the_folder_for_output_is_the_same_in_every_process(tmp_path, monkeypatch, given, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_OUTPUT", "from environment")
    assert absolute_output(given) == f"paths.output='{folder.format(here=tmp_path)}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Unknown plugin class : 'hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher'", "`make ray`"),
        ("Unknown plugin class : 'hydra_plugins.hydra_joblib_launcher.x.Y'", "pip install hydra-joblib-launcher"),
        ('Could not detect "srun", are you indeed on a slurm cluster?', "there is no Slurm here"),
        ("sbatch: error: invalid partition\nsbatch: error: failed\n", "sbatch: error: invalid partition sbatch: error"),
        ("...\nUncompletedJobError: Job not requeued because: timed-out too many times.", "hydra.launcher.timeout_min"),
    ],
)
def test_what_keeps_a_launcher_from_its_work_is_one_line(text, message):
    said = explain_launch(RuntimeError(text))
    assert message in said
    assert "\n" not in said


def test_other_errors_are_not_explained_as_a_launchers():
    assert explain_launch(RuntimeError("CUDA out of memory")) is None


@pytest.mark.parametrize("entry", ["train", "reproduce", "doctor"])
def test_help_names_every_group_and_key_and_needs_neither_hydra_nor_torch(entry):
    code = (
        f"import sys, runpy; sys.argv = ['{entry}', '--help']; "
        f"runpy.run_module('ser_lightning.{entry}', run_name='__main__', alter_sys=True); "
        "print([name for name in ('torch', 'hydra', 'pandas') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-1] == "[]"
    assert f"usage: python -m ser_lightning.{entry} [FLAG ...] [GROUP=CHOICE ...] [KEY=VALUE ...]" in said
    told = {line.split()[0]: line.split()[1:] for line in said if line.startswith("  ")}
    groups = {file.parent.relative_to(CONF).as_posix(): set() for file in CONF.glob("*/**/*.yaml")}
    for file in CONF.glob("*/**/*.yaml"):
        groups[file.parent.relative_to(CONF).as_posix()].add(file.stem)
    assert {name: set(told[name]) for name in groups} == groups
    for corpus in ("demo", "iemocap"):
        described = compose([f"corpus={corpus}", "corpus.root=."]).described
        keys = [key for key in flat(described) if not key.startswith(("corpus.classes", "study.s"))]
        assert all(told.get(key) for key in keys if not key.startswith("corpus.training")), corpus
    assert ("-m" in told) == (entry == "train")
