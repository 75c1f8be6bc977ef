"""Settings with several values: what each division may choose, what it chooses, and what is trained afterwards."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.jobs import UNDECIDED
from ser_lightning.runs.signature import flat
from ser_lightning.training.choice import (
    CHOSEN,
    Setting,
    combinations,
    common_settings,
    distinct_candidates,
    refuse_doubled,
    refuse_unlike,
)
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


def test_settings_in_common_say_what_is_chosen(small):
    configs = [small(*words) for words in combinations(["loss=island", "loss.lam=0.3,1"])]
    common = flat(common_settings(configs))
    one = flat(common_settings(configs[:1]))
    assert common["loss.lam"] == CHOSEN
    assert one["loss.lam"] == 0.3
    assert {key for key in common if common[key] != one[key]} == {"loss.lam"}
    # A setting that one of them does not have
    mixed = common_settings([small("loss.lam=0"), small("loss=center", "loss.lam=1", "loss.alpha=0.5")])
    assert (mixed["loss"]["lam"], mixed["loss"]["name"], mixed["loss"]["alpha"]) == (CHOSEN, "center", 0.5)


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
        ("island", 2, None),
        ("island seed=1", 2, None),
        ("island: loss.lam=0.1", 2, "island"),
        ("island: loss.lam=0.3", 2, "island"),
    ]
    assert [job.settings["loss"]["lam"] for job in before] == [CHOSEN, CHOSEN, 0.1, 0.3]
    # Four runs that no folder has, so that they are missing until they are known
    undecided = {run for job in before[:2] for run in job.runs}
    assert len(undecided) == 4
    assert all(run.startswith(UNDECIDED) for run in undecided)

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


def test_equal_candidates_are_one(small):
    configs = [small(*words) for words in combinations(["loss=center,island", "loss.lam=0,0.3"])]
    assert distinct_candidates(configs) == [configs[0], configs[1], configs[3]]


@pytest.mark.parametrize("word", ["corpus.utterances=130", "split.folds=[1]", "split=speaker"])
def test_another_corpus_or_split_in_a_setting_is_refused(small, word):
    refuse_unlike({"one": [small()], "other": [small("loss.lam=1"), small("corpus.training.epochs=2")]})
    with pytest.raises(UserError, match=rf"study\.settings: other has a {word[:4]}\w+ of its own"):
        refuse_unlike({"one": [small()], "other": [small("loss.lam=1"), small(word)]})


def test_two_settings_that_are_one_are_refused(small):
    few, more = [small(f"loss.lam={lam}") for lam in (0.1, 0.3)], [small(f"loss.lam={lam}") for lam in (1, 3)]
    refuse_doubled({"one": few[:1], "other": few[1:], "several": more})
    with pytest.raises(UserError, match=r"study\.settings: few and more are one setting"):
        refuse_doubled({"few": few, "more": more})
