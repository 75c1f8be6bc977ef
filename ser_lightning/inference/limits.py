"""What must be known of a model's answers, wherever they are shown: how it was tested, and what was not."""

from dataclasses import dataclass, replace
from html import escape
from math import isnan, nan

from ser_lightning.data.leakage import FoldAudit, audit_line
from ser_lightning.inference.exported import ExportedModel
from ser_lightning.inference.sources import Source
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.protocol import SYNTHETIC
from ser_lightning.report.summary import used

HEADING = "## What these answers are worth"
NOT_TESTED = (
    "A class is what listeners, or a script, called utterances of this corpus that sound alike; it is not what a "
    "person feels. Other languages, microphones, rooms, ages and spontaneous speech were not tested unless the corpus "
    "has them. Not for decisions about people."
)


@dataclass(frozen=True)
class Score:
    """A mean over the runs of a setting, in per cent, and half the width of its 95 % interval; nan where there is none.

    >>> print(Score(71.234, 3.05)), print(Score(50, nan))
    71.2 ± 3.0 %
    50.0 %
    (None, None)
    """

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} %" if isnan(self.half) else f"{self.mean:.1f} ± {self.half:.1f} %"


@dataclass(frozen=True)
class Tested:
    """How the networks of a source were tested.

    Attributes:
        ua, wa: of its setting's runs, each on its own test part.
        caption: protocol, leak audit and what else the numbers are of.
        chance, cues: UA in per cent by guessing, and by length, silence and level of a recording alone.
        corpus: its utterances, by class; '' where that is not known.
    """

    ua: Score
    wa: Score
    caption: str
    chance: float
    cues: float
    corpus: str = ""


def read_test(source: Source) -> Tested:
    """How a source was tested. Raises `UserError` where the study's runs cannot be read."""
    if source.study is None:
        (result,) = source.results
        audit = audit_line(FoldAudit(**result.audit)) if result.audit else ""
        words = [f"{result.corpus}, {result.protocol} protocol; one run, without a study", audit, *result.uses]
        caption = " | ".join(filter(None, words))
        chance, cues = (100 * float(result.audit.get(name, nan)) for name in ("chance", "cue_ua"))
        return Tested(Score(100 * result.ua, nan), Score(100 * result.wa, nan), caption, chance, cues)
    material = read_material(source.study, source.runs)
    runs = {result.signature for result in source.all_results}
    # Divisions of several settings may have chosen the same run
    rows = zip(material.names, material.jobs, strict=True)
    shared = [(len(runs & {*job.runs}), name == source.setting) for name, job in rows]
    row = shared.index(max(shared))
    ua, wa = (
        Score(float(material.summary[name][row]), float(material.summary[f"{name}_half"][row])) for name in ("ua", "wa")
    )
    facts = material.facts
    counts = ", ".join(f"{name} {number}" for name, number in facts.class_counts.items())
    corpus = f"{facts.corpus}, {facts.utterances} utterances ({counts})"
    caption = replace(facts, uses=used(source.all_results), intervals=not isnan(ua.half)).caption
    return Tested(ua, wa, caption, 100 * facts.audit.chance, 100 * facts.audit.cue_ua, corpus)


def limits(source: Source | ExportedModel) -> str:
    """A model's test and its limits, in Markdown: UA with its interval, protocol, leak audit, and what is not known.

    Raises `UserError` where the study's runs cannot be read.
    """
    if isinstance(source, ExportedModel):
        return harmless(source.contents.limits)
    return describe_test(source, read_test(source))


def describe_test(source: Source, test: Tested) -> str:
    """How a source was tested, and its limits, in Markdown."""
    warning = [f"**{SYNTHETIC}**"] if source.results[0].synthetic else []
    return "\n\n".join([HEADING, *warning, *_sentences(source, test), NOT_TESTED])


def harmless(text: str) -> str:
    """Markdown of others, with neither HTML nor pictures, which would be fetched from elsewhere."""
    return escape(text, quote=False).replace("![", "!\\[")


def _sentences(source: Source, test: Tested) -> list[str]:
    runs, answering = len(source.all_results), source.results
    references = (
        f"UA is the mean recall of the classes: guessing gets {test.chance:.0f} %, and whoever knows only length, "
        f"silence and level of a recording {test.cues:.0f} %."
    )
    if isnan(test.ua.half):
        references += " Too little was tested for an interval."
    if runs == 1:
        return [f"Tested with UA {test.ua}, in one run. {references}", test.caption]
    tested = f"Tested with UA {test.ua}, the mean over the test parts of the setting's {runs} runs. {references}"
    if len(answering) > 1:
        tested += " Each network was tested singly; what they say together, as here, was not."
    else:
        tested += f" The one that answers here has {100 * answering[0].ua:.1f} % on its own test part."
    return [tested, test.caption]
