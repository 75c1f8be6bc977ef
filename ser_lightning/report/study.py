"""The report of a study, whichever command made it: what it says, and all files that say it."""

from pathlib import Path

from ser_lightning.report.document import Report
from ser_lightning.report.files import write_report
from ser_lightning.report.material import Material, read_material
from ser_lightning.report.sections import (
    annotators,
    answer,
    calibration,
    confusions,
    curves,
    features,
    protocol,
    readouts,
    scores,
    speakers,
    verdicts,
)


def report_study(study: Path, runs: Path, workers: int = 1) -> Report:
    """Write a study's report into its folder, from the runs finished so far; returns it. For `workers`: `write_report`.

    Reads the study's folder and those of its runs alone. Raises `UserError` where there is no finished run, where runs
    are of different corpora or protocols, and where a file is missing or damaged: which one, and what mends it.
    """
    report = compile_report(read_material(study, runs))
    write_report(report, study, workers)
    return report


def compile_report(material: Material) -> Report:
    """All that a report says."""
    sections = [
        answer.section(material),
        scores.section(material),
        verdicts.section(material),
        confusions.section(material),
        speakers.section(material),
        annotators.section(material),
        features.section(material),
        readouts.section(material),
        curves.section(material),
        calibration.section(material),
        protocol.section(material),
    ]
    facts = material.facts
    return Report(
        title=f"{_subject(material)} on {protocol.corpus_name(facts)}",
        claim=answer.claim(material),
        answer=answer.answer(material),
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
            "comparable_with_the_paper": facts.like_the_paper,
            "device": facts.device,
            "precision": facts.precision,
            "versions": facts.versions,
            "command": protocol.command(material),
        },
        sections=[section for section in sections if section is not None],
        records={"runs": protocol.run_table(material)},
    )


def _subject(material: Material) -> str:
    return "Centre loss for speech emotion recognition" if material.against_softmax else "A study of settings"
