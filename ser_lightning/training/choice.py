"""Settings of a study that have several values: each division takes those that its dev part recognises best.

The test part is not looked at, so that a loss and its rivals have equally many tries, and none of them by luck of the
test. What was chosen is trained with further seeds, since the first has taken part in the choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from ser_lightning.config import Config
from ser_lightning.errors import UserError
from ser_lightning.runs.jobs import CHOSEN, Job, undecided
from ser_lightning.runs.signature import flat, settings
from ser_lightning.runs.varying import settings_key, show_value
from ser_lightning.training.plan import PlannedRun, plan_job, record, with_seed


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Every choice of one value for each override that has several, as Hydra's sweeps have it.

    >>> combinations(["loss=island", "loss.lam=0.3,1"])
    [['loss=island', 'loss.lam=0.3'], ['loss=island', 'loss.lam=1']]

    Raises `UserError` where an override cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        values = [
            [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
            if one.is_sweep_override()
            else [word]
            for word, one in zip(overrides, parsed, strict=True)
        ]
    except HydraException as error:
        raise UserError(f"study.settings: {overrides} cannot be read: {str(error).splitlines()[0]}") from error
    return [list(words) for words in product(*values)]


def distinct_candidates(configs: Sequence[Config]) -> list[Config]:
    """Configurations of which no two are the same run, as with lambda = 0 those of any loss are; the first of each."""
    distinct = {settings_key(settings(config)): config for config in reversed(configs)}
    return [config for config in configs if distinct[settings_key(settings(config))] is config]


def refuse_unlike(configs: Mapping[str, Sequence[Config]]) -> None:
    """Raise `UserError` where not all configurations of a study's settings have one corpus and one split."""
    first: dict[str, Any] = {}
    for name, several in configs.items():
        for config in several:
            data = {"corpus": config.corpus.identity, "split": config.described["split"]}
            if unlike := [group for group, value in data.items() if (first or data)[group] != value]:
                raise UserError(
                    f"study.settings: {name} has a {unlike[0]} of its own; a study has one, so give it on the command "
                    "line"
                )
            first = first or data


def refuse_doubled(configs: Mapping[str, Sequence[Config]]) -> None:
    """Raise `UserError` where two settings of a study are the same, or differ in nothing but what they choose from."""
    names: dict[str, str] = {}
    for name, several in configs.items():
        key = settings_key(common_settings(several))
        if key in names:
            raise UserError(
                f"study.settings: {names[key]} and {name} are one setting, but perhaps for what is chosen from; join "
                "them, or let them differ in more"
            )
        names[key] = name


def common_settings(configs: Sequence[Config]) -> dict[str, Any]:
    """What a study calls configurations by of which each division takes one: of each setting its value, or that it is
    chosen; so it is the same setting with more values to choose from."""
    return _joined([settings(config) for config in configs])


def _joined(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for key in dict.fromkeys(key for table in tables for key in table):
        values = [table[key] for table in tables if key in table]
        if all(isinstance(value, Mapping) for value in values):
            joined[key] = _joined(values)
        else:
            joined[key] = values[0] if all(value == values[0] for value in values) else CHOSEN
    return joined


@dataclass(frozen=True)
class Setting:
    """A setting of a study on all divisions.

    Attributes:
        name: what the study calls it.
        candidates: the planned runs of each combination of its values, [candidates][divisions].
        seeds: those of its further runs.
    """

    name: str
    candidates: list[list[PlannedRun]]
    seeds: Sequence[int] = ()

    @classmethod
    def plan(cls, name: str, configs: Sequence[Config], more_seeds: int = 0) -> "Setting":
        """Plan the runs of the configurations that it may be; raises `UserError` as `plan_job` does."""
        seeds = range(configs[0].seed + 1, configs[0].seed + 1 + more_seeds)
        return cls(name, [plan_job(config) for config in configs], seeds)

    def later_runs(self) -> list[list[PlannedRun]]:
        """Those with further seeds of what each division has chosen, [seeds][divisions that have chosen]."""
        chosen = self._chosen()
        reseeded = [[with_seed(runs, seed) for runs in self.candidates] for seed in self.seeds]
        return [[runs[choice][place] for place, choice in chosen.items()] for runs in reseeded]

    def jobs(self) -> list[Job]:
        """What the study's folder is told: the setting with the runs of what was chosen so far, a job per seed; of
        several candidates also each of them."""
        configs = [runs[0].config for runs in self.candidates]
        common = common_settings(configs)
        chosen = [self.candidates[choice][place] for place, choice in self._chosen().items()]
        first = record(self.name, configs[0], self.candidates[0])
        jobs = []
        for seed, runs in zip([configs[0].seed, *self.seeds], [chosen, *self.later_runs()], strict=True):
            name = self.name if seed == configs[0].seed else f"{self.name} seed={seed}"
            decided = {(run.split.repeat, run.split.fold): run.signature for run in runs}
            signatures = [decided.get((repeat, fold), undecided(name, repeat, fold)) for repeat, fold in first.places]
            jobs.append(replace(first, name=name, settings={**common, "seed": seed}, runs=signatures))
        if len(configs) == 1:
            return jobs
        candidates = [
            replace(record(f"{self.name}: {_difference(common, config)}", config, runs), candidate_of=self.name)
            for config, runs in zip(configs, self.candidates, strict=True)
        ]
        return [*jobs, *candidates]

    def _chosen(self) -> dict[int, int]:
        """Division -> the candidate with the highest UA on dev, the first of equals; where all have finished."""
        if len(self.candidates) == 1:
            return dict.fromkeys(range(len(self.candidates[0])), 0)
        chosen = {}
        for place, runs in enumerate(zip(*self.candidates, strict=True)):
            results = [run.finished for run in runs]
            scores = [result.dev_ua for result in results if result is not None]
            if len(scores) == len(runs):
                chosen[place] = scores.index(max(scores))
        return chosen


def _difference(common: Mapping[str, Any], config: Config) -> str:
    """The values by which a candidate differs from the others, e.g. 'loss.lam=0.3'."""
    own, shared = flat(settings(config)), flat(common)
    return " ".join(f"{key}={show_value(value)}" for key, value in own.items() if shared[key] != value)
