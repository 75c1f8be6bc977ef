"""A report as files: figures, tables, Markdown, one HTML page, and everything for machines."""

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure

from ser_lightning.files import write_whole
from ser_lightning.report.document import Block, Code, Image, Picture, Report, Text
from ser_lightning.report.failure import FAILURE
from ser_lightning.report.figures import render
from ser_lightning.report.page import html_page
from ser_lightning.report.tables import csv, latex, markdown

REPORT, PAGE, RESULTS = "report.md", "report.html", "results.json"
FIGURE_KINDS, TABLE_KINDS = ("png", "pdf"), ("csv", "md", "tex")


def report_lock(folder: Path) -> FileLock:
    """Of several commands that report one study, each reads its runs and writes when the others have.

    Who holds it may write: else what was read before would be written over what another has read since.
    """
    return FileLock(folder / "report.lock", is_singleton=True)


def write_report(report: Report, folder: Path, workers: int = 1) -> None:
    """Write report.html, report.md, results.json, figures/ and tables/; what an earlier report had more is removed.

    Figures take most of the time; `workers` processes, forks of this one, draw them side by side. A process that has
    threads should not be forked. See `report_lock`.
    """
    with report_lock(folder):
        _write(report, folder, workers)


def _write(report: Report, folder: Path, workers: int) -> None:
    (folder / FAILURE).unlink(missing_ok=True)
    images = _draw(report.pictures, folder / "figures", workers)
    for table in report.tables:
        stem = folder / "tables" / table.name
        write_whole(stem.with_suffix(".csv"), csv(table.numbers, report.caption))
        write_whole(stem.with_suffix(".md"), f"{markdown(table.shown)}\n\n*{report.caption}*\n")
        write_whole(stem.with_suffix(".tex"), latex(table.shown, table.title, report.caption))
    for name, records in report.records.items():
        write_whole(folder / "tables" / f"{name}.csv", csv(records, report.caption))
    write_whole(folder / REPORT, markdown_report(report))
    write_whole(folder / RESULTS, json.dumps(results(report), indent=1))
    write_whole(folder / PAGE, html_page(report, images))
    _remove_others(folder / "figures", {f"{name}.{kind}" for name in images for kind in FIGURE_KINDS})
    tables = {f"{table.name}.{kind}" for table in report.tables for kind in TABLE_KINDS}
    _remove_others(folder / "tables", tables | {f"{name}.csv" for name in report.records})


def _draw(pictures: Sequence[Picture], folder: Path, workers: int) -> dict[str, Image]:
    """Name -> image of the pictures, which are written into the folder."""
    if workers == 1:
        return {picture.name: write_figure(picture.figure, folder / picture.name) for picture in pictures}
    # To send to a process what a figure is drawn from would take long: forks have it by inheritance
    fork = multiprocessing.get_context("fork")
    others = set(multiprocessing.active_children())
    try:
        with ProcessPoolExecutor(workers, fork, initializer=_inherited.extend, initargs=(pictures,)) as pool:
            images = pool.map(_draw_inherited, range(len(pictures)), [folder] * len(pictures))
            return {picture.name: image for picture, image in zip(pictures, images, strict=True)}
    except OSError:
        # Where not all could be started, nobody tells those that were to end, and this one would wait for them for ever
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
            process.join()
        raise


# In a forked process, the pictures of the one that it is a fork of
_inherited: list[Picture] = []


def _draw_inherited(number: int, folder: Path) -> Image:
    picture = _inherited[number]
    return write_figure(picture.figure, folder / picture.name)


def write_figure(figure: Figure, stem: Path) -> Image:
    """Write `stem`.png and `stem`.pdf; returns the former."""
    contents = []
    for kind in FIGURE_KINDS:
        contents.append(render(figure, kind))
        write_whole(stem.with_name(f"{stem.name}.{kind}"), contents[-1])
        # The first kind has laid the figure out; again would take as long as drawing it.
        figure.set_layout_engine("none")
    return Image(contents[0], figure.get_figwidth())


def markdown_report(report: Report) -> str:
    """The report as Markdown, its figures beside it."""
    parts = [f"# {report.title}", f"**Answer.** {report.answer[0]}", *report.answer[1:]]
    parts += [f"**Claim.** {report.claim}"]
    parts += [f"> {warning}" for warning in report.warnings]
    for section in report.sections:
        parts += [f"## {section.title}", *(_as_markdown(block) for block in section.blocks), f"*{report.caption}*"]
    return "\n\n".join(parts) + "\n"


def _as_markdown(block: Block) -> str:
    if isinstance(block, Text):
        return block.words
    if isinstance(block, Code):
        return (f"{block.title}:\n\n" if block.title else "") + f"```\n{block.lines}\n```"
    if isinstance(block, Picture):
        return f"![{block.title}](figures/{block.name}.png)\n\n{block.title}."
    return f"{block.title}:\n\n{markdown(block.shown)}"


def results(report: Report) -> dict[str, Any]:
    """Every number of a report, in full; what is not known is null."""
    tables = {table.name: table.numbers for table in report.tables} | report.records
    return {
        "title": report.title,
        "claim": report.claim,
        "answer": report.answer,
        "warnings": report.warnings,
        "provenance": report.caption,
        **report.facts,
        "tables": {name: _records(table) for name, table in tables.items()},
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records", double_precision=10))


def _remove_others(folder: Path, names: set[str]) -> None:
    for file in folder.glob("*"):
        if file.name not in names:
            file.unlink()
