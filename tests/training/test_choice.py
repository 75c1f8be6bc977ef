"""Settings with several values: what each division may choose, what it chooses, and what is trained afterwards."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.signature import flat
from ser_lightning.training.choice import Setting, combinations, common_settings
from ser_lightning.training.plan import plan_job

ARM = ["loss=island", "loss.lam=0.1,0.3"]


def test_combinations_are_those_of_a_sweep():
    assert combinations(["loss.lam=0"]) == [["loss.lam=0"]]
    assert combinations(["model.dropout=0.3", "loss.lam=0.1,1", "loss.alpha=range(1,3)"]) == [
        ["model.dropout=0.3", "loss.lam=0.1", "loss.alpha=1"],
        ["model.dropout=0.3", "loss.lam=0.1", "loss.alpha=2"],
        ["model.dropout=0.3", "loss.lam=1", "loss.alpha=1"],
        ["model.dropout=0.3", "loss.lam=1", "loss.alpha=2"],
    ]
    assert combinations(["split.folds=[0,1]"]) == [["split.folds=[0,1]"]]
    with pytest.raises(UserError, match=r"study\.settings: .*loss\.lam==.* cannot be read"):
        combinations(["loss.lam=="])


def test_settings_in_common_list_the_values_that_differ(small):
    configs = [small(*words) for words in combinations(["loss=island", "loss.lam=0.3,1,0.3"])]
    common = flat(common_settings(configs))
    one = flat(common_settings(configs[:1]))
    assert common["loss.lam"] == [0.3, 1]
    assert one["loss.lam"] == 0.3
    assert {key for key in common if common[key] != one[key]} == {"loss.lam"}
    # A setting that one of them does not have
    mixed = common_settings([small("loss.lam=0"), small("loss=center", "loss.lam=1", "loss.alpha=0.5")])
    assert (mixed["loss"]["lam"], mixed["loss"]["name"], mixed["loss"]["alpha"]) == ([0, 1], "center", 0.5)


@dataclass
class Run:
    """A planned run as far as a choice knows it."""

    config: object
    split: object
    signature: str
    dev_ua: float | None

    @property
    def finished(self):
        return None if self.dev_ua is None else SimpleNamespace(dev_ua=self.dev_ua)


def made_up(scores):
    """Candidates with these UAs on dev, [candidates][divisions]; None is unfinished."""
    return [
        [Run(None, SimpleNamespace(repeat=0, fold=place), f"{number}.{place}", ua) for place, ua in enumerate(row)]
        for number, row in enumerate(scores)
    ]


def reseeded(monkeypatch):
    """Runs of another seed are called so, and are not planned."""
    monkeypatch.setattr(
        "ser_lightning.training.choice.with_seed",
        lambda runs, seed: [Run(None, run.split, f"{run.signature}/{seed}", None) for run in runs],
    )


def test_each_division_chooses_the_best_of_dev_and_the_first_of_equals(monkeypatch):
    reseeded(monkeypatch)
    setting = Setting("arm", made_up([[0.5, 0.6, 0.1, 0.9], [0.7, 0.6, 0.2, None], [0.4, 0.5, 0.3, 0.1]]), [1, 2])
    later = [[run.signature for run in runs] for runs in setting.later_runs()]
    # The last division has not ended its candidates
    assert later == [["1.0/1", "0.1/1", "2.2/1"], ["1.0/2", "0.1/2", "2.2/2"]]


def test_a_single_candidate_needs_no_result(monkeypatch):
    reseeded(monkeypatch)
    setting = Setting("softmax", made_up([[None, None]]), [1])
    assert [[run.signature for run in runs] for runs in setting.later_runs()] == [["0.0/1", "0.1/1"]]
    assert Setting("softmax", made_up([[None, None]])).later_runs() == []


def test_planned_settings_tell_the_study_of_choice_seeds_and_candidates(small, monkeypatch):
    folds = "split.folds=[0,1]"
    configs = [small(folds, *words) for words in combinations(ARM)]
    setting = Setting.plan("island", configs, more_seeds=1)
    assert [[run.split.fold for run in runs] for runs in setting.candidates] == [[0, 1], [0, 1]]
    before = setting.jobs()
    assert [(job.name, len(job.runs), job.candidate_of) for job in before] == [
        ("island", 0, None),
        ("island seed=1", 0, None),
        ("island: loss.lam=0.1", 2, "island"),
        ("island: loss.lam=0.3", 2, "island"),
    ]
    assert [job.settings["loss"]["lam"] for job in before] == [[0.1, 0.3], [0.1, 0.3], 0.1, 0.3]

    # The first fold takes the second candidate, the second fold the first
    best = {(0.1, 0): 0.2, (0.3, 0): 0.4, (0.1, 1): 0.5, (0.3, 1): 0.5}
    monkeypatch.setattr(
        "ser_lightning.training.plan.PlannedRun.finished",
        property(lambda run: SimpleNamespace(dev_ua=best[run.config.loss.lam, run.split.fold])),
    )
    job, further, *candidates = setting.jobs()
    assert job.runs == [candidates[1].runs[0], candidates[0].runs[1]]
    assert job.places == further.places == [[0, 0], [0, 1]]
    assert (job.settings["seed"], further.settings["seed"]) == (0, 1)
    # The names of runs are those that the same configuration has when it is typed
    typed = [plan_job(small(folds, "loss=island", f"loss.lam={lam}", "seed=1")) for lam in (0.3, 0.1)]
    assert further.runs == [typed[0][0].signature, typed[1][1].signature]
