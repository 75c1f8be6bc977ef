"""From errors to one clear line, and from a command line to a study's name."""

import os
import re
import signal
import subprocess
import sys

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf.errors import ConfigAttributeError

from ser_lightning import command, status
from ser_lightning.command import absolute_output, explain, explain_launch, flags_first, study_name
from ser_lightning.components.groups import CONF
from ser_lightning.config import compose
from ser_lightning.errors import UserError, stop
from ser_lightning.report import __main__ as report
from ser_lightning.runs.signature import flat
from ser_lightning.train import main as train


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
    assert explain(error) == "corpus.overlap is not a setting of the corpus that was chosen; corpus=demo has it"
    error = ConfigAttributeError("Could not override 'features.layer'.\nTo append to your config use +...")
    assert explain(error) == "features.layer is not a setting; did you mean features.layers of features=pretrained?"


@pytest.mark.parametrize("name", ["", "nothing"])
def test_a_group_that_was_not_chosen_cannot_be_left_out(name):
    error = ConfigCompositionException(f"In 'train': Could not delete '{name}'. No match in the defaults list")
    assert explain(error) == f"~{name} leaves out nothing, for no such group was chosen"


def test_an_absent_choice_names_those_there_are():
    error = ConfigAttributeError("In 'train': Could not find 'features/mfcc'\n\nAvailable options in 'features':...")
    choices = "egemaps, functionals, lld, logmel, logstft, pretrained, waveform"
    assert explain(error) == f"there is no features=mfcc; choose one of {choices}"


def test_an_absent_launcher_names_those_there_are():
    error = ConfigAttributeError("In 'hydra/config': Could not find 'hydra/launcher/slrum'\n\nAvailable options ...")
    assert explain(error) == "there is no hydra/launcher=slrum; choose one of joblib, ray, slurm"


def test_a_sweeper_that_is_not_installed_says_how_to_get_it():
    error = ConfigAttributeError("In 'hydra/config': Could not find 'hydra/sweeper/optuna'\n\nAvailable options ...")
    assert explain(error) == "hydra/sweeper=optuna is not installed: pip install hydra-optuna-sweeper"


def test_an_absent_choice_of_a_group_of_hydras_names_those_there_are():
    error = ConfigAttributeError("Could not find 'hydra/output/x'\n\nAvailable options in 'hydra/output':\n\tdefault\n")
    assert explain(error) == "there is no hydra/output=x; choose one of default"


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["a=1", "-m", "b=2"], ["-m", "a=1", "b=2"]),
        (["a=1", "--cfg", "job", "b=2", "--resolve"], ["--cfg", "job", "--resolve", "a=1", "b=2"]),
        (["~a", "-m", "+b=2"], ["-m", "~a", "+b=2"]),
        (["word", "-m", "b=2"], ["-m", "word", "b=2"]),
    ],
)
def test_flags_may_stand_anywhere(words, ordered):
    assert flags_first(words) == ordered


@pytest.mark.parametrize("words", [["--lam", "3"], ["--cfg", "jobs"], ["-x"]])
def test_a_flag_that_is_none_is_one_line(words, capsys):
    with pytest.raises(SystemExit) as end:
        flags_first(words)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ser_lightning: ")
    assert "KEY=VALUE" in line


@pytest.mark.parametrize(
    "word",
    [
        "loss=",
        "loss=null",
        "loss=true",
        "trainer=3",
        "split=1e3",
        "corpus={}",
        "model=[]",
        "features=''",
        "readout=[svm,null]",
    ],
)
def test_a_group_without_a_choice_names_those_there_are(word):
    with pytest.raises(UserError, match=re.escape(f"{word}: choose one of ")):
        command._refuse_no_name([word])
    command._refuse_no_name(["readout=[]", "readout=[svm]", "loss.lam=null"])
    command._refuse_no_name(["loss=center", "loss=center,ring", "loss=a (b"])


def test_a_run_of_hydras_own_is_not_repeated(capsys):
    with pytest.raises(SystemExit):
        flags_first(["--experimental-rerun", "/nowhere"])
    assert "--experimental-rerun is not for these commands" in capsys.readouterr().err


@pytest.mark.parametrize("main", [status.main, report.main])
@pytest.mark.parametrize("words", [["--verfy"], ["--output"], ["-m", "x"]])
def test_flags_of_commands_without_settings_are_refused_in_a_line(main, words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words[0] in line


def test_of_a_very_long_word_the_two_ends_are_told(capsys):
    with pytest.raises(SystemExit):
        stop(f"seed={'x' * 5000}yz: must be a whole number")
    line = f"ser_lightning: seed={'x' * 95}...{'x' * 57}yz: must be a whole number\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("value, folder", [("~/out", "{home}/out"), ("", None), ("plain", "plain")])
def test_a_tilde_is_the_home_folder_for_logs_too(tmp_path, monkeypatch, value, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SER_OUTPUT", value)
    monkeypatch.setattr(sys, "argv", ["train", "paths.output=~/there", "loss.lam=0"])
    command._find_home()
    assert os.environ.get("SER_OUTPUT") == (folder and folder.format(home=tmp_path))
    assert sys.argv[1:] == [f"paths.output='{tmp_path}/there'", "loss.lam=0"]


def test_a_working_folder_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    monkeypatch.setattr(sys, "argv", ["train", f"paths.output={tmp_path}", "study.name=a"])
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        command.run_command(train, "train")
    signal.signal(signal.SIGTERM, handler)
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not there any more" in line


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
        ("Only one of --run, --multirun and --cfg can be specified", "and not two of them"),
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
