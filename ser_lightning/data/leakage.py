"""What the leak audit of a fold found, and how it is told. Who computes it: `data/audit.py`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

# Loudness and tempo are part of emotion, so that cues do better than chance on honest speech too; a corpus gives its
# labels away where they go more than this share of the way from chance to perfect.
ALARM = 0.5


@dataclass(frozen=True)
class FoldAudit:
    """The audit of one fold. A share is of the test utterances, in [0, 1]; None where the corpus does not say.

    Attributes:
        utterances: of the test part.
        speaker: share whose speaker is also in training, of those whose speaker is known; take likewise.
        dialogue: share whose dialogue is also in training.
        sentence: share whose sentence (text id) is also in training.
        audio: share whose very samples are also in training.
        copy: share of which training has a copy, trimmed, scaled or encoded anew, see `features.fingerprint`.
        take: share whose speaker says the same sentence in the same class in training too.
        dev_speaker, dev_take, dev_copy, dev_dialogue: the same shares with the dev part, by which parameters are
            selected.
        scene: share whose scene, of many lines, is also in training, where that is what a text id names; sentence and
            take are unknown then.
        length_drift: Kolmogorov-Smirnov distance of the lengths of test and training, in [0, 1].
        class_drift: total variation distance of the class shares of test and training, in [0, 1].
        cue_ua: UA on the test part that length, silences, peak and level reach without any spectrogram.
        chance: UA of guessing.
    """

    utterances: int
    speaker: float | None
    dialogue: float | None
    sentence: float | None
    audio: float
    length_drift: float
    class_drift: float
    cue_ua: float
    chance: float
    # Audits of earlier versions do not tell
    copy: float | None = None
    take: float | None = None
    dev_speaker: float | None = None
    dev_take: float | None = None
    dev_copy: float | None = None
    dev_dialogue: float | None = None
    scene: float | None = None


def average_audit(audits: Iterable[FoldAudit]) -> FoldAudit:
    """One audit of several folds: shares, drifts and UA are means over folds, utterances are summed.

    What one fold does not know (None) is unknown of all.
    """
    table = pd.DataFrame([asdict(audit) for audit in audits]).astype(float)
    mean = {name: None if table[name].isna().any() else float(table[name].mean()) for name in table}
    return FoldAudit(**{**mean, "utterances": int(table["utterances"].sum())})  # type: ignore[arg-type]


def findings(audit: FoldAudit) -> list[str]:
    """What of an audit is a leak under any protocol, a sentence each; a clean split has none."""
    leaks = []
    if audit.audio:
        leaks.append(f"{percent(audit.audio)} of the test recordings are also in training, sample for sample")
    if copied := copies_line(audit):
        leaks.append(copied)
    # of the mean of class recalls, were all classes of like size
    luck = 2 * np.sqrt(audit.chance * (1 - audit.chance) / audit.utterances)
    if audit.cue_ua > audit.chance + ALARM * (1 - audit.chance) + luck:
        leaks.append(
            f"length, silence and level alone reach a UA of {percent(audit.cue_ua)}, chance being "
            f"{percent(audit.chance)}: the recordings give the label away"
        )
    return leaks


def copies_line(audit: FoldAudit) -> str:
    """That training has copies of test recordings that are not the same samples; empty where it has none."""
    if not audit.copy or audit.copy <= audit.audio:
        return ""
    return (
        f"{percent(audit.copy - audit.audio)} of the test recordings have a likely copy in training, trimmed, scaled "
        "or encoded anew"
    )


def audit_line(audit: FoldAudit) -> str:
    """What stands beside every UA: what test shares with training, and what the cues alone reach.

    >>> audit_line(FoldAudit(60, 1.0, None, None, 0.0, 0.1, 0.1, 0.3, 0.25))
    'test shares with training: speakers 100 %, recordings 0 % | by length, silence, level alone: UA 30 %'
    """
    nouns = {
        "speakers": audit.speaker,
        "dialogues": audit.dialogue,
        "scenes": audit.scene,
        "sentences": audit.sentence,
        "takes": audit.take,
        "recordings": max(audit.audio, audit.copy or 0.0),
    }
    return f"test shares with training: {_list(nouns)} | by length, silence, level alone: UA {percent(audit.cue_ua)}"


def dev_line(audit: FoldAudit) -> str:
    """What test shares with the part that selects the parameters; empty where an earlier version made the audit.

    >>> dev_line(FoldAudit(60, 0.0, None, 0.5, 0.0, 0.1, 0.1, 0.3, 0.25, 0.0, 0.0, 1.0, 0.5, 0.0))
    'test shares with dev: speakers 100 %, takes 50 %, recordings 0 %'
    """
    nouns = {"speakers": audit.dev_speaker, "dialogues": audit.dev_dialogue, "takes": audit.dev_take}
    shares = _list({**nouns, "recordings": audit.dev_copy})
    return f"test shares with dev: {shares}" if shares else ""


def _list(shares: Mapping[str, float | None]) -> str:
    """'speakers 50 %, recordings 0 %': those that are known."""
    return ", ".join(f"{noun} {percent(share)}" for noun, share in shares.items() if share is not None)


def percent(share: float) -> str:
    """A share for reading; a small one that is not zero does not look like zero.

    >>> [percent(share) for share in (0.5, 0.001, 0.0)]
    ['50 %', '0.1 %', '0 %']
    """
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{100 * share:.2g} %"
