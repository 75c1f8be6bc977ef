"""Recognises emotions by what a study has trained: on waves, from Python; on recordings, for the command `predict`."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import joblib
import numpy as np

from ser_lightning.errors import UserError, listing
from ser_lightning.features.audio import name_samples, resample
from ser_lightning.files import absolute
from ser_lightning.inference.ensemble import Answer, Ensemble, Pending
from ser_lightning.inference.exported import ExportedModel, is_export, read_export
from ser_lightning.inference.familiar import Familiar, read_familiar
from ser_lightning.inference.network import FrontEnds, load_network
from ser_lightning.inference.recordings import Item, Sound, ahead, read_item
from ser_lightning.inference.sources import Source, find_source
from ser_lightning.report.calibration import temperature
from ser_lightning.report.scored import score_runs
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.study import default_output

# Decoders and resamplers go a little beyond 1; integers that were made floats lie far beyond
LOUDEST = 4.0


class Recognizer:
    """The networks of a study's setting, one for each fold, which answer together; or one run.

    Args:
        ensemble: the networks.
        source: the runs that they are of, or the exported folder.
    """

    def __init__(self, ensemble: Ensemble, source: Source | ExportedModel) -> None:
        self.ensemble, self.source = ensemble, source

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        setting: str = "",
        run: str = "",
        window: float | None = None,
        trust: bool = False,
        output: str | Path | None = None,
    ) -> Self:
        """The recognizer of a study, by its name or folder, of a run, by its signature or folder, or of an exported
        folder.

        Args:
            path: the study, run or exported folder.
            setting: which setting of a study, by its name or settings of its; '': the best mean UA on dev.
            run: the signature of a run of the study, which answers alone.
            window: seconds of the windows that longer recordings are cut into; None: those longer than the networks
                were trained with, into windows of a typical training utterance.
            trust: import a user's own parts, whose code comes with the run.
            output: `paths.output` of the study; None: $SER_OUTPUT or outputs.

        Raises `UserError` where there is no such study, run or folder, or none that is finished and can be trusted.
        """
        folder = absolute(path)
        if is_export(folder):
            if setting or run:
                raise UserError(f"{path} is an exported model; --setting and --run choose among the runs of a study")
            model = read_export(folder)
            return cls(Ensemble(model.networks, model.temperatures, model.familiar, window), model)
        source = find_source(str(path), absolute(output or default_output()), setting, run)
        return cls.of_source(source, window, trust)

    @classmethod
    def of_source(cls, source: Source, window: float | None = None, trust: bool = False) -> Self:
        """The recognizer of runs; arguments and errors as of `load`."""
        front_ends: FrontEnds = {}
        networks = [load_network(folder, trust, front_ends) for folder in source.folders]
        familiar = read_familiar(source.runs, source.results, source.runs.parent / "cache")
        return cls(Ensemble(networks, temperatures(source), familiar, window), source)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.ensemble.classes

    @property
    def familiar(self) -> Familiar:
        """Which recordings the networks were trained on."""
        return self.ensemble.familiar

    def predict(self, wave: np.ndarray, rate: int) -> list[Answer]:
        """What is said of a recording: one answer, or of a long one an answer for every stretch.

        Args:
            wave: [samples], or [samples, channels], which are averaged; floats in [-1, 1].
            rate: samples per second.

        Raises `UserError` for a wave of another kind, and where the networks need to hear more of the speaker.
        """
        mono = _as_mono(np.asarray(wave), rate)
        self.refuse_unknown_speakers(["the wave"])
        sound = Sound(
            Item("the wave", Path()),
            resample(mono, rate, self.ensemble.rate),
            0.0,
            len(mono) / rate,
            name_samples(mono),
        )
        with ThreadPoolExecutor(joblib.cpu_count()) as pool:
            ((_, answers),) = self.ensemble.answer([self.ensemble.plan(sound)], pool)
        return answers

    def answer(self, items: Sequence[Item]) -> Iterator[tuple[Item, list[Answer]]]:
        """The answers on each item, in their order; what cannot be read has one that says so.

        Raises `UserError` where the networks need to know who speaks, and an item does not say it.
        """
        self.refuse_unknown_speakers([item.file for item in items if not item.speaker])
        return self._answer(items)

    def _answer(self, items: Sequence[Item]) -> Iterator[tuple[Item, list[Answer]]]:
        workers = joblib.cpu_count()
        with ThreadPoolExecutor(workers) as reading, ThreadPoolExecutor(workers) as pool:

            def pending() -> Iterator[Pending]:
                yield from ahead(
                    lambda item: self.ensemble.plan(read_item(item, self.ensemble.rate)),
                    items,
                    reading,
                    # Each may be hours long
                    workers,
                )

            known = self.ensemble.listen(pending()) if self.ensemble.needs_speakers else None
            for sound, answers in self.ensemble.answer(pending(), pool, known):
                yield sound.item, answers

    def refuse_unknown_speakers(self, unknown: Sequence[str]) -> None:
        """Raise `UserError` where utterances are normalised by other speech of their speakers, and there are recordings
        `unknown` of whose speaker nothing is said."""
        if self.ensemble.needs_speakers and unknown:
            raise UserError(
                "these networks normalise an utterance by all speech of its speaker (normalise=speaker) and need to "
                f"know who speaks; of {listing(unknown)} they do not: give `ser predict` a table whose column speaker "
                "names one in every row, or --one-speaker where all recordings are of one"
            )


def _as_mono(wave: np.ndarray, rate: int) -> np.ndarray:
    """Samples [n], float32, of a wave [n] or [n, channels] at `rate`.

    Raises `UserError` for what is no such wave, or cannot be one with this rate.
    """
    given = f"the wave is {wave.dtype} {list(wave.shape)}"
    expected = "floats [samples] or [samples, channels] in [-1, 1] are expected, integers divided by their largest"
    if wave.ndim not in (1, 2) or wave.dtype.kind != "f" or not np.isfinite(wave).all():
        raise UserError(f"{given}; {expected}")
    if wave.ndim == 2 and wave.shape[1] > wave.shape[0]:
        raise UserError(f"{given}, more channels than samples; {expected}; give wave.T")
    largest = float(np.abs(wave).max(initial=0))
    if largest > LOUDEST:
        raise UserError(f"the wave reaches {largest:g}; {expected}")
    if not rate > 0:
        raise UserError(f"the rate is {rate}; samples per second are expected")
    return (wave.mean(axis=1, dtype=wave.dtype) if wave.ndim == 2 else wave).astype(np.float32)


def temperatures(source: Source) -> list[float]:
    """By which the logits of the runs that answer are divided: as the report calibrates, by what other folds say of
    their own test utterances; by the run's own dev part where there is no other fold."""
    runs = [result.signature for result in source.all_results]
    scored = score_runs([Job(source.setting, {}, runs)], source.runs)
    return [temperature(scored[result.signature], list(scored.values())) for result in source.results]
