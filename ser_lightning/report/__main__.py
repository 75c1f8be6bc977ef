"""Figures, tables, statistics and one page of a study: `ser report STUDY ...`.

`ser report compare A B` holds two studies, or two settings (STUDY:SETTING), against each other.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from joblib import cpu_count
from rich.console import Console
from rich.table import Table

from ser_lightning.errors import UserError, end_clearly
from ser_lightning.invocation import command_line
from ser_lightning.report.compare import Side, choose, compare, show
from ser_lightning.report.files import PAGE
from ser_lightning.report.material import read_material
from ser_lightning.report.study import report_study
from ser_lightning.runs.study import add_output_option, find_study


def main(arguments: Sequence[str] | None = None) -> None:
    """Report each study that is named, or compare two. Raises `UserError` where one of them cannot be."""
    asked = _parser().parse_args(arguments)
    output = Path(asked.output).expanduser().resolve()
    if asked.study[0] == "compare":
        if len(asked.study) != 3:
            raise UserError(
                "compare takes two studies, or two settings of studies: compare STUDY:SETTING STUDY:SETTING"
            )
        print_comparison(*(_side(name, output) for name in asked.study[1:]))
        return
    problems = []
    for name in asked.study:
        try:
            study = find_study(name, output)
            report = report_study(study, study.parent.parent / "runs", workers=cpu_count())
            print("\n".join([report.title, *(f"  {line}" for line in [*report.answer, *report.warnings])]))
            print(f"Report: {study / PAGE}")
        except UserError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise UserError("\n".join(problems))


def print_comparison(first: Side, second: Side) -> None:
    """Print how the second differs from the first."""
    table, remarks = compare(first, second)
    shown = show(table)
    console = Console()
    if not console.is_terminal:
        console.width = 240
    print(f"A: {first.name}\nB: {second.name}\n{first.material.facts.caption}")
    grid = Table()
    for name in shown.columns:
        grid.add_column(name, justify="left" if name == "setting" else "right")
    for row in shown.itertuples(index=False):
        grid.add_row(*row)
    console.print(grid)
    print("± is half of the corrected 95 % interval (Nadeau and Bengio 2003), p two-sided, of no difference.")
    for remark in remarks:
        print(remark)


def _side(name: str, output: Path) -> Side:
    study, _, job = name.partition(":")
    folder = find_study(study, output)
    return choose(name, read_material(folder, folder.parent.parent / "runs"), job or None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_line("report"),
        usage="%(prog)s [--output FOLDER] STUDY [STUDY ...]\n       %(prog)s [--output FOLDER] compare A B",
        description="Write the report of a study from the runs finished so far; or compare two studies, or two "
        "settings of studies (STUDY:SETTING).",
    )
    parser.add_argument("study", nargs="+", help="name or folder of a study")
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
