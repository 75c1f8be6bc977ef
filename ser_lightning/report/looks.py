"""Which pairs of runs an answer of a study has been seen of: p-values hold for one look, at a number fixed beforehand.

An answer is seen where a report with p-values is written, of a finished study or with --interim. `looks.json` in the
study's folder has the pairs, by the signatures of both runs: a list for each answer, of those that were new in it. Runs
that take the place of others, made with other code, are pairs of their own, and so is a setting that is new.

Studies beside each other share their runs, and so does what is concluded from them: pairs that an answer of another
study has been seen of are told, whichever of the two was first.
"""

import json
from itertools import chain
from pathlib import Path

import numpy as np

from ser_lightning.errors import UserError
from ser_lightning.files import read_json, write_whole
from ser_lightning.metrics import HEADLINE
from ser_lightning.report.material import Material
from ser_lightning.report.scored import pairs
from ser_lightning.report.summary import counted, listed

LOOKS = "looks.json"

Pairs = frozenset[tuple[str, str]]


def record_look(material: Material) -> None:
    """Remember the pairs of runs that the study's answer is made from; call it under `report_lock`.

    Raises `UserError` where `looks.json` cannot be read.
    """
    looks = _read(material.study)
    new = frozenset(chain.from_iterable(_compared(material))).difference(*looks)
    if new:
        content = [sorted(look) for look in (*looks, new)]
        write_whole(material.study / LOOKS, json.dumps(content, indent=1))


def later_pairs(material: Material) -> str | None:
    """That comparisons have pairs of runs from after an answer to them was seen, in a sentence; None: none has.

    Of several comparisons the numbers are those of the one to which most pairs were added. Raises `UserError` where
    `looks.json` cannot be read.
    """
    looks, extended = _read(material.study), []
    comparisons = _compared(material)
    for comparison in comparisons:
        first = next((look for look in looks if look & comparison), comparison)
        seen = len(first & comparison)
        if later := len(comparison) - seen:
            extended.append((later, seen))
    if not extended:
        return None
    later, seen = max(extended)
    verb = "was" if later == 1 else "were"
    several = f" in {len(extended)} of {len(comparisons)} comparisons" if len(comparisons) > 1 else ""
    return (
        f"After an answer from {counted(seen, 'pair')} of runs had been seen, {counted(later, 'pair')} {verb} "
        f"added{several}; the p-values are those of a single look, and too small for more than one."
    )


def shared_pairs(material: Material) -> str | None:
    """That pairs of runs also stand in answers of other studies in the same folder, in a sentence; None: none does.

    Raises `UserError` where the `looks.json` of one of them cannot be read.
    """
    own = frozenset(chain.from_iterable(_compared(material)))
    others = [file.parent for file in sorted(material.study.parent.glob(f"*/{LOOKS}"))] if own else []
    seen = {study.name: own.intersection(chain.from_iterable(_read(study))) for study in others}
    seen = {name: pairs for name, pairs in seen.items() if pairs and name != material.study.name}
    if not seen:
        return None
    number = len(frozenset(chain.from_iterable(seen.values())))
    verb = "stands" if number == 1 else "stand"
    return (
        f"Of {counted(len(own), 'pair')} of runs {number} also {verb} in an answer that was seen of "
        f"{listed(list(seen))}; each study's p-values are corrected for its own comparisons alone."
    )


def _compared(material: Material) -> list[Pairs]:
    """Of each comparison that the study's answer has a p-value of, its pairs of runs; none while it has no answer."""
    if not material.decided:
        return []
    rows = material.differences.to_dict("records")
    compared = [(row["job"], row["reference"]) for row in rows if np.isfinite(row[f"{HEADLINE}_p"])]
    return [_pairs(material, job, reference) for job, reference in compared]


def _pairs(material: Material, job: int, reference: int) -> Pairs:
    common = pairs(material.jobs[job], material.jobs[reference], material.scored)
    return frozenset((one.result.signature, other.result.signature) for one, other in common)


def _read(study: Path) -> list[Pairs]:
    file = study / LOOKS
    try:
        return [frozenset((one, other) for one, other in look) for look in read_json(file)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); put back a copy of it, or delete it, after which no report knows which "
            "answers were seen before"
        ) from error
