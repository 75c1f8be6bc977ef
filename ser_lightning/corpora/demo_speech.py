"""Synthetic emotional speech for the demo corpus: plain sentences spoken by espeak-ng.

Each class shifts three measures (pitch, pitch range, brightness) away from neutral, by about twice their spread inside
a class, so that the classes overlap. What is said, how fast and how loud does not depend on the class: length and level
of a recording tell nothing.
"""

import csv
import ctypes
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ser_lightning.errors import UserError

RATE = 16_000
SHORTEST, LONGEST = 0.6, 6.0  # seconds

COLUMNS = ("id", "path", "label", "speaker", "gender", "session", "dialogue", "kind", "text_id", "text")

# IEMOCAP's utterances per class; the demo corpus has the same shares.
SHARES = {"neu": 1708, "ang": 1103, "hap": 1636, "sad": 1084}

# Prosody is pitch and pitch range on espeak-ng's scales (0 to 99), rate in words per minute, loudness in dB, and
# brightness in dB per octave, by which the spectrum is tilted. The rate stays inside what espeak-ng accepts (80 to
# 450), so that no sentence leaves [SHORTEST, LONGEST]. Loudness is a gain after the synthesis, as espeak-ng's own
# volume clips when it is high.
NEUTRAL = (48.0, 45.0, 170.0, -9.0, 0.0)
LOWEST = (0.0, 0.0, 120.0, -21.0, -9.0)
HIGHEST = (99.0, 99.0, 260.0, 0.0, 9.0)
SHIFT = {
    "neu": (0.0, 0.0, 0.0, 0.0, 0.0),
    "ang": (6.0, 6.0, 0.0, 0.0, 5.0),
    "hap": (16.0, 21.0, 0.0, 0.0, 2.0),
    "sad": (-9.0, -14.0, 0.0, 0.0, -5.0),
}
SPREAD = (8.0, 15.0, 17.5, 2.9, 2.0)
# The frequency in Hz that a tilt leaves as it is
PIVOT = 1000.0
VOLUME = 60  # espeak-ng's own volume, for every utterance

# Speaker -> espeak-ng voice + variant, and the speaker's pitch relative to NEUTRAL. Session 1 is 1F and 1M, and so on.
# "gmw/en" is British English: espeak-ng refuses its language code en-gb with a variant.
VOICES = {
    "1F": ("en-us+f2", 0),
    "1M": ("gmw/en+m3", 3),
    "2F": ("gmw/en+f1", -3),
    "2M": ("en-us+m1", -2),
    "3F": ("en-us+linda", 2),
    "3M": ("en-gb-scotland+m7", 8),
    "4F": ("en-gb-x-rp+f5", 4),
    "4M": ("en-us+adam", 0),
    "5F": ("en-us-nyc+f3", 6),
    "5M": ("en-us+Reed", 5),
}

# What is read: three scripts, the same in all sessions.
SCRIPTS = (
    (
        "Come in.",
        "The train leaves at nine.",
        "You can put your coat on the chair.",
        "Is the window still open?",
        "I walked here from the station.",
        "There are two letters for you on the table.",
        "Who is going to carry the boxes?",
        "My sister is going to meet us at the corner near the old market.",
    ),
    (
        "Not now.",
        "It rained all night.",
        "We have to be back before dinner.",
        "Which of these is yours?",
        "The man at the desk wrote my name on a list.",
        "Your brother called.",
        "Let me see it.",
        "When the shop closes, they put what is left into paper bags.",
    ),
    (
        "Turn around.",
        "They painted the kitchen green.",
        "Somebody has moved the ladder.",
        "Tell me what she wrote.",
        "How long have you been waiting here?",
        "The river is very wide at this point.",
        "He kept it.",
        "I can take the first half of the road and you can take the second half.",
    ),
)

# What is said in improvised dialogues.
FREE = (
    "Oh, really?",
    "All right then.",
    "I see.",
    "That one.",
    "Say it again.",
    "You know him.",
    "What time is it?",
    "It is over there.",
    "I am on the phone.",
    "Look at this.",
    "She told me.",
    "Where are you?",
    "Here they are.",
    "I asked them.",
    "Of course you did.",
    "Is it yours?",
    "We start at ten.",
    "I found your note.",
    "That was yesterday.",
    "Maybe on Monday.",
    "Who was that?",
    "He is in the garden.",
    "You said so before.",
    "The door was open.",
    "I know what it is.",
    "Give me the keys, then.",
    "They changed the plan.",
    "This is the third time.",
    "Did you read the paper?",
    "I have seen the pictures.",
    "We are moving in March.",
    "It came with the mail.",
    "My bag is in the car.",
    "Nobody else was there.",
    "She works on the second floor.",
    "You can have the other one.",
    "What did the doctor tell you?",
    "I thought that you were at home.",
    "The dog is asleep under the bed.",
    "There is a new bridge over the lake.",
    "I will talk to them in the morning.",
    "Can you hear the people next door?",
    "He wants to sell the house by the sea.",
    "I was going to call you from the office.",
    "It has been on the shelf since last winter.",
    "You should have seen the line at the counter.",
    "They gave us a table right beside the stairs.",
    "I left my umbrella on the bus this morning.",
    "We took the early flight and slept at the airport.",
    "Do you remember the song that they played?",
    "My neighbour has three cats and a very old parrot.",
    "So I went back and looked in every single drawer.",
    "They are building something behind the school again.",
    "The whole town was on the square when we got there.",
    "If you go now, you may still catch him at the gate.",
    "I have a meeting at four and another one at half past five.",
    "She showed me the letter, and then she put it back in the box.",
    "The first thing that I saw when I opened the door was the big mirror.",
    "We could drive up to the hills on Sunday and come back on Monday at noon.",
    "I met him on the way to the library, and he asked me for the number of your aunt.",
)
IMPROVISED_DIALOGUES = 6

INSTALL = "install it with: pip install --force-reinstall 'espeakng-loader>=0.2.4'"
UNUSABLE = 3


@dataclass(frozen=True)
class Utterance:
    """Who says what in which dialogue, and how: pitch, pitch range, words per minute, gain in dB, brightness."""

    id: str
    label: str
    speaker: str
    dialogue: str
    kind: str
    text_id: str
    text: str
    prosody: tuple[float, ...]

    @property
    def row(self) -> tuple[str, ...]:
        """The utterance's line of the table, in the order of `COLUMNS`."""
        session, gender = self.speaker[0], self.speaker[1]
        place = (self.speaker, gender, session, self.dialogue, self.kind, self.text_id, self.text)
        return (self.id, f"wav/{self.id}.wav", self.label, *place)


def synthesise(folder: Path, utterances: int, seed: int, overlap: float) -> None:
    """Write `folder/wav/<id>.wav` (16 kHz mono PCM_16, 0.6 s to 6 s) and `folder/table.csv` (`COLUMNS`).

    Equal `utterances`, `seed` and `overlap` give equal bytes on one machine. `overlap` scales the spread of the prosody
    inside a class: at 1 an ideal listener to the measures reaches about 83 % unweighted accuracy, at 0.5 nearly
    all, at 2 some 59 %.

    Raises `UserError` where espeak-ng cannot be used, `RuntimeError` where the synthesis failed otherwise.
    """
    # espeak-ng carries the phase of its flutter and its noise over from call to call, and nothing in its interface
    # resets them, not even a new start of the library. Only a process of its own makes every corpus begin alike.
    arguments = (str(Path(folder).resolve()), str(int(utterances)), str(int(seed)), repr(float(overlap)))
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "ser_lightning.corpora.demo_speech", *arguments],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if run.returncode == UNUSABLE:
        raise UserError(run.stderr.strip().splitlines()[-1])
    if run.returncode:
        raise RuntimeError(
            f"the synthesis of the demo corpus ended with status {run.returncode}. If espeak-ng crashed, {INSTALL}\n"
            f"{run.stderr.strip()}"
        )


def plan(utterances: int, seed: int, overlap: float) -> list[Utterance]:
    """Every utterance of the corpus, sorted by id; a larger `overlap` changes the prosody and nothing else."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(SHARES), class_counts(utterances))
    # Dealing the labels out class by class gives each speaker, and each kind of each speaker, a fair share of each.
    position = np.arange(utterances)
    speakers = rng.permutation(list(VOICES))[position % len(VOICES)]
    scripted = (position // len(VOICES) + position) % 2 == 0
    order = rng.permutation(utterances)
    labels, speakers, scripted = labels[order], speakers[order], scripted[order]
    prosody = draw_prosody(labels, overlap, rng, [VOICES[speaker][1] for speaker in speakers])
    turns: Counter[str] = Counter()
    planned = []
    dealt = (labels.tolist(), speakers.tolist(), scripted.tolist(), prosody.tolist())
    for label, speaker, is_scripted, how in zip(*dealt, strict=True):
        dialogue, text_id, text = _draw_text(rng, speaker[0], is_scripted)
        turn = f"{dialogue}_{speaker[1]}"
        name = f"{turn}{turns[turn]:03d}"
        turns[turn] += 1
        kind = "scripted" if is_scripted else "improvised"
        planned.append(Utterance(name, label, speaker, dialogue, kind, text_id, text, tuple(how)))
    return sorted(planned, key=lambda utterance: utterance.id)


def class_counts(utterances: int) -> list[int]:
    """How many of the utterances each class of `SHARES` gets: the shares rounded by largest remainder."""
    total = sum(SHARES.values())
    counts = [utterances * share // total for share in SHARES.values()]
    remainders = [utterances * share % total for share in SHARES.values()]
    for index in sorted(range(len(counts)), key=lambda i: -remainders[i])[: utterances - sum(counts)]:
        counts[index] += 1
    return counts


def draw_prosody(
    labels: Sequence[str] | NDArray[Any], overlap: float, rng: np.random.Generator, pitch_offset: Sequence[float] = ()
) -> NDArray[np.float64]:
    """Pitch, pitch range, words per minute, gain in dB and brightness of an utterance per label.

    Clipped to `LOWEST`, `HIGHEST`.

    `pitch_offset` is the speakers' own pitch relative to `NEUTRAL`, 0 if not given.
    """
    shift = np.array([SHIFT[label] for label in labels]).reshape(-1, len(NEUTRAL))
    prosody = np.array(NEUTRAL) + shift + overlap * rng.normal(0, SPREAD, shift.shape)
    if len(pitch_offset):
        prosody[:, 0] += pitch_offset
    return np.clip(prosody, LOWEST, HIGHEST)


def _draw_text(rng: np.random.Generator, session: str, scripted: bool) -> tuple[str, str, str]:
    """A dialogue of the session, and a sentence of it with the sentence's id."""
    if scripted:
        script = int(rng.integers(len(SCRIPTS)))
        line = int(rng.integers(len(SCRIPTS[script])))
        name = f"scripted{script + 1:02d}"
        return f"Ses0{session}_{name}", f"{name}_{line + 1:02d}", SCRIPTS[script][line]
    dialogue = int(rng.integers(IMPROVISED_DIALOGUES))
    line = int(rng.integers(len(FREE)))
    return f"Ses0{session}_impro{dialogue + 1:02d}", f"free_{line + 1:02d}", FREE[line]


class SpeechSynthesiser:
    """espeak-ng through its C interface, one per process; raises `UserError` where it is missing or broken."""

    def __init__(self, seed: int) -> None:
        try:
            import espeakng_loader

            self._data = Path(espeakng_loader.get_data_path())
            self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
            self._start(seed)
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            raise _unusable(error) from error

    def _start(self, seed: int) -> None:
        audio_to_callback, do_not_exit = 2, 0x8000
        self._rate = self._library.espeak_Initialize(audio_to_callback, 0, str(self._data).encode(), do_not_exit)
        if self._rate <= 0:
            raise RuntimeError(f"no voice data in {self._data}")
        # Its noise is otherwise seeded by the clock.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed % 2**31))
        self._chunks: list[NDArray[np.int16]] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        # Held here, since espeak-ng keeps no reference that would save it from the garbage collector.
        self._callback = signature(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, _events: int | None) -> int:
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, pitch: float, pitch_range: float, rate: float) -> NDArray[np.float32]:
        """The spoken text at 16 kHz, without the silence around it; full scale is 1. Raises `UserError`."""
        self._choose(voice)
        for parameter, value in ((1, rate), (2, VOLUME), (3, pitch), (4, pitch_range)):
            self._library.espeak_SetParameter(parameter, round(value), 0)
        self._chunks.clear()
        encoded, from_character, utf8 = text.encode(), 1, 1
        size = ctypes.c_size_t(len(encoded) + 1)
        status = self._library.espeak_Synth(encoded, size, 0, from_character, 0, utf8, None, None)
        self._library.espeak_Synchronize()
        if status or not self._chunks:
            raise _unusable(f"it does not speak, status {status}")
        wave = np.concatenate(self._chunks).astype(np.float32) / 32768
        return _trim(soxr.resample(wave, self._rate, RATE))

    def _choose(self, voice: str) -> None:
        variant = self._data / "voices" / "!v" / voice.partition("+")[2]
        # espeak-ng takes an unknown variant without a word, and speaks with the plain voice.
        if not variant.is_file() or self._library.espeak_SetVoiceByName(voice.encode()):
            raise _unusable(f"it has no voice {voice}")


def _unusable(problem: object) -> UserError:
    return UserError(f"the demo corpus needs espeak-ng, which is missing or broken ({problem}); {INSTALL}")


def _trim(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]


def tilt(speech: NDArray[np.float32], brightness: float) -> NDArray[np.float32]:
    """The speech [samples] with its spectrum tilted by so many dB per octave, as loud as before (root mean square)."""
    frequency = np.fft.rfftfreq(len(speech), 1 / RATE)
    # Below 100 Hz there is no voice, and a tilt would have no end
    gain = 10 ** (brightness * np.log2(np.maximum(frequency, 100.0) / PIVOT) / 20)
    tilted = np.fft.irfft(np.fft.rfft(speech) * gain, len(speech))
    return np.asarray(tilted * np.sqrt(np.square(speech).mean() / np.square(tilted).mean()), dtype=np.float32)


def _record(speech: NDArray[np.float32], gain: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """The speech through a microphone, at its loudness, with a little of the room before, behind and under it.

    The microphone saturates, more or less, so that the peak over the level tells nothing of the brightness.
    """
    loudness = np.sqrt(np.square(speech).mean())
    speech = np.tanh(10 ** rng.uniform(-1.2, 0) * speech / loudness)
    speech *= loudness / np.sqrt(np.square(speech).mean())
    lead, tail = (int(RATE * seconds) for seconds in rng.uniform(0.03, 0.12, 2))
    # The shortest sentences at the highest rate need more room around them; a much slower espeak-ng might need a cut.
    length = min(max(lead + len(speech) + tail, int(SHORTEST * RATE)), int(LONGEST * RATE))
    level = 10 ** rng.uniform(-3.4, -2.8)
    wave = level * rng.standard_normal(length)
    speech = speech[: length - lead]
    wave[lead : lead + len(speech)] += 10 ** (gain / 20) * speech
    return np.round(32767 * np.clip(wave, -1, 1)).astype(np.int16)


def _write(folder: Path, utterances: int, seed: int, overlap: float) -> None:
    planned = plan(utterances, seed, overlap)
    synthesiser = SpeechSynthesiser(seed)
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    for number, utterance in enumerate(planned):
        pitch, pitch_range, rate, gain, brightness = utterance.prosody
        speech = synthesiser.say(utterance.text, VOICES[utterance.speaker][0], pitch, pitch_range, rate)
        wave = _record(tilt(speech, brightness), gain, np.random.default_rng([seed, number]))
        soundfile.write(folder / "wav" / f"{utterance.id}.wav", wave, RATE, subtype="PCM_16")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(utterance.row for utterance in planned)


if __name__ == "__main__":
    target, how_many, seeded, overlapping = sys.argv[1:]
    try:
        _write(Path(target), int(how_many), int(seeded), float(overlapping))
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(UNUSABLE)
