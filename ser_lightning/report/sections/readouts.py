"""Other classifiers on the features z, beside the network's own head."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import METRICS, confusion_counts
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.samples import Pair, difference_row, score_row
from ser_lightning.report.scored import Outputs, ScoredRun
from ser_lightning.report.tables import with_half, with_halves
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import read_readout, readout_file

EXPLAINED = (
    "A read-out is another classifier, fitted to the features z of a finished run's training part in place of the "
    "network's last layer, and scored on the same test part: it asks what the features hold, whatever the layer they "
    "were trained with makes of them. Differences are to that layer, the head, paired by run."
)

# No choice can have this name
HEAD = "network's head"


def section(material: Material) -> Section | None:
    """The scores of the read-outs that the study's jobs asked for; None where there are none yet."""
    rows = readout_rows(material.jobs, material.scored, material.runs, material.speaker_of)
    if rows.empty:
        return None
    numbers = rows.assign(setting=[material.names[job] for job in rows["job"]])
    shown = numbers[["setting", "readout", "runs"]].astype(str).rename(columns={"readout": "read-out"})
    for metric in material.metrics:
        shown[f"{METRICS[metric].label} (%)"] = with_halves(rows, metric)
        gains = rows[[f"{metric}_gain", f"{metric}_gain_half"]].set_axis([metric, f"{metric}_half"], axis=1)
        shown[f"{METRICS[metric].label} against the head"] = with_halves(gains, metric, signed=True)
    table = Table("readouts", "Scores of read-outs, and of the network's own head", numbers, shown)
    return Section("Read-outs", [Text(EXPLAINED), table])


def readout_lines(
    jobs: Sequence[Job], scored: Mapping[str, ScoredRun], runs: Path, speaker_of: Mapping[str, str]
) -> list[str]:
    """A line for the terminal per read-out: UA and WA, and the differences to the head."""
    lines = []
    for row in readout_rows(jobs, scored, runs, speaker_of).to_dict("records"):
        if row["readout"] != HEAD:
            scores = [
                f"{METRICS[metric].label} {with_half(row[metric], row[f'{metric}_half'])} % "
                f"({with_half(row[f'{metric}_gain'], row[f'{metric}_gain_half'], signed=True)} against the head)"
                for metric in ("ua", "wa")
            ]
            job = f"{jobs[row['job']].name}, " if len(jobs) > 1 else ""
            lines.append(f"{job}readout {row['readout']}: {', '.join(scores)}")
    return lines


def readout_rows(
    jobs: Sequence[Job], scored: Mapping[str, ScoredRun], runs: Path, speaker_of: Mapping[str, str]
) -> pd.DataFrame:
    """A row per job for its head, then one for each of its read-outs; none for jobs without.

    Columns: job (its number), readout, runs (that have it), and for a metric the mean over them, percent (ua), half of
    its 95 % interval (ua_half), the mean of the difference to the head in the same runs, points (ua_gain), and half of
    its interval (ua_gain_half). Raises `UserError` where a file is damaged.

    Args:
        jobs: of a study.
        scored: their finished runs by signature.
        runs: the folder that all runs lie in.
        speaker_of: id -> who spoke.
    """
    labels = _labels(jobs)
    rows: list[dict[str, Any]] = []
    for number, job in enumerate(jobs):
        finished = [scored[name] for name in job.runs if name in scored]
        readouts = {labels[stem]: _pairs(finished, runs, stem) for stem in job.readouts}
        if any(readouts.values()):
            for label, pairs in {HEAD: [(run, run) for run in finished], **readouts}.items():
                gains = difference_row([] if label == HEAD else pairs, speaker_of)
                scores = score_row([run for run, _ in pairs], speaker_of)
                rows.append({"job": number, "readout": label, "runs": len(pairs), **_numbers(scores, gains)})
    return pd.DataFrame(rows)


def _labels(jobs: Sequence[Job]) -> dict[str, str]:
    """What read-outs are called: their names, with the settings in which those of one name differ."""
    settings = {stem: one for job in jobs for stem, one in job.readouts.items()}
    labels = {}
    for stem, own in settings.items():
        namesakes = [one for one in settings.values() if one["name"] == own["name"]]
        varied = [f"{key}={value}" for key, value in own.items() if any(one.get(key) != value for one in namesakes)]
        labels[stem] = " ".join([own["name"], *varied])
    return labels


def _pairs(finished: Sequence[ScoredRun], runs: Path, stem: str) -> list[Pair]:
    """The runs that have a read-out: as it scores them, and as the network does."""
    pairs = []
    for run in finished:
        folder, classes = runs / run.result.signature, run.result.classes
        try:
            table = read_readout(folder, stem)
            if table is None:
                continue
            test = table[table["part"] == "test"]
            labels = pd.Index(classes).get_indexer(pd.Index(test["label"]))
            logits = test[[f"logit_{name}" for name in classes]].to_numpy()
            outputs = Outputs(test["id"].to_numpy(), labels, logits)
        except (OSError, ValueError, KeyError) as error:
            file, reason = readout_file(folder, stem), " ".join(str(error).split())
            raise UserError(f"{file} is damaged ({reason}); delete it and repeat the study's command") from error
        confusion = confusion_counts(labels, outputs.recognised, len(classes))
        pairs.append((replace(run, test=outputs, confusion=confusion), run))
    return pairs


def _numbers(scores: Mapping[str, float], gains: Mapping[str, float]) -> dict[str, float]:
    columns = [name for key in METRICS for name in (key, f"{key}_half")]
    return {
        **{name: scores[name] for name in columns},
        **{f"{key}_gain{end}": gains[f"{key}{end}"] for key in METRICS for end in ("", "_half")},
    }
