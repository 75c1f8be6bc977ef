"""W&B: what is in the offline files, read back; and a server that is there, falls silent, or never answers."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import wandb
from PIL import Image

from ser_lightning.errors import UserError
from ser_lightning.metrics import METRICS, scores
from ser_lightning.runs.ledger import read_features
from ser_lightning.training import tracking
from ser_lightning.training.job import train_all
from ser_lightning.training.loggers import features_figure, run_loggers
from ser_lightning.training.plan import plan_job
from ser_lightning.training.progress import StudyProgress
from tests.training.offline_run import offline_runs
from tests.training.wandb_server import NONSENSE, reachable_server

KEY = "0123456789abcdef" * 3


def train(config):
    planned = plan_job(config)
    with StudyProgress(planned) as progress:
        return planned, train_all(planned, progress)


def kept_offline(planned):
    return [run for run in offline_runs(planned.config.paths.output) if run.id == planned.signature]


def curve_of(planned):
    """metrics.csv as W&B has it: a dict per step, without empty cells."""
    table = pd.read_csv(planned.folder / "metrics.csv")
    merged = table.groupby("step").first()
    return {int(step): row.dropna().to_dict() for step, row in merged.iterrows()}


def logged(run):
    """The numbers of a run's history, by step."""
    rows = {}
    for row in run.history:
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        rows[row["_step"]] = {name: value for name, value in numbers.items() if not name.startswith("_")}
    return rows


def own_messages(caplog):
    """W&B's own logs have theirs, which no user sees."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("ser_lightning")]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A W&B server, and a key for it."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with reachable_server(monkeypatch, tmp_path) as server:
        yield server


def test_an_offline_run_is_the_run_and_all_of_it(small):
    config = small("logger=wandb", "seed=21", "trainer.max_steps=20", "trainer.check_every=3", "study.name=offline")
    (planned,), (result,) = train(config)
    (run,) = kept_offline(planned)
    assert (run.group, run.job_type, run.project, run.exit_code) == ("offline", "paper", "ser_lightning", 0)
    assert run.name == f"lambda 0.3 {planned.signature}"
    assert run.tags == ["lambda 0.3", "demo", "logmel", "repeat 0", "fold 0", "synthetic demo"]
    assert {key: run.config[key] for key in config.described} == config.described
    assert (run.config["fold"], run.config["repeat"]) == (0, 0)

    curve = curve_of(planned)
    assert len(curve) > 7
    assert logged(run).keys() == curve.keys()
    for step, row in curve.items():
        assert logged(run)[step] == pytest.approx(row, rel=1e-6)
    named = {name for row in curve.values() for name in row}
    losses = {f"{part}/{name}" for part in ("train", "dev") for name in ("loss", "softmax", "term")}
    centres = {"dev/within_classes", "dev/between_classes", "train/center_drift", "train/term_gradient", "train/lr"}
    recalls = {f"dev/recall_{name}" for name in result.classes}
    assert named == losses | centres | recalls | {f"dev/{key}" for key in METRICS} | {"epoch"}

    summary = {name: run.summary[name] for name in ("test/ua", "test/wa", "test/macro_f1", "best/dev_ua", "best/step")}
    assert summary == {
        "test/ua": result.ua,
        "test/wa": result.wa,
        "test/macro_f1": scores(np.array(result.confusion))["macro_f1"],
        "best/dev_ua": result.dev_ua,
        "best/step": result.best_step,
    }
    for name in ("test/confusion", "features"):
        said = run.summary[name]
        assert Image.open(run.file(said)).size == (said["width"], said["height"])


def test_the_features_image_has_one_basis_and_one_scale(small):
    (planned,), (result,) = train(small("seed=22"))
    features = read_features(planned.folder)
    panels = features_figure(result, features).axes
    z = features.filter(regex="^z_").to_numpy(float)
    parts = features["part"].to_numpy()
    training = z[parts == "train"]
    covariance = np.cov(training.T)
    _, directions = np.linalg.eigh(covariance)
    for axes, part in zip(panels, ("train", "dev", "test"), strict=True):
        drawn = np.concatenate([points.get_offsets() for points in axes.collections])
        expected = (z[parts == part] - training.mean(axis=0)) @ directions[:, [-1, -2]]
        for column in range(2):
            ours, theirs = np.sort(drawn[:, column]), np.sort(expected[:, column])
            # A direction may point either way.
            assert np.allclose(ours, theirs, atol=1e-5) or np.allclose(ours, np.sort(-expected[:, column]), atol=1e-5)
        assert axes.get_xlim() == panels[0].get_xlim()
        assert axes.get_ylim() == panels[0].get_ylim()


def test_runs_of_a_process_are_runs_of_their_own(small):
    planned, results = train(small("logger=wandb", "split.folds=[0,1]", "seed=23", "trainer.workers=1"))
    for one, result in zip(planned, results, strict=True):
        (run,) = kept_offline(one)
        assert run.summary["test/ua"] == result.ua
        assert f"fold {result.fold}" in run.tags


def test_logging_to_wandb_changes_no_number(small):
    def predictions(logger):
        (planned,), _ = train(small(f"logger={logger}", "seed=24", "trainer.precision=32"))
        table = pd.read_parquet(planned.folder / "predictions.parquet")
        shutil.rmtree(planned.folder)
        return table

    pd.testing.assert_frame_equal(predictions("wandb"), predictions("csv"), check_exact=True)


def test_a_failed_training_is_closed_as_failed(small):
    config = small("logger=wandb", "optimizer.learning_rate=1e20", "trainer.precision=32", "seed=25")
    with pytest.raises(UserError):
        train(config)
    (planned,) = plan_job(config)
    (run,) = kept_offline(planned)
    assert run.exit_code == 1


def test_a_run_that_goes_on_has_its_earlier_rows_and_is_kept_once(small, tmp_path):
    config = small("logger=wandb", f"paths.output={tmp_path}")
    folder = tmp_path / "runs" / "abc"

    def part(rows, steps):
        folder.mkdir(parents=True, exist_ok=True)
        with run_loggers(config, folder, "abc", ["lam 0.3"], rows) as loggers:
            for step in steps:
                for logger in loggers:
                    logger.log_metrics({"dev/ua": step / 100}, step)
                    logger.save()
                    logger.log_metrics({"train/loss": 1.0 / step}, step)
                    logger.save()

    part([], [1, 2, 3])
    table = pd.read_csv(folder / "metrics.csv", dtype=str, keep_default_na=False)
    # The checkpoint was at step 2, so that step 3 is made again.
    part(table[table["step"].astype(int) <= 2].to_dict("records"), [3, 4])
    whole = {step: {"dev/ua": step / 100, "train/loss": 1.0 / step} for step in (1, 2, 3, 4)}
    written = pd.read_csv(folder / "metrics.csv")
    assert written["step"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    (run,) = offline_runs(tmp_path)
    assert logged(run) == whole
    assert {step: row.dropna().to_dict() for step, row in written.groupby("step").first().iterrows()} == whole


def test_a_server_that_is_there_gets_the_run(small, server):
    (planned,), _ = train(small("logger=wandb", "seed=26"))
    begun = server.begun[planned.signature]
    assert (begun["groupName"], begun["jobType"]) == (planned.config.study.name, "paper")
    sent = {row["_step"]: row["dev/ua"] for row in server.history[planned.signature]}
    assert sent == pytest.approx({step: row["dev/ua"] for step, row in curve_of(planned).items()})
    assert kept_offline(planned) == []


def test_the_server_is_asked_once_for_all_workers(small, server):
    planned, _ = train(small("logger=wandb", "seed=27", "split.folds=[0,1]", "trainer.workers=2"))
    assert server.logged_in == 1
    assert {run.signature for run in planned} <= server.begun.keys()


def test_no_key_lands_in_any_file(small, server):
    (planned,), _ = train(small("logger=wandb", "seed=28"))
    output = planned.folder.parent.parent
    assert planned.signature in server.begun
    files = [path for path in output.rglob("*") if path.is_file()]
    assert any(path.name == "debug-internal.log" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_wandb_sync_is_all_that_is_left_to_do(small, server):
    config = small("logger=wandb", "seed=40", "trainer.max_steps=12", "trainer.check_every=4")
    os.environ["WANDB_MODE"] = "offline"
    (planned,), _ = train(config)
    (run,) = kept_offline(planned)
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    command = [sys.executable, "-m", "wandb", "sync", str(run.folder)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    sent = {row["_step"]: row["dev/ua"] for row in server.history[planned.signature] if "dev/ua" in row}
    assert sent == {step: row["dev/ua"] for step, row in curve_of(planned).items() if "dev/ua" in row}
    assert server.begun[planned.signature]["groupName"] == config.study.name


@pytest.mark.parametrize(
    ("rerun", "rows", "goes_on"), [(False, [], True), (True, [], False), (True, [{"step": 5, "dev/ua": 0.5}], True)]
)
def test_a_run_trained_anew_replaces_the_former_on_wandb(small, tmp_path, monkeypatch, rerun, rows, goes_on):
    begun = []

    @contextmanager
    def record(*places, resume, **arguments):
        begun.append(resume)
        yield None

    monkeypatch.setattr("ser_lightning.training.loggers.wandb_run", record)
    with run_loggers(small("logger=wandb", f"rerun={rerun}"), tmp_path / "abc", "abc", ["lam 0"], rows):
        pass
    assert begun == [goes_on]


def test_a_service_process_that_ends_does_not_stop_a_training(small, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(tracking.TROUBLE, str(tmp_path / "told"))

    def lost(self, *arguments, **named):
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "log", lost)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with caplog.at_level(logging.WARNING):
        (planned,), _ = train(small("logger=wandb", "seed=41"))
    assert planned.finished is not None
    assert caplog.text.count("Connection lost") == 1


def test_a_server_that_falls_silent_neither_stops_nor_holds_up_a_study(small, server, monkeypatch, caplog):
    monkeypatch.setattr(tracking, "PATIENCE", 2)
    config = small("logger=wandb", "seed=29", "split.folds=[0,1]", "trainer.workers=1")
    first, second = plan_job(config)
    monkeypatch.setattr("ser_lightning.training.run.Steps.on_train_batch_end", lambda *of: server.fall_silent())
    with StudyProgress([first, second]) as progress, caplog.at_level(logging.WARNING):
        train_all([first, second], progress)
    assert caplog.text.count("W&B cannot be reached") == 1
    (folder,) = (first.folder.parent.parent / "wandb").glob(f"run-*-{first.signature}")
    assert f"wandb sync {folder}" in caplog.text
    assert kept_offline(first) == []
    (run,) = kept_offline(second)
    assert logged(run).keys() == curve_of(second).keys()


@pytest.mark.parametrize("key, reason", [(KEY, "authenticate"), ("short", "40+ characters")])
def test_without_a_server_or_with_a_wrong_key_runs_are_kept_offline(small, server, monkeypatch, caplog, key, reason):
    server.fall_silent()
    monkeypatch.setenv("WANDB_API_KEY", key)
    config = small("logger=wandb", f"seed={30 + len(key)}")
    with caplog.at_level(logging.WARNING):
        (planned,), _ = train(config)
    assert caplog.text.count("W&B cannot be reached") == 1
    assert reason in caplog.text
    assert os.environ["WANDB_MODE"] == "offline"
    assert len(kept_offline(planned)) == 1


def test_where_wandb_does_not_start_a_training_goes_on(small, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(tracking.TROUBLE, str(tmp_path / "told"))

    def broken(**arguments):
        raise wandb.errors.CommError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    with caplog.at_level(logging.WARNING):
        (planned,), _ = train(small("logger=wandb", "seed=31"))
    assert planned.finished is not None
    assert "W&B does not start (no service)" in caplog.text


def test_where_wandbs_process_cannot_start_nothing_waits_for_it(monkeypatch):
    from wandb.sdk.lib.service import service_process

    def refuse(*arguments, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    wandb.teardown()
    monkeypatch.setattr(service_process, "_launch_server", refuse)
    outcome = []

    def set_up():
        try:
            tracking._set_up(wandb.Settings(silent=True))
        except OSError as error:
            outcome.append(error)

    # One that waits for ever would else hold up all tests
    thread = threading.Thread(target=set_up, daemon=True)
    thread.start()
    thread.join(30)
    assert [error.errno for error in outcome] == [errno.EMFILE]


@pytest.mark.parametrize("nonsense", [*NONSENSE, "reset"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_takes_the_login_and_then_answers_nonsense_fails_no_run(
    tmp_path, small, server, monkeypatch, caplog, nonsense, begun
):
    """From the first request on, or after a run has begun: its curves are kept, and there is one line."""
    monkeypatch.setattr(tracking, "PATIENCE", 2)
    config = small("logger=wandb", f"paths.output={tmp_path}", "study.name=mine")
    server.nonsense = "" if begun else nonsense
    with caplog.at_level(logging.WARNING):
        assert tracking.whereabouts(config) is None
        for name in ("abc", "def"):
            with run_loggers(config, tmp_path / "runs" / name, name, ["lam 0"], []) as loggers:
                server.nonsense = nonsense
                for logger in loggers:
                    logger.log_metrics({"dev/ua": 0.5}, 1)
                    logger.save()
    assert (tmp_path / "runs" / "abc" / "metrics.csv").exists()
    (line,) = own_messages(caplog)
    assert line.startswith("W&B cannot be reached (")
    if nonsense != "null":
        # of which W&B's own process dies, in the first run or the second
        assert {run.id for run in offline_runs(tmp_path)} == ({"def"} if begun else {"abc", "def"})


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("WANDB_MODE", "onlin", "WANDB_MODE=onlin is none of online, offline"),
        ("WANDB_BASE_URL", "not an address", "WANDB_BASE_URL=not an address is not the address of a server"),
        ("WANDB_MODE", "", None),
    ],
)
def test_what_the_environment_says_wrongly_is_told_and_runs_are_kept_offline(
    tmp_path, small, monkeypatch, caplog, name, value, words
):
    monkeypatch.setenv(tracking.TROUBLE, str(tmp_path / "told"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for other in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE"):
        monkeypatch.setenv(other, "")
        monkeypatch.delenv(other)
    monkeypatch.setenv(name, value)
    wandb.teardown()
    config = small("logger=wandb", f"paths.output={tmp_path}")
    with caplog.at_level(logging.WARNING):
        assert tracking.whereabouts(config).startswith("W&B runs are kept offline in")
        with run_loggers(config, tmp_path / "runs" / "abc", "abc", ["lam 0"], []):
            pass
    assert [words in message for message in own_messages(caplog)] == ([True] if words else [])
    assert [run.id for run in offline_runs(tmp_path)] == ["abc"]


def test_a_figure_that_cannot_be_drawn_fails_no_run(small, tmp_path, monkeypatch, caplog):
    def broken(result):
        raise ValueError("no such glyph")

    monkeypatch.setenv(tracking.TROUBLE, str(tmp_path / "told"))
    monkeypatch.setattr("ser_lightning.training.loggers.confusion_figure", broken)
    with caplog.at_level(logging.WARNING):
        (planned,), _ = train(small("logger=wandb", "seed=42"))
    assert planned.finished is not None
    assert caplog.text.count("no such glyph") == 1


def test_a_thread_of_wandbs_that_ends_is_a_warning_and_any_other_a_traceback(monkeypatch, tmp_path, caplog, capsys):
    monkeypatch.setenv(tracking.TROUBLE, str(tmp_path / "told"))
    monkeypatch.setattr(threading, "excepthook", tracking._end_thread)

    def end():
        raise OSError("Too many open files")

    for name in ("wandb-AsyncioManager-main", "mine"):
        thread = threading.Thread(target=end, name=name)
        thread.start()
        thread.join()
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "a thread of W&B's ended (Too many open files)"
    ]
    printed = capsys.readouterr().err
    assert printed.count("Traceback") == 1
    assert "Exception in thread mine" in printed
