"""The paper's chapter of a report: Fig. 3, 4 and 5 and Tables 1 and 2 under their names, its numbers beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from ser_lightning.papers.icassp2019 import numbers, verdicts
from ser_lightning.papers.icassp2019.study import is_comparable, of_its_kind, points, published, setting_jobs
from ser_lightning.report.chapter import Chapter, Group
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.figures import bars, sensitivity
from ser_lightning.report.material import Material
from ser_lightning.report.tables import show_number
from ser_lightning.runs.varying import show_value

TITLE = "Centre loss for speech emotion recognition"
CLAIM = (
    "Centre loss recognises better than softmax alone: the same network, utterances and divisions into parts, once "
    "with lambda = 0 and once with lambda above it."
)
NOT_COMPARABLE = (
    f"These numbers are not comparable with those of {numbers.CITATION}, which are of all 5531 utterances of IEMOCAP's "
    f"four classes under the paper's protocol, after {numbers.STEPS['logmel']} training steps on log-Mel and "
    f"{numbers.STEPS['logstft']} on log-STFT, and do not stand here: only the direction of an effect can be compared."
)

# The paper's tables of confusions.
TABLES = {"logmel": "1", "logstft": "2"}


def chapter(material: Material) -> Chapter | None:
    """What the paper adds to a study of its kind, on whatever corpus; None for a study of anything else."""
    if not of_its_kind(material):
        return None
    pages = Pages(material)
    return Chapter(
        title=TITLE,
        claim=CLAIM if material.purpose.baseline == ("loss.lam=0",) else "",
        groups=pages.groups(),
        revise=pages.revise,
        warnings=[] if pages.comparable else [NOT_COMPARABLE],
        facts={"comparable_with_the_paper": pages.comparable},
    )


@dataclass(frozen=True)
class Pages:
    """The paper's view of a study."""

    material: Material

    @cached_property
    def comparable(self) -> bool:
        """Whether the paper's numbers may stand beside the study's."""
        return is_comparable(self.material)

    @cached_property
    def points(self) -> pd.DataFrame:
        """See `study.points`."""
        return points(self.material)

    @cached_property
    def published(self) -> list[tuple[float, float]]:
        """The paper's UA and WA of each job, NaN where it has none."""
        own = [published(row) for _, row in self.points.iterrows()]
        # The reference system is the last
        others = [None] * (len(self.material.jobs) - len(own))
        return [values or (np.nan, np.nan) for values in [*own, *others]]

    def groups(self) -> list[Group]:
        """For each input a reference and the job that is compared with it and has the paper's lambda and alpha, or,
        where none has, the best one; an input without a comparison has its first finished job."""
        compared, features = self.material.compared, self.points["features"]
        jobs: dict[str, list[int]] = {}
        rivals: dict[str, list[int]] = {}
        for reference in dict.fromkeys(compared.values()):
            others = [job for job, other in compared.items() if other == reference]
            chosen = next((job for job in others if self._has_the_papers_values(job)), None)
            best = self.material.best(others) if chosen is None else chosen
            jobs.setdefault(features[reference], [reference, best])
            rivals.setdefault(features[reference], others if chosen is None else [])
        for job in np.flatnonzero(self.points["runs"] > 0):
            jobs.setdefault(features[job], [int(job)])
        suffixes = ["", *(f"_{name}" for name in list(jobs)[1:])]
        return [
            self.material.gather(pair, suffix, rivals.get(name, []))
            for (name, pair), suffix in zip(jobs.items(), suffixes, strict=True)
        ]

    def revise(self, sections: list[Section]) -> list[Section]:
        """The sections with the paper's names and numbers, and the verdicts on these after the scores."""
        revised = []
        for section in sections:
            blocks = [self._revise_block(block) for block in section.blocks]
            if section.title == "Scores":
                blocks = self._add_figures(blocks)
            revised.append(Section(section.title, blocks))
            if section.title == "Scores" and self.comparable and self.material.decided:
                verdict = verdicts.section(self.material)
                revised += [verdict] if verdict else []
        return revised

    def _has_the_papers_values(self, job: int) -> bool:
        row = self.points.loc[job]
        return bool(np.isclose(row["lam"], numbers.LAM) and np.isclose(row["alpha"], numbers.ALPHA))

    def _revise_block(self, block: Block) -> Block:
        if isinstance(block, Picture) and block.name in ("features", "features_common"):
            return replace(block, name=block.name.replace("features", "fig4"), title=f"Fig. 4. {block.title}")
        if isinstance(block, Picture | Table) and block.name.startswith("confusions"):
            return self._revise_confusions(block)
        if isinstance(block, Table) and self.comparable and block.name == "scores":
            return self._add_scores(block)
        if isinstance(block, Table) and self.comparable and block.name == "differences":
            return self._add_differences(block)
        return block

    def _revise_confusions(self, block: Picture | Table) -> Block:
        """Tables 1 and 2; unless other jobs were asked for."""
        if self.material.selection:
            return block
        group = max(
            (group for group in self.material.shown if block.name.startswith(f"confusions{group.suffix}")),
            key=lambda group: len(group.suffix),
        )
        features = self.points["features"][group.jobs[0]]
        number, part = TABLES[features], block.name.removeprefix(f"confusions{group.suffix}").removeprefix("_")
        if not part:
            title = f"Table {number}. Confusions on {show_value(features)}, rows true, percent of the row"
            return replace(block, name=f"table{number}", title=title)
        if part == "difference":
            title = f"Table {number}b minus {number}a, points"
            return replace(block, name=f"table{number}_difference", title=title)
        job = group.jobs["ab".index(part)]
        setting = setting_jobs(self.points).get(job)
        words = [f"setting {setting.number}: {show_value(features)}"] if setting else [show_value(features)]
        title = f"Table {number}{part}, {', '.join([*words, group.labels[job]])}"
        table = replace(block, name=f"table{number}{part}", title=title)
        return self._add_confusions(table, setting) if isinstance(table, Table) and setting else table

    def _add_confusions(self, table: Table, setting: numbers.Setting) -> Table:
        if not self.comparable or self.material.classes != list(numbers.CLASSES):
            return table
        columns = [f"{name}, paper" for name in self.material.classes]
        percent = 100 * pd.DataFrame(numbers.CONFUSIONS[setting.table], columns=columns)
        return replace(table, shown=table.shown.join(percent.map("{:.1f}".format)))

    def _add_scores(self, table: Table) -> Table:
        ua, wa = (list(values) for values in zip(*self.published, strict=True))
        if np.isnan(ua).all():
            return table
        shown = {"UA, paper (IEMOCAP)": map(show_number, ua), "WA, paper (IEMOCAP)": map(show_number, wa)}
        rows = table.shown.assign(**{name: list(cells) for name, cells in shown.items()})
        return replace(table, numbers=table.numbers.assign(paper_ua=ua, paper_wa=wa), shown=rows)

    def _add_differences(self, table: Table) -> Table:
        pairs = self.material.differences[["job", "reference"]].itertuples(index=False)
        points = [self.published[job][0] - self.published[reference][0] for job, reference in pairs]
        if np.isnan(points).all():
            return table
        cells = ["–" if np.isnan(value) else f"{value:+.2f}" for value in points]
        shown = table.shown.assign(**{"UA, paper (IEMOCAP)": cells})
        return replace(table, numbers=table.numbers.assign(paper_ua=points), shown=shown)

    def _add_figures(self, blocks: list[Block]) -> list[Block]:
        """Fig. 5 and 3 before the sweep's own curves, which go where they would show nothing else."""
        own = [block for block in blocks if isinstance(block, Picture)]
        finished = [values for values, runs in zip(self.published, self.material.summary["runs"], strict=True) if runs]
        if not np.isnan(finished).any():
            own = [block for block in own if block.name != "sweep"]
        rest = [block for block in blocks if not isinstance(block, Picture)]
        return [*rest, *self._figure_5(), *self._figure_3(), *own]

    def _figure_5(self) -> list[Block]:
        """Where the study has settings of both inputs, as the paper's has."""
        jobs = setting_jobs(self.points)
        rows = self.points.loc[list(jobs)]
        if rows["features"].nunique() < 2:
            return []
        settings = list(jobs.values())
        labels = [f"setting {one.number}\n{show_value(one.features)}\nlambda = {one.lam:g}" for one in settings]
        values = [(one.ua, one.wa) for one in settings] if self.comparable else None
        draw = partial(bars, rows, labels, self.material.facts.caption, values)
        listed = ", ".join(str(one.number) for one in settings)
        return [Picture("fig5", f"Fig. 5. UA and WA of settings {listed}", draw)]

    def _figure_3(self) -> list[Block]:
        mel = self.points[self.points["features"] == "logmel"]
        lams = mel[(mel["lam"] == 0) | np.isclose(mel["alpha"], numbers.ALPHA)]
        alphas = mel[np.isclose(mel["lam"], numbers.LAM)]
        title_a = f"Fig. 3(a). UA and WA against alpha; log-Mel, lambda = {numbers.LAM:g}"
        title_b = f"Fig. 3(b). UA and WA against lambda; log-Mel, alpha = {numbers.ALPHA:g}"
        return [
            *self._sensitivity("alpha", alphas, numbers.FIG3A, "fig3a", title_a),
            *self._sensitivity("lam", lams, numbers.FIG3B, "fig3b", title_b),
        ]

    def _sensitivity(
        self, x: str, rows: pd.DataFrame, values: Mapping[float, tuple[float, float]], name: str, title: str
    ) -> list[Block]:
        """One half of Fig. 3, where the study varies what is on its axis."""
        if rows[x].nunique() < 2:
            return []
        finished = rows[rows["runs"] > 0]
        if finished.empty:
            return [Text(f"{title}: left out, none of its settings has a finished run yet.")]
        draw = partial(sensitivity, finished, x, self.material.facts.caption, values if self.comparable else None)
        return [Picture(name, title, draw)]
