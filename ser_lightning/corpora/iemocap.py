"""IEMOCAP (Busso et al. 2008): the consensus labels of dialog/EmoEvaluation, in the layout of the full release."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from ser_lightning.corpora.licences import Licence
from ser_lightning.corpora.manifest import RATINGS, SCENES
from ser_lightning.errors import UserError

log = logging.getLogger(__name__)

SESSIONS = ("Session1", "Session2", "Session3", "Session4", "Session5")

# The full release's utterances by kind and speaker, in the order of CODES; other codes are not checked.
CODES = ("neu", "ang", "sad", "exc", "hap")
RELEASE = {
    "improvised": {
        "1F": (119, 37, 43, 54, 18), "1M": (104, 25, 61, 45, 15),
        "2F": (90, 7, 63, 88, 25), "2M": (127, 15, 37, 49, 29),
        "3F": (95, 22, 108, 41, 39), "3M": (103, 68, 82, 48, 21),
        "4F": (51, 47, 41, 119, 10), "4M": (123, 37, 40, 45, 21),
        "5F": (151, 18, 73, 68, 56), "5M": (136, 13, 60, 106, 50),
    },
    "scripted": {
        "1F": (52, 110, 35, 9, 51), "1M": (109, 57, 55, 35, 51),
        "2F": (45, 60, 50, 8, 45), "2M": (100, 55, 47, 65, 18),
        "3F": (35, 70, 64, 7, 41), "3M": (87, 80, 51, 55, 34),
        "4F": (25, 158, 21, 35, 21), "4M": (59, 85, 41, 39, 13),
        "5F": (70, 60, 59, 14, 21), "5M": (27, 79, 53, 111, 16),
    },
}  # fmt: skip

# An evaluator's words, in lower case, and the label files' codes for them
WORDS = {
    "neutral": "neu", "anger": "ang", "happiness": "hap", "sadness": "sad", "frustration": "fru",
    "excited": "exc", "surprise": "sur", "fear": "fea", "disgust": "dis", "other": "oth",
}  # fmt: skip

TITLE = "% [START_TIME - END_TIME] TURN_NAME EMOTION"
NUMBER = r"(-?\d+(?:\.\d+)?|nan)"
# [6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]
HEAD = re.compile(rf"\[{NUMBER} - {NUMBER}\]\s+(\S+)\s+([a-z]{{3}})\s+\[{NUMBER}, {NUMBER}, {NUMBER}\]")
# C-E2:<TAB>Neutral; Anger;<TAB>(curious); a line that is cut short lacks the parenthesis
EVALUATOR = re.compile(r"([CA])-(\w+):([^(]*)\(.*\)")
# The letter after Ses01 names who wears the markers; who speaks is the last field's. Some dialogues have a suffix.
NAME = re.compile(
    r"(?P<dialogue>Ses0(?P<session>[1-5])[FM]_(?:impro\d\d|(?P<script>script\d\d_\d))[a-z]?)_(?P<speaker>[FM])\d{3}"
)
TRANSCRIPT = re.compile(r"(\S+) \[[^\]]*\]:\s*(.*)")


class IEMOCAP:
    """IEMOCAP's full release.

    Args:
        labels: the codes whose counts are of interest; None: all.
        complete: the counts must be the full release's; false accepts a subset.
        kinds: which turns: improvised, scripted.
    """

    licence = Licence("a release form that each user signs")
    # A script is a scene that two play, of up to sixty lines each
    texts = SCENES

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        complete: bool = True,
        kinds: Annotated[list[Literal["improvised", "scripted"]], Field(min_length=1)] = ["improvised", "scripted"],  # noqa: B006
    ) -> None:
        self.codes = [code for code in CODES if labels is None or code in labels]
        self.complete, self.kinds = complete, kinds

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of IEMOCAP; `root` is the release's folder, which holds Session1 to Session5, or its parent.

        A turn's speaker is session and letter of the last field of its name, e.g. '1M' for Ses01F_impro01_M000. Its
        `text_id` is the scene that was read, e.g. 'script01_1', the same in every session; '' where it is improvised.
        Its `votes` are in the codes of `raw_label`, a word without a code in lower case; the actors' own (F1, M1) are
        left out.

        Raises `UserError` for a missing session, a label file that is damaged or cut short, an utterance labelled
        twice, and, unless `complete` is false, for counts that are not the full release's.
        """
        release = _release_folder(root)
        sessions = _session_folders(release, self.complete)
        turns = pd.DataFrame([turn for folder in sessions for turn in _read_session(folder)])
        _refuse_second_labels(turns)
        _warn_of_unlabelled(sessions, set(turns["id"]))
        turns = turns[turns["kind"].isin(self.kinds)]
        _check_counts(turns, self.codes, self.kinds, self.complete)
        return turns


def _release_folder(root: Path) -> Path:
    for pattern in ("Session[1-5]", "*/Session[1-5]"):
        holders = sorted({session.parent for session in root.glob(pattern) if session.is_dir()})
        if len(holders) == 1:
            return holders[0]
        if holders:
            names = ", ".join(holder.name for holder in holders)
            raise UserError(f"several folders in {root} hold sessions: {names}; set corpus.root to one")
    raise UserError(
        f"neither {root} nor a folder in it holds Session1; "
        "corpus.root is the folder IEMOCAP_full_release or its parent"
    )


def _session_folders(release: Path, complete: bool) -> list[Path]:
    missing = [name for name in SESSIONS if not (release / name).is_dir()]
    if missing and complete:
        raise UserError(
            f"there is no {', '.join(missing)} in {release}. The full release has Session1 to Session5: "
            "copy what is missing, or accept the corpus without it by corpus.complete=false"
        )
    if missing:
        log.warning("IEMOCAP: there is no %s in %s", ", ".join(missing), release)
    return [release / name for name in SESSIONS if name not in missing]


def _read_session(folder: Path) -> Iterator[dict[str, Any]]:
    """A session's turns, of whatever code."""
    files = _files(folder / "dialog" / "EmoEvaluation", "Ses*.txt")
    if not files:
        raise UserError(f"no label files {folder}/dialog/EmoEvaluation/Ses*.txt; copy them from the release")
    transcripts = _read_transcripts(folder / "dialog" / "transcriptions")
    for file in files:
        for turn in _read_labels(file):
            name = NAME.fullmatch(turn["id"])
            if name is None:
                raise _damaged(turn["place"], f"'{turn['id']}' is no name like Ses01F_impro01_M000")
            yield {
                **turn,
                "path": str(folder / "sentences" / "wav" / name["dialogue"] / f"{turn['id']}.wav"),
                "speaker": name["session"] + name["speaker"],
                "gender": "female" if name["speaker"] == "F" else "male",
                "session": name["session"],
                "dialogue": name["dialogue"],
                "kind": "scripted" if name["script"] else "improvised",
                "text_id": name["script"] or "",
                "transcript": transcripts.get(turn["id"], ""),
            }


def _files(folder: Path, pattern: str) -> list[Path]:
    """The folder's own files, less the AppleDouble ones that a Mac leaves beside each; not those of its folders."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("._"))


def _read_labels(file: Path) -> list[dict[str, Any]]:
    """The turns of one label file: id, code, means of the ratings, votes, and the place they stand at."""
    lines = _read_lines(file)
    turns: list[dict[str, Any]] = []
    # Which of C (words) and A (ratings) the present turn has lines of
    evaluations: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        place = f"{file}, line {number}"
        if line.startswith("["):
            turns.append(_read_head(line, place))
            evaluations = set()
        elif line:
            evaluator = EVALUATOR.fullmatch(line)
            if not turns or (evaluator is None and number == len(lines)):
                raise _damaged(place, f"'{line[:60]}' is cut off or out of place")
            if evaluator is None:
                # An evaluator's comment may hold anything; no label depends on it.
                log.warning("IEMOCAP: %s: '%s' is not understood and not used", place, line[:60])
                continue
            evaluations.add(evaluator[1])
            if evaluator[1] == "C" and evaluator[2].startswith("E"):
                turns[-1]["votes"][evaluator[2]] = _codes(evaluator[3])
    if evaluations != {"C", "A"}:
        last = f"the turn {turns[-1]['id']}" if turns else "the first turn"
        raise _damaged(f"{file}, line {len(lines)}", f"the file ends before {last} is complete")
    return turns


def _codes(words: str) -> list[str]:
    """The codes of an evaluator's words, e.g. 'Neutral; Anger;'."""
    chosen = [word.strip().lower() for word in words.split(";") if word.strip()]
    return [WORDS.get(word, word) for word in chosen]


def _read_lines(file: Path) -> list[str]:
    """The lines of a label file, the title first, less empty ones at the end."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"the label file {file} cannot be read: {error.strerror}") from error
    if b"\0" in raw:
        raise UserError(f"the label file {file} is binary, not text; restore it from the release")
    # Only the evaluators' comments could hold other than ASCII, and nobody reads them.
    text = raw.decode("utf-8-sig", errors="replace").rstrip()
    if not text:
        raise UserError(f"the label file {file} is empty; restore it from the release")
    lines = [line.rstrip() for line in text.split("\n")]
    if not lines[0].startswith(TITLE):
        raise _damaged(f"{file}, line 1", f"'{lines[0][:60]}' is not the title '{TITLE} ...'")
    return lines


def _read_head(line: str, place: str) -> dict[str, Any]:
    head = HEAD.fullmatch(line)
    if head is None:
        raise _damaged(place, f"'{line[:90]}' is no complete first line of a turn")
    means = dict(zip(RATINGS, map(float, head.groups()[4:]), strict=True))
    return {"id": head[3], "raw_label": head[4], **means, "votes": {}, "place": place}


def _damaged(place: str, what: str) -> UserError:
    return UserError(f"{place}: {what}; restore the label file from the release")


def _read_transcripts(folder: Path) -> dict[str, str]:
    """Words by turn; lines without a turn's name (`M: Yeah.`) are what was said between the turns."""
    words = {}
    for file in _files(folder, "Ses*.txt"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if match := TRANSCRIPT.fullmatch(line.rstrip()):
                words[match[1]] = match[2]
    return words


def _refuse_second_labels(turns: pd.DataFrame) -> None:
    duplicates = turns[turns["id"].duplicated(keep=False)]
    if len(duplicates):
        first = duplicates["id"].iloc[0]
        places = " and at ".join(duplicates.loc[duplicates["id"] == first, "place"])
        raise UserError(
            f"{duplicates['id'].nunique()} utterances are labelled more than once; {first} at {places}. Remove the copy"
        )


def _warn_of_unlabelled(sessions: Sequence[Path], labelled: set[str]) -> None:
    """Recordings without a label hint at a label file that is missing or lost its end."""
    wavs = (wav for session in sessions for wav in _files(session / "sentences" / "wav", "*/*.wav"))
    counts = Counter(wav.parent.name for wav in wavs if wav.stem not in labelled)
    if counts:
        listed = ", ".join(f"{dialogue} ({count})" for dialogue, count in sorted(counts.items())[:5])
        more = f" and {len(counts) - 5} more dialogues" if len(counts) > 5 else ""
        log.warning("IEMOCAP: %d recordings have no label and are not used: %s%s", sum(counts.values()), listed, more)


def _check_counts(turns: pd.DataFrame, codes: Sequence[str], kinds: Sequence[str], complete: bool) -> None:
    """Hold the counts against the full release's."""
    counts = Counter(zip(turns["kind"], turns["speaker"], turns["raw_label"], strict=True))
    differences, total, full = [], 0, 0
    for kind, code in product(sorted(set(kinds)), codes):
        for speaker, release in RELEASE[kind].items():
            expected, count = release[CODES.index(code)], counts[kind, speaker, code]
            total, full = total + count, full + expected
            if count != expected:
                differences.append(("Session" + speaker[0], speaker, kind, code, count, expected))
    if not differences:
        return
    summary = f"{total} utterances of {', '.join(codes)} found, the full release has {full}"
    if not complete:
        log.warning("IEMOCAP: %s; accepted by corpus.complete=false", summary)
        return
    table = pd.DataFrame(sorted(differences), columns=["session", "speaker", "kind", "code", "found", "expected"])
    more = f"\nand {len(table) - 20} more" if len(table) > 20 else ""
    raise UserError(
        f"{summary}. Complete the corpus, or accept it as it is by corpus.complete=false. "
        f"Counts that differ:\n{table[:20].to_string(index=False)}{more}"
    )
