"""What `import ser_lightning` offers: the commands `train` and `report` as functions, for notebooks and scripts.

What the user can mend is raised as `UserError`, whose message is what the command would print.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning import config
from ser_lightning.command import explain, study_override, tell_hidden
from ser_lightning.config import Config
from ser_lightning.errors import UserError
from ser_lightning.runs.jobs import job_name
from ser_lightning.runs.ledger import RunResult
from ser_lightning.runs.signature import settings
from ser_lightning.runs.study import begin_study, default_output, find_study, study_folder
from ser_lightning.train import train_job

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Study:
    """A study as its report sees it.

    Attributes:
        folder: of the study.
        caption: corpus, protocol, folds and leak audit, without which no number of it should be shown.
        summary: a row per job: what it sets, `runs` finished of `planned`, mean `ua` and `wa` in percent with half of
            their 95 % intervals, `ua_half` and `wa_half` (from five runs on).
        runs: the finished runs' results; `pandas.DataFrame(study.runs)` is a table of them.
    """

    folder: Path
    caption: str
    summary: "pd.DataFrame"
    runs: list[RunResult]


def compose(*overrides: str) -> Config:
    """The checked configuration that `ser train OVERRIDES` would use, e.g. compose("loss.lam=0.3")."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    tell_hidden()
    try:
        return config.compose(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error


def fit(*overrides: str) -> list[RunResult]:
    """Train one configuration on its folds, as `ser train OVERRIDES` does, and return the results in their order.

    Runs that are finished already are not trained again. The study is recorded too, for `load_study` and `report`.
    A script that trains on several devices calls this below `if __name__ == "__main__":`.
    """
    _refuse_second_call()
    words = [*study_override(overrides), *overrides]
    configuration = compose(*words)
    study = study_folder(configuration.paths.output, configuration.study.name)
    begin_study(configuration, study, "train", words, [settings(configuration)])
    from ser_lightning.training.plan import forget_corpora

    forget_corpora()
    return train_job(configuration, study, job_name(words), alone=True)


def load_study(study: str | Path, output: str | Path | None = None) -> Study:
    """Read a study from its runs that are finished so far.

    Args:
        study: its name, or its folder.
        output: `paths.output` of the study; None: $SER_OUTPUT or outputs.
    """
    from ser_lightning.report.material import read_material

    root = Path(output or default_output()).expanduser().resolve()
    folder = find_study(str(study), root)
    material = read_material(folder, folder.parent.parent / "runs")
    results = [run.result for run in material.scored.values()]
    return Study(folder, material.facts.caption, material.summary, results)


def _refuse_second_call() -> None:
    """Raise `UserError` in a rank that is importing the script that started it, which would wait for itself."""
    importing = sys.modules.get("__mp_main__")
    if importing is not None and importing is not sys.modules["__main__"]:
        raise UserError('a script that trains on several devices calls fit below `if __name__ == "__main__":`')
