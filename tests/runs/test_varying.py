"""Which settings differ between jobs, what they are called, and which jobs are the baseline's."""

import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.varying import (
    Baseline,
    describe_settings,
    name_parts,
    settings_key,
    short_keys,
    varying_settings,
)
from tests.report.simulated import parts_of, settings_of

SOFTMAX = Baseline.read(["loss.lam=0"])


def test_losses_that_are_swept_differ_in_their_name_and_lambda_and_not_in_what_is_theirs_alone():
    jobs = [parts_of(loss, lam) for loss in ("mine", "center") for lam in (0, 0.1, 1)]
    assert varying_settings(jobs) == ["loss.name", "loss.lam"]


def test_what_one_loss_alone_has_differs_where_that_loss_is_given_it_twice():
    jobs = [parts_of("center", 0.3), *(parts_of("mine", 0.3, **{"loss.tau": tau}) for tau in (0.1, 0.5))]
    assert varying_settings(jobs) == ["loss.name", "loss.tau"]


def test_steps_that_go_by_the_features_do_not_differ_and_others_do():
    jobs = [settings_of(features, 0.3, 0.5) for features in ("logmel", "logstft")]
    assert jobs[0]["trainer"]["max_steps"] != jobs[1]["trainer"]["max_steps"]
    assert varying_settings(jobs) == ["features.name"]
    longer = settings_of("logmel", 0.3, 0.5)
    longer["trainer"] = {**longer["trainer"], "max_steps": 40}
    assert varying_settings([*jobs, longer]) == ["features.name", "trainer.max_steps"]


def test_none_is_a_value_and_absence_is_not():
    jobs = [parts_of("center", 0.3), parts_of("center", 0.3, **{"features.floor": None})]
    assert varying_settings(jobs) == ["features.floor"]
    assert varying_settings([settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)]) == ["loss.lam"]
    assert varying_settings([parts_of("center", 0.3)]) == []


def test_names_that_are_taken_keep_their_dots():
    assert short_keys(["loss.runs", "seed"], taken=["runs"]) == {"loss.runs": "loss.runs", "seed": "seed"}


def test_equal_settings_have_one_key():
    assert settings_key({"a": {"b": 1, "c": [2]}}) == settings_key({"a": {"c": [2.0], "b": 1.0}})
    assert settings_key({"a": True}) != settings_key({"a": 1})


def test_settings_of_before_have_the_parts_that_there_were():
    named = name_parts(settings_of("logmel", 0.3, 0.5))
    assert (named["model"]["name"], named["head"]["name"], named["loss"]["name"]) == ("crnn", "linear", "center")
    assert "name" not in name_parts(settings_of("logmel", 0.0, 0.5))["loss"]
    assert name_parts(parts_of("mine", 0.3)) == parts_of("mine", 0.3)


@pytest.mark.parametrize(
    ("words", "loss", "lam", "expected"),
    [
        (["loss.lam=0"], "mine", 0.0, True),
        (["loss.lam=0.0"], "mine", 0.1, False),
        (["loss=center"], "center", 0.1, True),
        (["loss=center"], "center", 0.0, False),  # there is no loss with lambda = 0
        (["loss.name=center", "loss.lam=1e-1"], "center", 0.1, True),
        (["features.floor=null"], "center", 0.1, False),
        (["model.tied=0"], "center", 0.1, False),
        (["model.tied=false"], "center", 0.1, True),
        ([], "center", 0.0, False),
    ],
)
def test_which_jobs_are_the_baselines(words, loss, lam, expected):
    assert Baseline.read(words).has(parts_of(loss, lam)) is expected


def test_a_baseline_that_is_no_override_is_refused():
    with pytest.raises(UserError, match=r"study.baseline: softmax is not KEY=VALUE"):
        Baseline.read(["softmax"])


def test_a_job_is_described_by_what_varies_and_by_the_baseline():
    jobs = [parts_of(loss, lam) for loss in ("mine", "center") for lam in (0, 0.1)]
    assert [describe_settings(job, jobs, SOFTMAX) for job in jobs[1:]] == [
        "mine lambda 0.1",
        "lambda 0",
        "center lambda 0.1",
    ]
    assert describe_settings(jobs[1], [], SOFTMAX) == "lambda 0.1"
    features = [settings_of(name, 0.3, 0.5) for name in ("logmel", "cochleagram")]
    assert [describe_settings(job, features, SOFTMAX) for job in features] == [
        "log-Mel lambda 0.3",
        "cochleagram lambda 0.3",
    ]
