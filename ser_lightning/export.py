"""Take a model out: `ser export STUDY --to model/` writes ONNX, weights and a card, checked on real recordings."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.files import absolute, refuse_unwritable
from ser_lightning.inference.exported import is_export
from ser_lightning.inference.sources import Source, add_root_option, add_source_options, find_source
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.runs.jobs import place_name
from ser_lightning.terminal import tell, visible

# Beside it, with a suffix, is where it is made
LONGEST_NAME = 120


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder. Raises `UserError` where study, options or corpus are not as they should be, where a part has
    no ONNX, and where the graphs say another thing than the networks."""
    options = _parser().parse_args(arguments)
    folder = _new_folder(options.to)
    if is_export(absolute(options.study)):
        raise UserError(f"{options.study} is an exported model already")
    source = find_source(options.study, absolute(options.output), options.setting, options.run)
    if not (options.run or options.all):
        source = ask(source)
    tell(f"Exporting {source}")
    # All that may be wrong is said before what takes longer
    from ser_lightning.inference.card import find_terms
    from ser_lightning.inference.corpus_recordings import find_recordings, read_corpus
    from ser_lightning.inference.export import read_checked, require_libraries, write_export
    from ser_lightning.inference.recognizer import Recognizer

    require_libraries()
    run = source.folders[0]
    corpus = read_corpus(source.study, run, options.root)
    terms = find_terms(corpus, options.license)
    for warning in terms.warnings:
        tell(f"warning: {warning}")
    waves = read_checked(find_recordings(corpus, source.runs.parent / "cache", bool(options.root)))
    recognizer = Recognizer.of_source(source, trust=options.trust)
    if reason := recognizer.familiar.reason:
        tell(f"the export cannot know the study's own recordings: {reason}")
    try:
        check = write_export(recognizer, terms, waves, folder)
    except OSError as error:
        raise UserError(f"--to {options.to}: {error.strerror or error}; nothing was written") from error
    print(
        f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}\n"
        f"Checked with onnxruntime on {check.waves} recordings and cuts of them: at most "
        f"{check.largest:.0e} from the networks' own numbers. Licence: {terms.identifier}; read "
        f"{Path(options.to) / 'README.md'} before you pass it on"
    )


def ask(source: Source) -> Source:
    """Which of several runs is exported: all of them, unless somebody at a terminal says otherwise."""
    results = source.results
    if len(results) == 1 or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return source
    tell(f"{source.setting} has {len(results)} runs:")
    tell("  0  all of them, whose mean answers, as in `ser predict`")
    for number, result in enumerate(results, start=1):
        place = place_name(result.repeat, result.fold)
        tell(f"  {number}  {result.signature}  {place}, UA on dev {100 * result.dev_ua:.1f} %")
    while True:
        print("Which one? [0] ", end="", file=sys.stderr, flush=True)
        word = sys.stdin.readline().strip() or "0"
        if word.isdecimal() and int(word) <= len(results):
            return source if word == "0" else replace(source, results=[results[int(word) - 1]])
        tell(f"{word} is none of them; a number from 0 to {len(results)}")


def _new_folder(word: str) -> Path:
    if not word.isprintable() or not word.strip() or len(os.fsencode(Path(word).name)) > LONGEST_NAME:
        raise UserError(f"--to {visible(word)[:80]}: give the folder a name of up to {LONGEST_NAME} letters")
    folder = absolute(word)
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"--to {word} is there already; name a new folder, or remove it")
    refuse_unwritable(f"--to {word}", folder)
    return folder


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("export"),
        description="Write the networks of a study's setting, or one run, as a folder to be used elsewhere: ONNX with "
        "the front end inside (audonnx reads it too), weights for `ser predict` and `ser demo`, and a model card. It "
        "is checked with onnxruntime on recordings of the corpus before it is there.",
    )
    parser.add_argument("study", help="a study or a run, by name or folder")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--all", action="store_true", help="all runs of the setting together, without being asked")
    parser.add_argument(
        "--license",
        default="",
        metavar="NAME",
        help="the model's licence, as Hugging Face names it, e.g. cc-by-nc-4.0; default: the corpus's own, where it "
        "has one that can be passed on",
    )
    add_root_option(parser)
    add_source_options(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main, "interrupted; the folder is there whole, or not at all")


if __name__ == "__main__":
    command()
