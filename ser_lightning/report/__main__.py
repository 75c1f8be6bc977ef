"""Figures, tables, statistics and one page of a study: `ser report STUDY ...`.

`ser report compare A B` holds two studies, or two settings (STUDY:SETTING), against each other.
"""

from collections.abc import Sequence
from pathlib import Path

from joblib import cpu_count
from rich.table import Table

from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.metrics import METRICS, metric_key
from ser_lightning.report.compare import Side, choose, compare, question_of, show
from ser_lightning.report.failure import keep_failure
from ser_lightning.report.files import PAGE, report_lock
from ser_lightning.report.looks import record_look
from ser_lightning.report.material import read_material
from ser_lightning.report.power import plan
from ser_lightning.report.statistics import QUESTIONS
from ser_lightning.report.study import report_study
from ser_lightning.runs.study import add_output_option, find_study, known_studies
from ser_lightning.terminal import console


def main(arguments: Sequence[str] | None = None) -> None:
    """Report each study that is named, or compare two. Raises `UserError` where one of them cannot be."""
    options = _parser().parse_args(arguments)
    output = absolute(options.output)
    metrics = choose_metrics(options.metrics)
    if not options.study:
        raise UserError(f"report needs the name of a study; {known_studies(output)}")
    if options.study[0] == "compare":
        if len(options.study) != 3:
            raise UserError(
                "compare takes two studies, or two settings of studies: compare STUDY:SETTING STUDY:SETTING"
            )
        if options.show:
            raise UserError("--show names the settings of a study's figures; compare names its own: STUDY:SETTING")
        first, second = (_side(name, output, options.interim) for name in options.study[1:])
        print_comparison(first, second, metrics)
        return
    if options.study[0] == "power":
        if len(options.study) != 2 or options.effect is None:
            raise UserError("power takes a study and the effect to be shown, in points of UA: power STUDY --effect 3")
        print_plan(find_study(options.study[1], output), options.effect)
        return
    if options.effect is not None:
        raise UserError("--effect belongs to power: power STUDY --effect 3")
    if options.show and len(options.study) > 1:
        raise UserError("--show names settings of one study; report one study with it")
    problems = []
    for name in options.study:
        study = output / "studies" / name
        try:
            study = find_study(name, output)
            runs = study.parent.parent / "runs"
            report = report_study(study, runs, options.show, metrics, options.interim, workers=cpu_count())
            print("\n".join([report.title, *(f"  {line}" for line in [*report.answer, *report.warnings])]))
            print(f"Report: {study / PAGE}")
        except UserError as error:
            problems.append(f"{name}: {error}")
        except Exception as error:
            problems.append(keep_failure(study, error))
    if problems:
        raise UserError("\n".join(problems))


def choose_metrics(names: str) -> list[str]:
    """The keys of metrics from their names with commas between them. Raises `UserError` where one is unknown.

    >>> choose_metrics("UAR,war")
    ['ua', 'wa']
    """
    keys = []
    for name in filter(None, (word.strip() for word in names.split(","))):
        try:
            keys.append(metric_key(name))
        except KeyError:
            names = "; ".join(", ".join((metric.label, *metric.aliases)) for metric in METRICS.values())
            raise UserError(f"--metrics {name}: there is no such metric; there are {names}") from None
    return list(dict.fromkeys(keys))


def print_comparison(first: Side, second: Side, metrics: Sequence[str] = ()) -> None:
    """Print how the second differs from the first."""
    table, remarks = compare(first, second)
    shown = show(table, metrics)
    print(f"A: {first.name}\nB: {second.name}")
    for caption in dict.fromkeys(side.material.facts.caption for side in (first, second)):
        print(caption)
    grid = Table()
    for name in shown.columns:
        grid.add_column(name, justify="left" if name == "setting" else "right")
    for row in shown.itertuples(index=False):
        grid.add_row(*row)
    console().print(grid)
    meaning = QUESTIONS[question_of(first, second)]
    print(
        f"± is half of the 95 % interval for {meaning}; p is two-sided, of the hypothesis that there is no difference."
    )
    for remark in remarks:
        print(remark)
    if first.material.study == second.material.study:
        with report_lock(first.material.study):
            record_look(first.material)


def print_plan(study: Path, effect: float) -> None:
    """Print how many repetitions of a study would show an effect, in points of UA."""
    made = plan(read_material(study, study.parent.parent / "runs"), effect)
    grid = Table()
    for name in ("repetitions", "runs", "standard error", "probability", "hours"):
        grid.add_column(name, justify="right")
    for row in made.table.to_dict("records"):
        cells = (f"{row['error']:.2f}", f"{100 * row['power']:.0f} %", f"{row['hours']:.1f}")
        grid.add_row(str(row["repetitions"]), str(row["runs"]), *cells)
    console().print(grid)
    print(made.words)


def _side(name: str, output: Path, interim: bool) -> Side:
    study, _, job = name.partition(":")
    folder = find_study(study, output)
    return choose(name, read_material(folder, folder.parent.parent / "runs", interim=interim), job or None)


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("report"),
        usage="%(prog)s [--output FOLDER] [--metrics A,B] [--show A,B] [--interim] STUDY [STUDY ...]\n"
        "       %(prog)s [--output FOLDER] [--metrics A,B] [--interim] compare A B\n"
        "       %(prog)s [--output FOLDER] power STUDY --effect POINTS",
        description="Write the report of a study from the runs finished so far; or compare two studies, or two "
        "settings of studies (STUDY:SETTING); or tell from a pilot how many repetitions would show an effect.",
    )
    parser.add_argument("study", nargs="*", help="name or folder of a study")
    parser.add_argument(
        "--show",
        default="",
        metavar="A,B",
        help="settings that the figures of single settings show; default: the baseline and the best on dev",
    )
    parser.add_argument(
        "--interim",
        action="store_true",
        help="answer from the finished runs of a study that is not finished; p-values hold for one look alone",
    )
    parser.add_argument("--effect", type=float, metavar="POINTS", help="power: the true difference of UA to be shown")
    labels = ", ".join(metric.label for metric in METRICS.values())
    parser.add_argument(
        "--metrics",
        default="",
        metavar="A,B",
        help=f"scores that tables and figures show, also by other names such as UAR and WAR; default: {labels}",
    )
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
