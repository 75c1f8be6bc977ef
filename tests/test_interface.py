"""The public Python interface: `from ser_lightning import fit, load_study`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import ser_lightning
from ser_lightning import UserError, compose, fit, load_study
from ser_lightning.runs.ledger import read_result
from ser_lightning.runs.study import read_jobs
from tests.components.test_code import write
from tests.conftest import SMALL


def test_importing_costs_neither_torch_nor_hydra():
    code = (
        "import sys, ser_lightning; dir(ser_lightning); "
        "print([name for name in ('torch', 'hydra', 'omegaconf', 'pandas', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_can_be_had_and_is_listed():
    assert set(ser_lightning.__all__) <= set(dir(ser_lightning))
    assert [name for name in ser_lightning.__all__ if not hasattr(ser_lightning, name)] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="ser_lightning attribute nonesuch"):
        _ = ser_lightning.nonesuch


def test_compose_is_the_configuration_of_the_command():
    config = compose("loss.lam=0.25", "corpus=emodb", "corpus.root=/data")
    assert (config.loss.lam, config.corpus.name, config.corpus.root) == (0.25, "emodb", "/data")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.lamda=0.5", "loss.lamda is not a setting; did you mean loss.lam?"),
        ("corpus=iemodb", "there is no corpus=iemodb; choose one of "),
        ("loss.alpha=1.5", "loss.alpha=1.5: must be at most 1"),
    ],
)
@pytest.mark.parametrize("function", [compose, fit])
def test_what_the_command_would_refuse_is_a_user_error(function, override, message):
    with pytest.raises(UserError) as refused:
        function(override)
    assert message in str(refused.value)


def test_fit_trains_what_the_command_would_and_load_study_reads_it(output, tmp_path, capsys, monkeypatch):
    (tmp_path / "cache").symlink_to(output / "cache")
    (output / "cache").mkdir(exist_ok=True)
    monkeypatch.setenv("SER_OUTPUT", str(tmp_path))
    words = [*SMALL, "split.folds=[0,1]", "trainer.workers=1", "seed=91"]
    first, second = fit(*words)
    assert [first.fold, second.fold] == [0, 1]
    for result in (first, second):
        assert read_result(tmp_path / "runs" / result.signature) == result
    (folder,) = (tmp_path / "studies").iterdir()
    (job,) = read_jobs(folder)
    assert job.runs == [first.signature, second.signature]
    assert (folder / "command.txt").read_text().startswith("python -m ser_lightning.train study.name=")

    assert fit(*words) == [first, second]
    assert "2 of 2 runs are finished already" in capsys.readouterr().out

    for study in (load_study(folder.name), load_study(folder), load_study(folder.name, output=tmp_path)):
        assert study.folder == folder
        assert study.runs == [first, second]
        (row,) = study.summary.to_dict("records")
        assert row["ua"] == pytest.approx(50 * (first.ua + second.ua))
        assert (row["runs"], row["planned"]) == (2, 2)
        assert "synthetic demo" in study.caption
    assert list(pd.DataFrame(study.runs)["signature"]) == [first.signature, second.signature]


def test_files_of_ones_own_that_do_not_count_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"conf/loss/center.yaml": "_target_: mine.Loss\n"})
    compose("loss=center")
    line = "conf/loss/center.yaml is not used, for loss=center is this package's own; give the file another name"
    assert capsys.readouterr().err == f"ser_lightning: {line}\n"


def test_a_choice_that_is_there_no_more_is_refused_as_in_a_new_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_OUTPUT", str(tmp_path / "outputs"))
    code = "class Mine:\n    def __init__(self, *, tau: float = 0.5): ...\n"
    write(tmp_path, {"mine.py": code, "conf/loss/mine.yaml": "_target_: mine.Mine\n"})
    assert compose("loss=mine").loss.own == {"tau": 0.5}
    Path("conf/loss/mine.yaml").unlink()
    with pytest.raises(UserError, match=r"there is no loss=mine; choose one of center"):
        fit("loss=mine")


def test_each_call_of_fit_reads_the_corpus_as_it_is_then(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_OUTPUT", str(tmp_path / "outputs"))
    noise = np.random.default_rng(0)
    for number in range(60):
        soundfile.write(f"{number:02d}.wav", 0.1 * noise.standard_normal(8000), 16_000)
    words = ["corpus=table", "corpus.root=.", "corpus.table=t.csv", "trainer.max_steps=1", "split.folds=[0]"]
    words += ["logger=csv", "trainer.workers=1"]

    def classes(*labels):
        rows = [f"{number:02d}.wav,{labels[number % 2]}" for number in range(60)]
        Path("t.csv").write_text("\n".join(["path,label", *rows]))
        (result,) = fit(*words)
        return result.classes

    assert classes("a", "b") == ["a", "b"]
    assert classes("c", "d") == ["c", "d"]


def test_a_study_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"nothing is not a study; in .* there are none"):
        load_study("nothing", output=tmp_path)


def test_a_rank_that_imports_its_script_again_is_refused(tmp_path):
    """Trained by two processes from a script without a guard, a run would wait for itself."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, ser_lightning\n"
        "try:\n"
        "    ser_lightning.fit('nonesuch=1')\n"
        "except ser_lightning.UserError as error:\n"
        "    print(error)\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    root = str(Path(ser_lightning.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
    )
    assert done.stderr == ""
    said = done.stdout.splitlines()
    assert "nonesuch" in said[0]
    assert said[1] == 'a script that trains on several devices calls fit below `if __name__ == "__main__":`'
