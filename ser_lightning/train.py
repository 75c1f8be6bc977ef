"""Train one configuration on its folds: `python -m ser_lightning.train [key=value ...]`; with `-m`, a sweep."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ser_lightning.command import run_command
from ser_lightning.config import Config
from ser_lightning.runs.signature import settings
from ser_lightning.runs.study import Job, job_name, read_jobs, study_folder, write_job


def main(config: Config) -> float:
    """Train a job's runs, record them in its study, and return the mean dev UA, for sweepers that optimise."""
    from ser_lightning.data.splits import write_splits
    from ser_lightning.runs.job import mean_dev_ua, train_all
    from ser_lightning.runs.plan import plan_job
    from ser_lightning.runs.progress import StudyProgress

    planned = plan_job(config)
    write_splits([run.split for run in planned], _study(config) / "split.csv")
    record(config, [run.signature for run in planned])
    with StudyProgress(planned) as progress:
        results = train_all(planned, progress)
    if HydraConfig.get().mode is RunMode.RUN:
        show(config)
    return mean_dev_ua(results)


def record(config: Config, signatures: list[str]) -> None:
    """Tell the study which runs this job has."""
    hydra = HydraConfig.get()
    number = hydra.job.num if hydra.mode is RunMode.MULTIRUN else 0
    write_job(_study(config), number, Job(job_name(hydra.overrides.task), settings(config), signatures))


def show(config: Config) -> None:
    """Print the mean and spread over the job's runs."""
    from ser_lightning.report.summary import provenance, summarise
    from ser_lightning.report.tables import print_table

    jobs, runs = read_jobs(_study(config)), Path(config.paths.output) / "runs"
    print_table(summarise(jobs, runs), provenance(jobs, runs).caption)
    print(f"Runs: {', '.join(jobs[0].runs)} in {runs}")


def _study(config: Config) -> Path:
    return study_folder(config.paths.output, config.study.name)


if __name__ == "__main__":
    run_command(main, "train")
