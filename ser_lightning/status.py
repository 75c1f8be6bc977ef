"""How a study stands: `ser status [STUDY ...]`; without a name, all studies in a line each.

`ser status --verify [STUDY ...]` reads every file of the runs, and names those that are not what was written.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.table import Table

from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.runs.damage import find_damage
from ser_lightning.runs.jobs import shared_words
from ser_lightning.runs.ledger import read_result
from ser_lightning.runs.status import STATES, RunStatus, study_status
from ser_lightning.runs.study import add_output_option, all_studies, known_studies
from ser_lightning.terminal import console


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every run of the studies asked for; with `--verify`, what is wrong with any file of theirs.

    Raises `UserError` where there is no such study, and where `--verify` finds a damaged file.
    """
    options = _parser().parse_args(arguments)
    output = absolute(options.output)
    studies = all_studies(output)
    if not studies:
        raise UserError(known_studies(output))
    names, chosen, problems = options.study or list(studies), [], []
    for name in names:
        # A path is what the shell completes.
        name = Path(name).name
        if name not in studies:
            raise UserError(f"{name} is not a study; {known_studies(output)}")
        try:
            entries = study_status(studies[name], output / "runs")
        except UserError as error:
            problems.append(f"{name}: {error}")
            continue
        if options.study:
            show(entries)
        print(f"{name}: {summary(entries)}")
        chosen += [entry.run for entry in entries if entry.run]
    if options.verify:
        try:
            verify(output / "runs", chosen if options.study else None)
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))


def summary(entries: Sequence[RunStatus]) -> str:
    """E.g. '55 runs: 40 done, 2 running, 13 missing'; a run that several jobs share counts once."""
    unique = {entry.run or index: entry.state for index, entry in enumerate(entries)}
    counts = Counter(unique.values())
    other = counts.pop("replaced", 0)
    text = f"{counts.total()} runs: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return text + (f"; {other} made with other code or settings, and replaced" if other else "")


def verify(runs: Path, names: Sequence[str] | None) -> None:
    """Print what is wrong with any file of these runs, or with None of all that there are, finished or not.

    Raises `UserError` where there is anything.
    """
    folders = sorted(runs.glob("[!.]*")) if names is None else [runs / name for name in dict.fromkeys(names)]
    folders = [folder for folder in folders if folder.is_dir()]
    problems = [problem for folder in folders for problem in _problems(folder)]
    print("\n".join([*problems, f"Verified: {len(folders)} runs"]))
    if unsealed := sum(_is_unsealed(folder) for folder in folders):
        print(f"{unsealed} of them of an earlier version, without hashes: of these only what is unreadable is seen")
    if problems:
        raise UserError(
            f"{len(problems)} damaged or missing; a study's command, given again, sets damaged runs aside and trains "
            "them anew"
        )


def _problems(folder: Path) -> list[str]:
    try:
        return [f"{damage.file} {damage.reason}" for damage in find_damage(folder)]
    except UserError as error:
        return [str(error)]


def _is_unsealed(folder: Path) -> bool:
    with suppress(UserError):
        result = read_result(folder)
        return result is not None and not result.files
    return False


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


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("status"),
        description="List every run of a study: done, damaged, running, failed, interrupted, missing, or replaced by "
        "others.",
    )
    parser.add_argument("--verify", action="store_true", help="read every file of the runs, and name those damaged")
    parser.add_argument("study", nargs="*", help="name (or folder) of a study; default: all, in a line each")
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
