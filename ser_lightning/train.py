"""Train one configuration on its folds: `python -m ser_lightning.train [key=value ...]`; with `-m`, a sweep."""

from ser_lightning.command import run_command
from ser_lightning.config import Config


def main(config: Config) -> float:
    """Train a job's runs, record them in the study, and return the mean dev UA."""
    from ser_lightning.runs.job import mean_dev_ua, plan_job, train_all
    from ser_lightning.runs.progress import StudyProgress

    planned = plan_job(config)
    with StudyProgress(planned) as progress:
        results = train_all(planned, progress)
    record(config, [run.signature for run in planned])
    return mean_dev_ua(results)


def record(config: Config, signatures: list[str]) -> None:
    """Tell the study which runs this job has."""
    from pathlib import Path

    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ser_lightning.runs.signature import settings
    from ser_lightning.runs.study import Job, job_name, write_job

    hydra = HydraConfig.get()
    study = Path(config.paths.output) / "studies" / config.study.name
    number = hydra.job.num if hydra.mode is RunMode.MULTIRUN else 0
    write_job(study, number, Job(job_name(hydra.overrides.task), settings(config), signatures))


if __name__ == "__main__":
    run_command(main, "train")
