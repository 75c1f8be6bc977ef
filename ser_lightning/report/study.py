"""The reports of a study: the table and curves of a sweep, or all that the paper shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.drawing import row_percent
from ser_lightning.files import write_whole
from ser_lightning.report import paper
from ser_lightning.report.figures import (
    INPUTS,
    confusion,
    feature_panels,
    sensitivity,
    setting_bars,
    sweep_curves,
)
from ser_lightning.report.files import write_figure
from ser_lightning.report.statistics import holm
from ser_lightning.report.summary import (
    Provenance,
    ScoredRun,
    average,
    confusion_of,
    damaged,
    paired_difference,
    provenance,
    score_runs,
    summarise,
)
from ser_lightning.report.tables import (
    csv,
    markdown,
    shared_runs,
    show_beside_paper,
    show_jobs,
    show_number,
    show_p,
    write_table,
)
from ser_lightning.runs.ledger import FEATURES, read_features
from ser_lightning.runs.study import Job, read_jobs

NOT_COMPARABLE = (
    "These numbers are not comparable with the paper's, which are of all 5531 utterances of IEMOCAP's four classes "
    "under the paper's protocol: where the paper's stand beside them, compare the direction and the order of magnitude "
    "of an effect, not its value."
)
SYNTHETIC = "The corpus is synthetic speech, made to try the program: its numbers say nothing about people."
INTERVALS = (
    "± is half of the 95 % interval of the mean over runs, corrected for the training utterances that runs share "
    "(Nadeau and Bengio 2003); two runs are too few for one."
)


def write_sweep(study: Path, runs: Path) -> Path:
    """Write sweep.csv, sweep.md and, where something varies, curves.png and curves.pdf into the study's folder.

    Returns the path of sweep.md. Raises `UserError` as `summarise` and `provenance` do.
    """
    jobs = read_jobs(study)
    facts = provenance(jobs, runs)
    summary = summarise(jobs, runs)
    write_whole(study / "sweep.csv", csv(summary, facts.caption))
    parts = [
        f"# Sweep on {_corpus(facts)}",
        _unfinished(jobs, summary, facts),
        markdown(show_jobs(summary), facts.caption),
        INTERVALS,
        shared_runs(summary),
    ]
    if write_figure(sweep_curves(summary, facts.caption), study / "curves"):
        parts.append(_embedded("curves.png", "UA and WA of the sweep", facts))
    write_whole(study / "sweep.md", _joined([*parts, _what_was_run(facts)]) + "\n")
    return study / "sweep.md"


def write_paper_report(study: Path, runs: Path, command: str) -> Path:
    """Write report.md, figures/ and tables/ of the paper's study into its folder, from the runs finished so far.

    Jobs are recognised by their settings. What has no finished run yet is left out, and the text says so. `command`
    is what the reader is told to repeat. Returns the path of report.md; raises `UserError` as `score_runs` and
    `provenance` do.
    """
    jobs = read_jobs(study)
    facts = provenance(jobs, runs)
    scored = score_runs(jobs, runs)
    material = _Material(study, runs, jobs, scored, average(jobs, scored), facts)
    write_whole(study / "tables" / "runs.csv", csv(_run_table(material), facts.caption))
    parts = [
        f"# Centre loss for speech emotion recognition: the paper's study on {_corpus(facts)}",
        _unfinished(jobs, material.summary, facts),
        _what_was_run(facts),
        _settings_section(material),
        _sensitivity_section(material),
        _features_section(material),
        _confusions_section(material),
        _rerun_section(command),
    ]
    write_whole(study / "report.md", _joined(parts) + "\n")
    return study / "report.md"


@dataclass(frozen=True)
class _Material:
    """What the sections of a paper report are written from; `summary` has a row per job, in the order of `jobs`."""

    folder: Path
    runs: Path
    jobs: Sequence[Job]
    scored: Mapping[str, ScoredRun]
    summary: pd.DataFrame
    facts: Provenance

    def setting(self, of: paper.Setting) -> int | None:
        """The row of one of settings 1-4 if it has a finished run."""
        rows = self.summary
        alpha = rows["alpha"].isna() if of.alpha is None else np.isclose(rows["alpha"], of.alpha)
        found = (rows["features"] == of.features) & np.isclose(rows["lam"], of.lam) & alpha & (rows["runs"] > 0)
        return int(np.flatnonzero(found)[0]) if found.any() else None

    def figure(self, name: str) -> Path:
        """Where a figure is written, without its ending."""
        return self.folder / "figures" / name

    def write_table(self, name: str, numbers: pd.DataFrame, shown: pd.DataFrame) -> str:
        """Write a table as CSV and Markdown; returns the latter."""
        return write_table(self.folder / "tables" / name, numbers, shown, self.facts.caption)


def _settings_section(material: _Material) -> str:
    heading, facts = "## Settings 1 to 4", material.facts
    rows: list[dict[Any, Any]] = []
    for of in paper.SETTINGS:
        index = material.setting(of)
        if index is not None:
            ours = material.summary.loc[index].to_dict()
            rows.append({"setting": of.number, **ours, "paper_ua": of.ua, "paper_wa": of.wa})
    if not rows:
        write_figure(None, material.figure("fig5"))
        return _joined([heading, "The table and Fig. 5 are left out: no setting has a finished run yet."])
    settings = pd.DataFrame(rows)
    missing = [str(of.number) for of in paper.SETTINGS if of.number not in set(settings["setting"])]
    published = {of.number: (of.ua, of.wa) for of in paper.SETTINGS} if facts.like_the_paper else None
    write_figure(setting_bars(settings, facts.caption, published), material.figure("fig5"))
    shown = show_beside_paper(settings, ["setting", "features", "lam", "alpha"])
    return _joined(
        [
            heading,
            f"Left out, without a finished run yet: setting {', '.join(missing)}." if missing else "",
            material.write_table("settings", settings, shown),
            INTERVALS,
            _gains(material),
            _embedded("figures/fig5.png", "Fig. 5. UA and WA of settings 1 to 4", facts),
        ]
    )


def _gains(material: _Material) -> str:
    """What centre loss adds on each input, from differences fold by fold."""
    rows: list[dict[str, Any]] = []
    for without, with_centre in (paper.SETTINGS[:2], paper.SETTINGS[2:]):
        i, j = material.setting(without), material.setting(with_centre)
        gain = None
        if i is not None and j is not None:
            gain = paired_difference(material.jobs[j], material.jobs[i], material.scored)
        if gain is not None and gain["runs"]:
            name = f"setting {with_centre.number} minus {without.number} ({INPUTS[without.features]})"
            theirs = {"paper_ua": with_centre.ua - without.ua, "paper_wa": with_centre.wa - without.wa}
            rows.append({"difference": name, **gain, **theirs})
    if not rows:
        return ""
    gains = pd.DataFrame(rows)
    gains["ua_p_holm"] = holm(gains["ua_p"].tolist())
    shown = show_beside_paper(gains, ["difference"]).rename(columns=lambda name: name.replace("(%)", "(points)"))
    shown["UA, p"] = gains["ua_p"].map(show_p)
    shown["UA, p for all"] = gains["ua_p_holm"].map(show_p)
    shown["UA, detectable"] = gains["ua_detectable"].map(show_number)
    explained = (
        "What centre loss adds, paired: the two runs of a pair are trained and tested on the same division. p: of no "
        "difference, two-sided; for all: corrected for their number by Holm's method. Detectable: the smallest "
        "difference that so many runs of this spread would find with a probability of 80 %."
    )
    return _joined([explained, material.write_table("gains", gains, shown)])


def _sensitivity_section(material: _Material) -> str:
    mel = material.summary[material.summary["features"] == "logmel"]
    alphas = mel[np.isclose(mel["lam"], paper.LAM)]
    lams = mel[(mel["lam"] == 0) | np.isclose(mel["alpha"], paper.ALPHA)]
    title_a = f"Fig. 3(a). UA and WA against alpha; log-Mel, lambda = {paper.LAM:g}"
    title_b = f"Fig. 3(b). UA and WA against lambda; log-Mel, alpha = {paper.ALPHA:g}"
    return _joined(
        [
            "## Sensitivity",
            _sensitivity_to("alpha", alphas, paper.FIG3A, material, "fig3a", title_a),
            _sensitivity_to("lam", lams, paper.FIG3B, material, "fig3b", title_b),
        ]
    )


def _sensitivity_to(
    x: str,
    points: pd.DataFrame,
    published: Mapping[float, tuple[float, float]],
    material: _Material,
    name: str,
    title: str,
) -> str:
    """One half of Fig. 3 with its table."""
    facts = material.facts
    points = points[points["runs"] > 0].drop_duplicates(x).sort_values(x)
    if points.empty:
        write_figure(None, material.figure(name))
        return f"{title}: left out, none of its jobs has a finished run yet."
    figure = sensitivity(points, x, facts.caption, published if facts.like_the_paper else None)
    write_figure(figure, material.figure(name))
    theirs = [published.get(value, (np.nan, np.nan)) for value in points[x]]
    points = points.assign(paper_ua=[ua for ua, _ in theirs], paper_wa=[wa for _, wa in theirs])
    table = material.write_table(name, points, show_beside_paper(points, [x]))
    return _joined([_embedded(f"figures/{name}.png", title, facts), table])


def _features_section(material: _Material) -> str:
    heading, stem = "## Features", material.figure("fig4")
    folders = {of.lam: _folders_by_fold(material, of) for of in paper.SETTINGS[:2]}
    common = set.intersection(*(set(of) for of in folders.values()))
    if not common:
        write_figure(None, stem)
        return _joined([heading, "Fig. 4 is left out: settings 1 and 2 have no finished run of the same fold yet."])
    repeat, fold = min(common)
    features = {lam: _features(of[repeat, fold]) for lam, of in folders.items()}
    # One run of each stands for all: runs have no common axes.
    caption = f"{material.facts.caption} | shown: repetition {repeat}, fold {fold}"
    write_figure(feature_panels(features, list(material.facts.class_counts), caption), stem)
    title = f"Fig. 4. Features z on their first two principal components; repetition {repeat}, fold {fold}"
    return _joined([heading, _embedded("figures/fig4.png", title, material.facts)])


def _folders_by_fold(material: _Material, of: paper.Setting) -> dict[tuple[int, int], Path]:
    """The folders of a setting's finished runs by (repetition, fold)."""
    index = material.setting(of)
    if index is None:
        return {}
    finished = [material.scored[name].result for name in material.jobs[index].runs if name in material.scored]
    return {(result.repeat, result.fold): material.runs / result.signature for result in finished}


def _features(folder: Path) -> pd.DataFrame:
    try:
        return read_features(folder)
    except (OSError, ValueError) as error:
        raise damaged(folder, FEATURES, error) from error


def _confusions_section(material: _Material) -> str:
    first, second = paper.SETTINGS[:2], paper.SETTINGS[2:]
    return _joined(["## Confusions", _confusions("table1", first, material), _confusions("table2", second, material)])


def _confusions(name: str, settings: Sequence[paper.Setting], material: _Material) -> str:
    """Table 1 or 2: one figure, and a table for each of its two settings."""
    classes = list(material.facts.class_counts)
    matrices, tables = {}, []
    for of in settings:
        index = material.setting(of)
        if index is None:
            tables.append(f"Table {of.table} is left out: setting {of.number} has no finished run yet.")
            continue
        counts = confusion_of(material.jobs[index], material.scored)
        matrices[rf"({of.table[-1]}) {INPUTS[of.features]}, $\lambda$ = {of.lam:g}"] = counts
        tables.append(_confusion_table(of, counts, material))
    figure = confusion(matrices, classes, material.facts.caption) if matrices else None
    if not write_figure(figure, material.figure(name)):
        return _joined(tables)
    title = f"Table {settings[0].table[0]}. Confusions on {INPUTS[settings[0].features]}, rows true, percent of the row"
    return _joined([_embedded(f"figures/{name}.png", title, material.facts), *tables])


def _confusion_table(of: paper.Setting, counts: np.ndarray, material: _Material) -> str:
    """A confusion matrix in percent, beside the paper's where that is of the same corpus."""
    classes = list(material.facts.class_counts)
    percent = pd.DataFrame(row_percent(counts), columns=classes)
    shown = percent.map("{:.1f}".format)
    if material.facts.like_the_paper and classes == list(paper.CLASSES):
        theirs = pd.DataFrame(paper.CONFUSIONS[of.table], columns=[f"{name}, paper" for name in classes])
        shown = shown.join((100 * theirs).map("{:.1f}".format))
    for table in (percent, shown):
        table.insert(0, "true", classes)
        table.insert(1, "utterances", counts.sum(axis=1))
    title = f"Table {of.table}, setting {of.number}: {INPUTS[of.features]}, lambda = {of.lam:g}"
    return _joined([title, material.write_table(f"table{of.table}", percent, shown.astype(str))])


def _rerun_section(command: str) -> str:
    return _joined(
        [
            "## Again",
            "Finished runs are kept and never trained twice; the same command goes on where it was stopped:",
            f"```\n{command}\n```",
            "The figures lie in `figures/` as PNG and PDF, the tables in `tables/` as CSV and Markdown, and a row for "
            "every run in `tables/runs.csv`.",
        ]
    )


def _run_table(material: _Material) -> pd.DataFrame:
    """A row per finished run; of jobs that share it the first is named."""
    rows: dict[str, dict[str, Any]] = {}
    for job, of in zip(material.jobs, material.summary.to_dict("records"), strict=True):
        for signature in job.runs:
            if signature in material.scored and signature not in rows:
                settings = {name: of[name] for name in ("features", "lam", "alpha")}
                rows[signature] = {"job": job.name, **settings, **_run_row(material.scored[signature])}
    return pd.DataFrame(list(rows.values()))


def _run_row(run: ScoredRun) -> dict[str, Any]:
    result = run.result
    return {
        "repeat": result.repeat,
        "fold": result.fold,
        "ua": run.ua,
        "wa": run.wa,
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


def _what_was_run(facts: Provenance) -> str:
    counts = ", ".join(f"{name} {number}" for name, number in facts.class_counts.items())
    left_out = f"{facts.left_out} unusable recordings were left out" if facts.left_out else "none was left out"
    text = (
        f"What was run: {facts.caption}. {facts.utterances} utterances ({counts}); {left_out}. "
        f"Steps per run: {facts.steps}. Utterances per batch: {facts.batch_size}. "
        f"Learning rate: {facts.learning_rate}. Why these: {facts.note}. "
        "UA is the mean of the class recalls, WA the share of utterances recognised; both are of the test part. "
        f"Precision: {facts.precision}. Device: {facts.device}. Training took {_duration(facts.seconds)} in total. "
        f"Versions: {facts.versions}."
    )
    warnings = [SYNTHETIC] if facts.synthetic else []
    if not facts.like_the_paper:
        warnings.append(NOT_COMPARABLE)
    return _joined([text, " ".join(warnings)])


def _unfinished(jobs: Sequence[Job], summary: pd.DataFrame, facts: Provenance) -> str:
    """The note at the top of a report that is written before the study's end."""
    if facts.finished == facts.planned:
        return ""
    missing = summary["planned"] - summary["runs"]
    lines = [
        f"> - {job.name}: {number} of {len(job.runs)}" for job, number in zip(jobs, missing, strict=True) if number
    ]
    start = f"> **Unfinished**: {facts.finished} of {facts.planned} runs are finished. Missing:\n>"
    return "\n".join([start, *lines])


def _corpus(facts: Provenance) -> str:
    return f"the synthetic {facts.corpus} corpus" if facts.synthetic else facts.corpus


def _embedded(path: str, title: str, facts: Provenance) -> str:
    return f"![{title}]({path})\n\n{title}.\n\n*{facts.caption}*"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
