"""Emotions of recordings by what a study has trained: `ser predict STUDY speech.wav folder/ table.csv --out x.csv`.

Or live, by a microphone: `ser predict STUDY --microphone`.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning import __version__
from ser_lightning.errors import UserError
from ser_lightning.files import absolute, refuse_unwritable
from ser_lightning.inference.sources import add_source_options
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.terminal import tell, tracked

if TYPE_CHECKING:
    from ser_lightning.inference.ensemble import Answer
    from ser_lightning.inference.predictions import Row
    from ser_lightning.inference.recognizer import Recognizer
    from ser_lightning.inference.recordings import Item


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer on the recordings that are named, on stdout or in the file of `--out`.

    Raises `UserError` where study, recordings or options are not as they should be, and where there is no recording
    that could be answered.
    """
    # Recordings may stand behind options too
    options = _parser().parse_intermixed_args(arguments)
    if options.microphone == bool(options.recordings):
        raise UserError("name recordings, folders or tables of them to be answered, or --microphone, and not both")
    from ser_lightning.inference.predictions import format_of
    from ser_lightning.inference.recordings import find_items

    out = absolute(options.out) if options.out else None
    if options.microphone and (out or options.timeline):
        raise UserError("--microphone answers in the terminal; --out and --timeline are for recordings")
    # All that may be wrong is said before what takes longer
    items = find_items(options.recordings, options.one_speaker)
    if out:
        format_of(out)
        if any(item.path == out for item in items) or any(absolute(word) == out for word in options.recordings):
            raise UserError(f"--out {options.out}: it is one of what is to be answered; name another file")
        if out.is_dir():
            raise UserError(f"--out {options.out}: it is a folder; name a file")
        refuse_unwritable(f"--out {options.out}", out)
    if options.timeline:
        refuse_unwritable(f"--timeline {options.timeline}", absolute(options.timeline) / "picture")
    if options.window is not None and not 0 < options.window < float("inf"):
        raise UserError(f"--window {options.window}: give a number of seconds above 0")
    # Importing torch takes longer than all that is above
    from ser_lightning.inference.recognizer import Recognizer

    recognizer = Recognizer.load(
        options.study,
        setting=options.setting,
        run=options.run,
        window=options.window,
        trust=options.trust,
        output=options.output,
    )
    tell(str(recognizer.source))
    if recognizer.familiar.reason:
        tell(f"recordings of the study itself are not recognised as such: {recognizer.familiar.reason}")
    if options.microphone:
        from ser_lightning.inference.microphone import listen

        listen(recognizer)
        return
    rows = _answer_all(recognizer, items, out)
    if options.timeline:
        _draw(recognizer, rows, absolute(options.timeline))
    _summarise(rows, len(items), out)


def _answer_all(recognizer: "Recognizer", items: Sequence["Item"], out: Path | None) -> "list[list[Row]]":
    """The rows of every item, which are written on the way."""
    from ser_lightning.inference.predictions import Journal, columns, csv_writer, rows_of, write_rows

    classes = recognizer.classes
    names = columns(classes)
    if out is None:
        given = recognizer.answer(items)
        table = csv_writer(sys.stdout, names)
        table.writeheader()
        kept = []
        for item, answers in given:
            kept.append(rows_of(item, answers, classes))
            table.writerows(kept[-1])
        return kept
    with Journal(out, _key(recognizer)) as journal:
        # By speaker an answer depends on all that there is
        again = recognizer.ensemble.needs_speakers
        done = {} if again else {item: known for item in items if (known := journal.known(item)) is not None}
        left = [item for item in items if item not in done]
        if len(left) < len(items):
            tell(f"{len(items) - len(left)} of {len(items)} recordings were answered before; going on")
        for item, answers in _shown(recognizer, left):
            done[item] = rows_of(item, answers, classes)
            journal.note(item, done[item])
        rows = [done[item] for item in items]
        write_rows(out, [row for several in rows for row in several], names)
    return rows


def _shown(recognizer: "Recognizer", items: Sequence["Item"]) -> "Iterator[tuple[Item, list[Answer]]]":
    answers = recognizer.answer(items) if items else iter([])
    return tracked(answers, "recordings", len(items), sys.stderr.isatty(), stderr=True)


def _key(recognizer: "Recognizer") -> list[object]:
    """What names a command that goes on where it was interrupted: its networks, and what it does with recordings."""
    ensemble = recognizer.ensemble
    signatures = [[network.signature, network.precision] for network in ensemble.networks]
    return [__version__, signatures, ensemble.temperatures, ensemble.longest, ensemble.window]


def _draw(recognizer: "Recognizer", rows: "list[list[Row]]", folder: Path) -> None:
    """A timeline of every recording that has several answers."""
    from ser_lightning.inference.timeline import draw_timeline

    drawn: set[str] = set()
    for several in rows:
        if len(several) < 2:
            continue
        stem = Path(several[0]["file"]).stem
        name = next(one for one in (stem, *(f"{stem}-{n}" for n in range(2, len(rows) + 2))) if one not in drawn)
        drawn.add(name)
        caption = f"{several[0]['file']} - {recognizer.source}"
        draw_timeline(several, recognizer.classes, caption, folder / f"{name}.png")
    if drawn:
        tell(f"timelines: {len(drawn)} in {folder}")
    else:
        tell("no timeline: no recording has more than one answer; --window SECONDS cuts shorter ones too")


def _summarise(rows: "list[list[Row]]", items: int, out: Path | None) -> None:
    """Say how it went; raise `UserError` where nothing could be answered."""
    from ser_lightning.inference.ensemble import OWN

    bad = sum(all(row["class"] is None for row in several) for several in rows)
    own = sum(
        any(row["class"] is not None and (row["note"] or "").startswith(OWN) for row in several) for several in rows
    )
    if own:
        tell(
            f"{own} of {items} are recordings of the study itself, answered by those networks alone that were not "
            "trained on them; see the column note"
        )
    if out:
        tell(f"{sum(map(len, rows))} rows of {items} recordings: {out}")
    if bad:
        first = next(several[0] for several in rows if all(row["class"] is None for row in several))
        line = f"{bad} of {items} could not be answered, e.g. {first['file']}: {first['note']}"
        if bad == items:
            raise UserError(line)
        tell(f"{line}; the column note says why")


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("predict"),
        description="Recognise emotions in recordings by the networks of a study's folds, or by one run. Writes a row "
        "per recording, or per stretch of a long one: file, start, end, class, a calibrated probability per class "
        "(p_), its standard deviation over the networks (sd_), and a note.",
    )
    parser.add_argument("study", help="a study or a run, by name or folder, or an exported folder")
    parser.add_argument("recordings", nargs="*", help="recordings, folders of them, tables: CSV with a column file")
    parser.add_argument("--out", metavar="FILE", help="a .csv, .jsonl or .parquet; default: CSV on stdout")
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="cut recordings that are longer into windows of this length; default: those longer than the networks "
        "were trained with, into windows of a typical training utterance",
    )
    parser.add_argument("--timeline", metavar="FOLDER", help="draw the answers on long recordings over time, PNG")
    parser.add_argument("--one-speaker", action="store_true", help="all recordings are of one (normalise=speaker)")
    parser.add_argument("--microphone", action="store_true", help="answer live, until Ctrl-C; needs sounddevice")
    add_source_options(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main, "interrupted; with --out, the same command goes on")


if __name__ == "__main__":
    command()
