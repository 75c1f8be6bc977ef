"""What was run, on what, and how to run it again."""

from typing import Any

import numpy as np
import pandas as pd
import yaml

from ser_lightning.data.leakage import audit_line, copies_line, dev_line
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.document import Block, Code, Section, Table, Text
from ser_lightning.report.looks import later_pairs, shared_pairs
from ser_lightning.report.material import Material
from ser_lightning.report.summary import Provenance, ScoredRun, counted, describe_protocol, listed, settings_table
from ser_lightning.runs.jobs import Job, mixed_origins
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import COMMAND
from ser_lightning.runs.varying import show_value

SYNTHETIC = "The corpus is synthetic speech, made to try the program: its numbers say nothing about people."


def warnings(material: Material) -> list[str]:
    """What a reader must know before believing a number."""
    facts = material.facts
    words = [SYNTHETIC] if facts.synthetic else []
    if facts.finished < facts.planned:
        missing = [
            f"{name}: {planned - done} of {planned}"
            for name, done, planned in zip(
                material.names, material.summary["runs"], material.summary["planned"], strict=True
            )
            if done < planned
        ]
        sentence = f"Unfinished: {facts.finished} of {facts.planned} runs are finished. Missing: {'; '.join(missing)}."
        words.append(sentence)
    if material.left_out:
        words.append(
            f"Left out, being of another corpus or sound than the last runs: {listed(material.left_out)}; their "
            "command, given again, trains them on the present one."
        )
    unbegun = [name for name, job in zip(material.names, material.jobs, strict=True) if not job.runs]
    if unbegun:
        words.append(f"Without a single planned run: {'; '.join(unbegun)}.")
    if copied := copies_line(facts.audit):
        words.append(f"{copied}: what was trained on is tested.")
    words += filter(
        None,
        (
            later_pairs(material),
            shared_pairs(material),
            _given_trainings(material),
            _repeated_divisions(material),
            _trivial_cues(material),
        ),
    )
    if mixed := mixed_origins([job for job in material.jobs if any(run in material.scored for run in job.runs)]):
        words.append(
            f"Not all settings were trained with one version of {' and '.join(mixed)}, changed between this study's "
            "commands; those commands, given again, train all settings with the present one."
        )
    return [*words, *(material.chapter.warnings if material.chapter else [])]


def _given_trainings(material: Material) -> str | None:
    """That intervals are conditional on what was trained on, all runs of a setting testing the same speakers; None
    where there is no such interval."""
    if material.question != "new people":
        return None
    jobs, rows = {*np.flatnonzero(material.summary[f"{HEADLINE}_half"].notna())}, material.differences
    if not rows.empty:
        jobs |= {*rows.loc[rows[f"{HEADLINE}_half"].notna(), "job"]}
    trainings = [len({run.result.split for run in material.finished(job)}) for job in jobs if _one_group(material, job)]
    if not trainings:
        return None
    if min(trainings) == 1:
        return (
            "There is one division into parts: its intervals hold given its training part, and know nothing of the "
            "luck of another training. Runs with other seeds (-m seed=0,1,2) make that luck smaller."
        )
    return (
        "All trainings of a setting test the same speakers: the intervals hold given these training parts, and know "
        "nothing of the luck of another training."
    )


def _one_group(material: Material, job: int) -> bool:
    groups = {frozenset(material.speaker_of[name] for name in run.test.ids) for run in material.finished(job)}
    return len(groups) == 1


def _repeated_divisions(material: Material) -> str | None:
    """That settings were trained more than once on one division into parts; None where they were not."""
    divisions = [[run.result.split for run in material.finished(job)] for job in range(len(material.jobs))]
    repeated = [splits for splits in divisions if len(set(splits)) < len(splits)]
    if not repeated:
        return None
    splits = max(repeated, key=len)
    return (
        f"Of the {len(splits)} runs of a setting several are on one division into parts, of which there are "
        f"{len(set(splits))}: those differ in the seed alone, and count as one, by their mean."
    )


def _trivial_cues(material: Material) -> str | None:
    """That what has nothing to do with the voice recognises as well as the best network may; None where it does not."""
    scores = material.summary[[HEADLINE, f"{HEADLINE}_half"]].to_numpy(dtype=np.float64)
    if np.isnan(scores[:, 0]).all():
        return None
    best, half = scores[np.nanargmax(scores[:, 0])]
    low = best - np.nan_to_num(half)
    cues = 100 * material.facts.audit.cue_ua
    if cues < low:
        return None
    interval = "" if np.isnan(half) else f", in an interval from {low:.1f} %"
    return (
        f"A random forest that knows only length, silence at the ends, peak and level of a recording reaches a UA of "
        f"{cues:.0f} %, where the best network has {best:.1f} %{interval}: the recordings may give the classes away."
    )


def section(material: Material) -> Section:
    """Corpus, protocol, training, audit, environment, configuration, command."""
    facts = material.facts
    counts = ", ".join(f"{name} {number}" for name, number in facts.class_counts.items())
    left_out = f"{facts.left_out} unusable recordings were left out" if facts.left_out else "no recording was unusable"
    takes = "" if facts.audit.take is None else " A take is the same speaker, sentence and class once more."
    unchosen = ", without what was not chosen" if material.candidates else ""
    blocks: list[Block] = [
        Text(f"Corpus: {corpus_name(facts)}, {facts.utterances} utterances ({counts}); {left_out}."),
        Text(
            f"Protocol: {facts.protocol} ({describe_protocol(facts.protocol)}), {counted(facts.folds, 'fold')} x "
            f"{counted(facts.repeats, 'repetition')}; {facts.finished} of {facts.planned} runs. "
            f"Leak audit: {'; '.join(filter(None, (audit_line(facts.audit), dev_line(facts.audit))))}.{takes} What a "
            "random forest reaches by length, silence at the ends, peak and level, the recordings give away."
        ),
        Text(f"Training: {_training(facts)} It took {duration(facts.seconds)} in all{unchosen}."),
        Text(f"Environment: {facts.device}; precision: {facts.precision}; {facts.versions}."),
        *_settings(material),
        Text(
            "Finished runs are kept and never trained twice; the same command (each of them, where there are several) "
            "goes on where it was stopped, and where all is finished writes this report anew:"
        ),
        Code(command(material)),
        Text(
            "Beside this report: figures/ (PNG, PDF), tables/ (CSV, Markdown, LaTeX; runs.csv has a row for every "
            "run), results.json (all numbers), split.csv (who is tested when)."
        ),
    ]
    return Section("What was run", blocks)


def _training(facts: Provenance) -> str:
    """How long and by what, in sentences; and where no step is made."""
    fitted = "no step is made, and the head is fitted to the training part"
    if not facts.steps:
        return f"{fitted}."
    rate = f" at a learning rate of {facts.learning_rate}" if facts.learning_rate else ""
    steps = (
        f"{facts.steps} steps of {facts.batch_size} utterances ({facts.epochs} epochs){rate} ({facts.note}); the "
        "parameters with the best dev UA are tested."
    )
    return f"{steps} In {counted(facts.untrained, 'run')} {fitted}." if facts.untrained else steps


def command(material: Material) -> str:
    """The commands that made the study, a line each."""
    try:
        return (material.study / COMMAND).read_text().strip()
    except FileNotFoundError:
        return f"python -m ser_lightning.report {material.study.name}"


def run_table(material: Material) -> pd.DataFrame:
    """A row per finished run, with all settings in which runs differ: its seed, too, and what its fold has chosen; of
    jobs that share a run the first is named."""
    runs: dict[str, Job] = {}
    titles = []
    for title, job in zip(material.names, material.jobs, strict=True):
        for name in job.runs:
            if name in material.scored and name not in runs:
                runs[name] = Job(job.name, material.scored[name].result.settings)
                titles.append(title)
    table = settings_table(list(runs.values()))
    table.insert(0, "job", titles)
    return table.join(pd.DataFrame([_run_row(material.scored[name]) for name in runs]))


def corpus_name(facts: Provenance) -> str:
    """The corpus, and whether it is synthetic."""
    return f"the synthetic {facts.corpus} corpus" if facts.synthetic else facts.corpus


def duration(seconds: float) -> str:
    """A time for reading."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _settings(material: Material) -> list[Block]:
    """As YAML, under dotted keys, those that no job has otherwise; what differs is in the jobs' names. Of a study whose
    settings have names instead those that all have, and a table of what else each is."""
    tables = [flat(job.settings) for job in material.jobs]
    named = bool(material.purpose.references or material.purpose.described)
    settings = {key: value for table in tables for key, value in table.items()}
    shared = {
        key: value
        for key, value in settings.items()
        if all(table[key] == value if key in table else not named for table in tables)
    }
    text = yaml.safe_dump(shared, sort_keys=False, default_flow_style=None).strip()
    if not named:
        return [Code(text, "Settings that no run has otherwise")]
    own = [", ".join(f"{key}={show_value(one)}" for key, one in table.items() if key not in shared) for table in tables]
    rows = pd.DataFrame({"setting": material.names, "its own": own})
    return [Code(text, "Settings that all runs share"), Table("settings", "What else each setting has", rows, rows)]


def _run_row(run: ScoredRun) -> dict[str, Any]:
    result = run.result
    return {
        "repeat": result.repeat,
        "fold": result.fold,
        **{metric: run.score(metric) for metric in METRICS},
        "dev_ua": 100 * result.dev_ua,
        "dev_wa": 100 * result.dev_wa,
        **{f"{part}_utterances": number for part, number in result.utterances.items()},
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": result.seconds,
        "precision": result.precision,
        "device": result.device,
        "split": result.split,
        "signature": result.signature,
    }
