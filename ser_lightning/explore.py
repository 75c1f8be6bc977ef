"""See and hear what a study gets wrong: `ser explore STUDY` shows its test utterances on a page of this machine."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.inference.corpus_recordings import Recordings, find_recordings, read_corpus
from ser_lightning.inference.exploration import Exploration
from ser_lightning.inference.server import LocalServer, add_page_options
from ser_lightning.inference.sources import add_root_option
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.report.material import Material, read_material
from ser_lightning.runs.jobs import has_settings
from ser_lightning.runs.study import add_output_option, find_study
from ser_lightning.terminal import tell


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until Ctrl-C. Raises `UserError` where there is no such study, setting or port."""
    options = _parser().parse_args(arguments)
    study = find_study(options.study, absolute(options.output))
    server = LocalServer(explore(study, options.setting, options.root).answer, options.port)
    try:
        print(f"Explore {study.name}: {server.address}\nCtrl-C ends it", flush=True)
        if options.browser:
            webbrowser.open(server.address)
        server.serve_forever()
    except KeyboardInterrupt:
        print("Ended")
    finally:
        server.server_close()


def explore(study: Path, names: Sequence[str] = (), roots: Sequence[str] = ()) -> Exploration:
    """A study, read for its page; what the page begins with and lacks is said on stderr.

    Args:
        study: its folder.
        names: one or two settings to begin with; none: the one with the best mean dev UA.
        roots: where its corpus lies, if no longer where it was, see `read_corpus`.

    Raises `UserError` where it cannot be read, or has no such setting.
    """
    if len(names) > 2:
        raise UserError("--setting may be given twice: two settings stand side by side")
    material = read_material(study, study.parent.parent / "runs")
    finished = [job for job in range(len(material.jobs)) if material.finished(job)]
    chosen = [find_setting(material, name) for name in names] or [material.best(finished)]
    if not names and len(finished) > 1:
        best = material.names[chosen[0]]
        tell(f"Setting: {best}, the best of {len(finished)} by mean dev UA; the page has all")
    recordings = _recordings(material, chosen[0], roots)
    if isinstance(recordings, str):
        tell(f"Recordings cannot be heard: {recordings}")
    exploration = Exploration(material, chosen, recordings)
    # What the page asks for first
    for job in chosen:
        exploration.setting(job)
    return exploration


def find_setting(material: Material, name: str) -> int:
    """The number of the job that is called so, or has all of these settings, e.g. 'loss.lam=0.3'; of several the best
    on dev. Raises `UserError` where there is none that has finished runs."""
    numbers = material.named(name)
    numbers = numbers or [number for number, job in enumerate(material.jobs) if has_settings(job, name)]
    if not numbers:
        raise UserError(f"{material.study.name} has no setting '{name}'; it has: {'; '.join(material.names)}")
    finished = [number for number in numbers if material.finished(number)]
    if not finished:
        raise UserError(f"{name}: no run of this setting has finished yet")
    return material.best(finished)


def _recordings(material: Material, job: int, roots: Sequence[str]) -> Recordings | str:
    try:
        corpus = read_corpus(material.study, material.folder(material.finished(job)[0]), roots)
        return find_recordings(corpus, material.runs.parent / "cache", bool(roots))
    except UserError as error:
        if roots:
            raise
        return str(error)


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("explore"),
        description="Show the test utterances of a study on a page of this machine: maps of z, confusions, "
        "probabilities, spectrograms and sound, of one setting or of two side by side.",
    )
    parser.add_argument("study", help="name or folder of a study")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME",
        help="a setting to begin with, as the report calls it; twice: two side by side; default: the best on dev",
    )
    add_root_option(parser)
    add_page_options(parser)
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
