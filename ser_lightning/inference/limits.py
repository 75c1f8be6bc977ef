"""What must be known of a model's answers, wherever they are shown: how it was tested, and what was not."""

from math import isnan

from ser_lightning.inference.sources import Source
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.protocol import SYNTHETIC

NOT_TESTED = (
    "A class is what listeners, or a script, called utterances of this corpus that sound alike; it is not what a "
    "person feels. Other languages, microphones, rooms, ages and spontaneous speech were not tested unless the corpus "
    "has them. Not for decisions about people."
)


def limits(source: Source) -> str:
    """A model's test and its limits, in Markdown: UA with its interval, protocol, leak audit, and what is not known.

    Raises `UserError` where the study's runs cannot be read.
    """
    return "\n\n".join(["## What these answers are worth", *_test(source), NOT_TESTED])


def _test(source: Source) -> list[str]:
    first = source.results[0]
    warning = [f"**{SYNTHETIC}**"] if first.synthetic else []
    if source.study is None:
        place = f"{first.corpus}, {first.protocol} protocol"
        return [*warning, f"Tested on {place}: UA {100 * first.ua:.1f} % in one run."]
    material = read_material(source.study, source.runs)
    runs = {result.signature for result in source.all_results}
    row = next(number for number, job in enumerate(material.jobs) if runs & {*job.runs})
    ua, half = (float(material.summary[column][row]) for column in ("ua", "ua_half"))
    interval = "" if isnan(half) else f" ± {half:.1f}"
    tested = f"Tested with UA {ua:.1f}{interval} %, the mean over the test parts of the setting's runs."
    return [*warning, tested, material.facts.caption]
