"""How a study stands: `ser status [STUDY ...]`; without a name, all studies in a line each."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.invocation import command_line, end_clearly
from ser_lightning.runs.status import STATES, RunStatus, study_status
from ser_lightning.runs.study import add_output_option, all_studies, known_studies, shared_words
from ser_lightning.terminal import console


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every run of the studies asked for. Raises `UserError` where there is no such study."""
    options = _parser().parse_args(arguments)
    output = absolute(options.output)
    studies = all_studies(output)
    if not studies:
        raise UserError(known_studies(output))
    for name in options.study or studies:
        # A path is what the shell completes.
        name = Path(name).name
        if name not in studies:
            raise UserError(f"{name} is not a study; {known_studies(output)}")
        entries = study_status(studies[name], output / "runs")
        if options.study:
            show(entries)
        print(f"{name}: {summary(entries)}")


def summary(entries: Sequence[RunStatus]) -> str:
    """E.g. '55 runs: 40 done, 2 running, 13 missing'; a run that several jobs share counts once."""
    unique = {entry.run or index: entry.state for index, entry in enumerate(entries)}
    counts = Counter(unique.values())
    other = counts.pop("replaced", 0)
    text = f"{counts.total()} runs: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return text + (f"; {other} made with other code or settings, and replaced" if other else "")


def show(entries: Sequence[RunStatus]) -> None:
    """A line per run; of its job, what not all jobs set alike."""
    names = list(dict.fromkeys(entry.job for entry in entries if entry.job))
    shared = shared_words(names) if len(names) > 1 else []
    if shared:
        print(f"all: {' '.join(shared)}")
    table = Table(box=None, pad_edge=False)
    for heading in ("state", "job", "fold", "run", ""):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("state", "run"))
    for entry in entries:
        job = " ".join(word for word in entry.job.split() if word not in shared)
        table.add_row(entry.state, job, entry.place, entry.run, entry.details)
    console().print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_line("status"),
        description="List every run of a study: done, running, failed, interrupted, missing, or replaced by others.",
    )
    parser.add_argument("study", nargs="*", help="name (or folder) of a study; default: all, in a line each")
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
