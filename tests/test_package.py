"""The package as people get it: a wheel, installed where no checkout can be seen, used from an empty folder."""

import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.installation import TOP, contents, packages, run, run_forked

TINY = ["corpus=demo", "corpus.utterances=120", "trainer.max_steps=2", "split.folds=[0]", "logger=csv"]
TINY += ["features.max_seconds=1", "trainer.accelerator=cpu"]


@pytest.fixture(scope="module")
def ser(installed, tmp_path_factory):
    """Gives a command to the console script, in a folder that is empty at first, `ser.folder`."""
    folder, place = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("printed")

    def call(*words, forks=None):
        typed = [installed / "bin" / "ser", *words]
        return run_forked(forks, typed, folder, place) if forks else run(typed, folder)

    call.folder = folder
    return call


def test_the_wheel_has_conf_as_files_and_nothing_that_is_not_for_users(wheel):
    with ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.startswith("ser_lightning/")}
        others = {name.split("/")[0] for name in archive.namelist()} - {"ser_lightning"}
    conf = {f"ser_lightning/conf/{name}": content for name, content in contents(TOP / "conf").items()}
    assert {name: content for name, content in files.items() if name.startswith("ser_lightning/conf/")} == conf
    pages = {f"ser_lightning/inference/pages/explore.{kind}" for kind in ("html", "css", "js")}
    assert {"ser_lightning/py.typed", "ser_lightning/report/templates/page.html", *pages} <= files.keys()
    assert not [name for name in files if "bench" in name or "test" in name]
    assert [name.endswith(".dist-info") for name in others] == [True]


def test_a_study_from_an_empty_folder(ser, forks, installed):
    """What ranks, workers and launchers do from the wheel is in test_own_parts.py."""
    site = contents(packages(installed))
    done = ser("train", *TINY, "study.name=one", forks=forks)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in ser.folder.iterdir()] == ["outputs"]
    assert len(list(ser.folder.glob("outputs/runs/*/result.json"))) == 1
    assert f"ser report {ser.folder}/outputs/studies/one" in done.stdout

    status = ser("status")
    assert (status.returncode, status.stdout) == (0, "one: 1 runs: 1 done\n")

    swept = ser("train", "-m", *TINY, "study.name=two", forks=forks)
    assert swept.returncode == 0, swept.stderr
    assert "1 of 1 runs are finished already" in swept.stdout
    assert "synthetic demo" in (ser.folder / "outputs" / "studies" / "two" / "report.html").read_text()

    compared = ser("report", "compare", "one", "two", forks=forks)
    assert compared.returncode == 0, compared.stderr
    assert "A: one\nB: two\n" in compared.stdout
    assert [file.name for file in ser.folder.iterdir()] == ["outputs"]
    assert contents(packages(installed)) == site


def test_the_code_that_runs_is_the_wheels(ser, installed):
    """Also in worker processes: no checkout is on the path."""
    code = "import sys, ser_lightning; print(ser_lightning.__file__, sys.path, sep='\\n')"
    file, path = run([installed / "bin" / "python", "-c", code], ser.folder).stdout.splitlines()
    assert Path(file) == packages(installed) / "ser_lightning" / "__init__.py"
    assert str(TOP) not in path.replace(sysconfig.get_path("purelib"), "")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["trian"], 2, "there is no command trian; did you mean train?"),
        (["train", "loss.lamda=1"], 1, "loss.lamda is not a setting; did you mean loss.lam?"),
        (["train", "hydra/launcher=joblib"], 1, "hydra/launcher is for sweeps: ser train -m hydra/launcher=..."),
    ],
)
def test_what_is_refused_ends_with_a_line_and_a_status(ser, words, status, message):
    done = ser(*words)
    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ser_lightning: {message}")


def test_help_is_that_of_the_module_under_the_name_that_was_typed(ser, installed):
    by_ser = ser("train", "--help").stdout
    by_module = run([installed / "bin" / "python", "-m", "ser_lightning.train", "--help"], ser.folder).stdout
    assert "usage: ser train [FLAG ...]" in by_ser
    assert by_ser == by_module.replace("python -m ser_lightning.train", "ser train")


def test_a_checkout_needs_no_installation(sources, bare, tmp_path):
    code = "import ser_lightning; print(ser_lightning.__file__, ser_lightning.compose('corpus=demo').corpus.name)"
    done = run([bare / "bin" / "python", "-c", code], tmp_path, PYTHONPATH=str(sources))
    assert (done.stdout, done.stderr) == (f"{sources}/ser_lightning/__init__.py demo\n", "")
    absent = run([bare / "bin" / "python", "-c", "import ser_lightning"], tmp_path)
    assert "No module named 'ser_lightning'" in absent.stderr


def test_the_version_is_the_installed_one(ser, wheel):
    assert ser("--version").stdout == f"ser_lightning {wheel.name.split('-')[1]}\n"
