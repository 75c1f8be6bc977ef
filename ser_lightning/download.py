"""Get an open corpus: `ser download emodb` (or ravdess)."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ser_lightning.corpora.archives import SOURCES, Fetched, fetch, read_checksums
from ser_lightning.errors import UserError
from ser_lightning.invocation import Parser, command_line, end_clearly


def main(arguments: Sequence[str] | None = None) -> None:
    """Download a corpus, check its files, and print the command that trains on it.

    Raises `UserError` for an unknown corpus and for whatever keeps the download from its end.
    """
    options = _parser().parse_args(arguments)
    if options.corpus not in SOURCES:
        raise UserError(f"{options.corpus} is not a corpus that can be downloaded; choose one of {', '.join(SOURCES)}")
    source = SOURCES[options.corpus]
    url = options.url or source.url
    target = options.to or Path(os.environ.get("SER_OUTPUT", "outputs"), "corpora", options.corpus)
    print(f"{options.corpus}, licence {source.licence}, from {url}", flush=True)
    print(describe(options.corpus, target, fetch(options.corpus, url, target, read_checksums(options.corpus))))


def describe(corpus: str, folder: Path, fetched: Fetched) -> str:
    """What is in the folder now, how far it is checked, and what to type next."""
    lines = [f"{folder}: all {fetched.listed} listed files are there with the right SHA-256"]
    if not fetched.downloaded:
        lines[0] = f"{folder} is complete already, nothing was downloaded: {fetched.listed} files as listed"
    if fetched.unlisted:
        lines.append(f"{fetched.unlisted} more wav files are not covered by the list and were not checked")
    train = command_line("train")
    return "\n".join([*lines, f"Next: {train} corpus={corpus} {shlex.quote(f'corpus.root={folder}')}"])


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("download"),
        description="Download an open corpus and check its files. An interrupted download is gone on with.",
    )
    parser.add_argument("corpus", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="the corpus's folder; default: corpora/CORPUS in $SER_OUTPUT or outputs",
    )
    parser.add_argument("--from", dest="url", metavar="URL", help="the archive's address, if not its authors'")
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main, interrupted="interrupted; the same command goes on from there")


if __name__ == "__main__":
    command()
