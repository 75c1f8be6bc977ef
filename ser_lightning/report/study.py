"""The report of a study, whichever command made it: what it says, and all files that say it."""

from collections.abc import Sequence
from pathlib import Path

from ser_lightning.report.document import Report
from ser_lightning.report.files import report_lock, write_report
from ser_lightning.report.looks import record_look
from ser_lightning.report.material import Material, read_material
from ser_lightning.report.sections import (
    annotators,
    answer,
    calibration,
    choices,
    confusions,
    corpora,
    curves,
    families,
    features,
    protocol,
    readouts,
    scores,
    speakers,
)
from ser_lightning.report.summary import counted
from ser_lightning.report.tables import FEW
from ser_lightning.runs.varying import spell


def report_study(
    study: Path, runs: Path, show: str = "", metrics: Sequence[str] = (), interim: bool = False, workers: int = 1
) -> Report:
    """Write a study's report into its folder, from the runs finished so far; returns it.

    `show`, `metrics` and `interim` as for `read_material`, `workers` as for `write_report`.

    Reads the study's folder and those of its runs alone. Raises `UserError` where there is no finished run, where runs
    are of different corpora or protocols, and where a file is missing or damaged: which one, and what mends it.
    """
    return read_and_report(study, runs, show, metrics, interim, workers)[1]


def read_and_report(
    study: Path, runs: Path, show: str = "", metrics: Sequence[str] = (), interim: bool = False, workers: int = 1
) -> tuple[Material, Report]:
    """The same, with the material that the report is made from."""
    with report_lock(study):
        material = read_material(study, runs, show, metrics, interim)
        return material, keep_report(material, workers)


def keep_report(material: Material, workers: int = 1) -> Report:
    """Write what a report says into the study's folder, and that its answer has been seen; returns it.

    The material is to be read, and this called, under one `report_lock`; `workers` as for `write_report`.
    """
    report = compile_report(material)
    # First, lest a report be there whose answer nobody has seen
    record_look(material)
    write_report(report, material.study, workers)
    return report


def compile_report(material: Material) -> Report:
    """All that a report says, with the chapter of the study's paper."""
    chapter = material.chapter
    candidates = [
        answer.section(material),
        corpora.section(material),
        scores.section(material),
        families.section(material),
        choices.section(material),
        confusions.section(material),
        speakers.section(material),
        annotators.section(material),
        features.section(material),
        readouts.section(material),
        curves.section(material),
        calibration.section(material),
        protocol.section(material),
    ]
    sections = [section for section in candidates if section is not None]
    facts = material.facts
    return Report(
        title=f"{chapter.title if chapter else _subject(material)} on {protocol.corpus_name(facts)}",
        claim=answer.claim(material),
        answer=_answer(material),
        warnings=protocol.warnings(material),
        caption=facts.caption,
        facts={
            "corpus": facts.corpus,
            "synthetic": facts.synthetic,
            "protocol": facts.protocol,
            "classes": facts.class_counts,
            "folds": facts.folds,
            "repetitions": facts.repeats,
            "runs_finished": facts.finished,
            "runs_planned": facts.planned,
            "device": facts.device,
            "precision": facts.precision,
            "versions": facts.versions,
            "command": protocol.command(material),
            "baseline": list(material.purpose.baseline),
            "paper": material.purpose.paper if chapter else None,
            **(chapter.facts if chapter else {}),
        },
        sections=chapter.revise(sections) if chapter else sections,
        records={"runs": protocol.run_table(material)},
    )


def _answer(material: Material) -> list[str]:
    """The answer to the claim, or where settings are not compared what corpora are worth for each other first."""
    across, words = corpora.sentences(material), answer.answer(material)
    return [*words, *across] if material.compared or not material.decided else [*across, *words]


def _subject(material: Material) -> str:
    varied = ", ".join(spell(word) for word in material.columns.values())
    if len(material.columns) > FEW or not varied:
        return f"Speech emotion recognition: {counted(len(material.jobs), 'setting')}"
    return f"Speech emotion recognition by {varied}"
