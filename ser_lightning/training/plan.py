"""The runs of one Hydra job: a configuration on its folds and repetitions, with the data that each needs."""

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ser_lightning.components import Part, blamed
from ser_lightning.config import Config
from ser_lightning.corpora import Manifest, load_manifest
from ser_lightning.corpora.loading import make_corpus
from ser_lightning.corpora.manifest import refuse_empty_classes, utterances_csv
from ser_lightning.data.audit import audit_splits
from ser_lightning.data.leakage import FoldAudit
from ser_lightning.data.splits import Split, make_splits, split_table
from ser_lightning.errors import UserError, listing
from ser_lightning.features import FeatureStore, build_store
from ser_lightning.features.front_end import announced, longest_seconds
from ser_lightning.features.sound import measure_corpus, remarks, sound_folder
from ser_lightning.identity import digest
from ser_lightning.runs.code import describe_other_code, is_current
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import RunResult, read_result
from ser_lightning.runs.readouts import missing_readouts, readout_names
from ser_lightning.runs.schedule import Schedule, make_schedule
from ser_lightning.runs.seal import read_with_seal, write_with_seal
from ser_lightning.runs.signature import origin, settings, signature
from ser_lightning.runs.study import SPLIT, UTTERANCES, study_lock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedRun:
    """One run to be trained, or found finished; `sound` as `RunResult` has it."""

    config: Config
    manifest: Manifest
    store: FeatureStore
    sound: str
    split: Split
    audit: FoldAudit
    schedule: Schedule
    signature: str

    @property
    def folder(self) -> Path:
        """Where all that the run writes lies."""
        return Path(self.config.paths.output) / "runs" / self.signature

    @property
    def finished(self) -> RunResult | None:
        """The run's result if its folder has one that stands: with `rerun`, of the present code and libraries.

        Raises `UserError` where it cannot be read.
        """
        result = read_result(self.folder)
        if result is not None and self.config.rerun and not is_current(result):
            return None
        return result

    @property
    def unread(self) -> dict[str, str]:
        """The read-outs that are asked for and missing, once the run is finished: see `missing_readouts`."""
        return missing_readouts(self.folder, self.config)

    @property
    def cost(self) -> int:
        """Relative to other runs: steps, one where none is made, times bins."""
        return max(1, self.schedule.max_steps) * self.store.bins


def plan_job(config: Config) -> list[PlannedRun]:
    """The runs of a job, repetition by repetition; loads or makes the corpus and its features first.

    A user's own parts are tried before that. Raises `UserError` where they, or the corpus, cannot be used.
    """
    _refuse_parts_that_cannot_train(config)
    if config.code:
        from ser_lightning.training.trial import try_parts

        try_parts(config)
    manifest, store = prepare(config)
    splits = make_splits(manifest, config.split)
    cache = Path(config.paths.output) / "cache"
    sound, _ = measure_corpus(manifest, cache)
    for what, names in remarks(manifest, sound).items():
        log.warning("%s: %s: %d: %s", manifest.corpus, what, len(names), listing(names, "; "))
    audits = audit_splits(manifest, sound, splits, cache)
    schedules = [make_schedule(config, split) for split in splits]
    names = [
        signature(config, manifest, store.audio, split, schedule)
        for split, schedule in zip(splits, schedules, strict=True)
    ]
    runs = zip(splits, audits, schedules, names, strict=True)
    name = sound_folder(manifest, cache).name
    return [PlannedRun(config, manifest, store, name, *run) for run in runs]


def _refuse_parts_that_cannot_train(config: Config) -> None:
    model, head, loss = config.model, config.head, config.loss
    fitted = hasattr(head.load(), "fit")
    for_head = getattr(loss.load(), "for_head", None) if config.adds_loss else None
    if not model.trained and not fitted:
        raise UserError(
            f"model={model.name} is not trained (model.trained=false), and then head={head.name} is not "
            "either; choose head=svm or head=means, which are fitted to the features of the training part"
        )
    if model.trained and not loss.softmax and not loss.lam:
        raise UserError("loss.softmax=0 and loss.lam=0 leave nothing to train by; give one of them a weight")
    # Of a user's own loss `assemble` finds out what it trains
    if model.trained and not loss.softmax and not fitted and not for_head and not loss.code:
        from ser_lightning.training.assembly import refuse_untrained_head

        refuse_untrained_head(config)
    # Its logits would be those of an encoder that is no more
    if model.trained and loss.softmax and fitted and not _has_parameters(head):
        raise UserError(
            f"head={head.name} is fitted and not trained, so that the softmax term cannot train an encoder through it; "
            "loss.softmax=0 leaves that to the loss alone, and readout= reads out what another head trained"
        )
    if getattr(config.normalise.load(), "needs_frames", False) and config.features.make().rate is None:
        raise UserError(
            f"normalise={config.normalise.name} goes by the frames of an utterance, of which features="
            f"{config.features.name} has one row; choose normalise=training or normalise=speaker for it (in "
            "study.reference_system or study.settings where it is one of several)"
        )
    if model.trained:
        _refuse_unsuited_augmentation(config)
    if for_head not in (None, head.name):
        raise UserError(f"loss={loss.name} is made for head={for_head}, and not for head={head.name}")


def _refuse_unsuited_augmentation(config: Config) -> None:
    augmentation, chosen = config.augment.make(), f"augment={config.augment.name}"
    needs_frames, needs_spectra = (getattr(augmentation, name, False) for name in ("needs_frames", "needs_spectra"))
    if not (needs_frames or needs_spectra):
        return
    front_end = config.features.make()
    if needs_frames and front_end.rate is None:
        raise UserError(
            f"{chosen} changes the course of an utterance's frames, of which features={config.features.name} has one "
            "row; choose augment=none or augment=mixup for it"
        )
    if needs_spectra and getattr(front_end, "raw", False):
        raise UserError(
            f"{chosen} changes spectra, and a frame of features={config.features.name} is a stretch of the sound; "
            "choose augment=none, augment=mixup or augment.time= alone for it"
        )


def _has_parameters(head: Part) -> bool:
    # Of whatever sizes
    with blamed(head):
        return bool(list(head.make(features=64, classes=2).parameters()))


def with_seed(planned: Sequence[PlannedRun], seed: int) -> list[PlannedRun]:
    """The runs of a job as they are with another seed, which decides neither corpus, features nor divisions."""
    config = planned[0].config.model_copy(update={"seed": seed})
    return [
        replace(
            run,
            config=config,
            signature=signature(config, run.manifest, run.store.audio, run.split, run.schedule),
        )
        for run in planned
    ]


def note_other_code(planned: Sequence[PlannedRun]) -> str | None:
    """A line on the runs that are kept although the code has changed since; None where there are none."""
    finished = {run.signature: run.finished for run in planned}
    return describe_other_code(result for result in finished.values() if result is not None)


def record(name: str, config: Config, planned: Sequence[PlannedRun]) -> Job:
    """What a study's folder is told of a job and its runs."""
    places = [[run.split.repeat, run.split.fold] for run in planned]
    signatures = [run.signature for run in planned]
    readouts = {stem: config.readout[part].settings for part, stem in readout_names(config).items()}
    made_from = origin(config, planned[0].manifest, planned[0].store.audio)
    return Job(name, settings(config), signatures, places, readouts=readouts, origin=made_from)


def record_corpus(study: Path, planned: Sequence[PlannedRun]) -> None:
    """Write who is tested when, beside the folds of earlier commands, and the utterances, into a study's folder."""
    file, table = study / SPLIT, split_table([run.split for run in planned])
    with study_lock(study):
        if file.exists():
            former = _read_split(file)
            places = {(run.split.repeat, run.split.fold) for run in planned}
            others = former[[place not in places for place in zip(former["repeat"], former["fold"], strict=True)]]
            table = pd.concat([others, table]).sort_values(["repeat", "fold"], kind="stable")
        write_with_seal(file, table.to_csv(index=False).encode())
        write_with_seal(study / UTTERANCES, utterances_csv(planned[0].manifest).encode())


def _read_split(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.BytesIO(read_with_seal(file)), dtype={"id": str}, keep_default_na=False)
        if missing := {"repeat", "fold", "id", "part"} - {*table.columns}:
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} is damaged ({error}); delete it and repeat the command, which writes it anew"
        ) from error
    return table


def prepare(config: Config) -> tuple[Manifest, FeatureStore]:
    """The corpus's usable utterances and their frames; read once per command: see `forget_corpora`."""
    key = _key(config, "corpus", "features", "model")
    if key not in _prepared:
        cache = Path(config.paths.output) / "cache"
        seconds, fewest = _least(config)
        manifest = _read(config, seconds)
        # Frames may take hours
        if refuse_unknown := getattr(config.normalise.load(), "refuse_unknown", None):
            refuse_unknown(manifest.table["speaker"].to_numpy())
        store = build_store(manifest, config.features, cache)
        # A front end may leave silence out
        few = {
            name: f"{length} frames are fewer than the {fewest} that model={config.model.name} needs"
            for name, length in zip(store.rows, store.lengths, strict=True)
            if length < fewest
        }
        manifest = manifest.without(store.problems | few, config.corpus.max_bad_share)
        refuse_empty_classes(manifest)
        _prepared[key] = manifest, store
    return _prepared[key]


def refuse_unlike_utterances(configs: Iterable[Config]) -> None:
    """Raise `UserError` where jobs of one study would have unlike utterances, and so unlike divisions, since some need
    longer ones than others; no recording is read where all need the same. What cannot be made or read its job says."""
    parts = {_key(config, "features", "model"): config for config in configs}
    needs: dict[float, Config] = {}
    for config in reversed(parts.values()):
        with suppress(UserError):
            needs[shortest_seconds(config)] = config
    least, most = min(needs, default=0), max(needs, default=0)
    if least == most:
        return
    try:
        manifest = _read(needs[least], least)
    except UserError:
        return
    if short := int((manifest.table["seconds"] < most).sum()):
        one, other = (
            f"features={config.features.name} model={config.model.name}" for config in (needs[least], needs[most])
        )
        raise UserError(
            f"{manifest.corpus}: {short} of {len(manifest)} utterances are long enough for {one}, and too short for "
            f"{other}, which needs {most:g} s; a study has the same for all: corpus.min_seconds={most:g}"
        )


def refuse_unlike_plans(plans: Mapping[str, Sequence[PlannedRun]]) -> None:
    """Raise `UserError` where the settings of a study, by their names, leave out unlike utterances, e.g. since a front
    end drops silence; then they have unlike divisions too."""
    (first, runs), *others = plans.items()
    for name, planned in others:
        one, other = runs[0].manifest, planned[0].manifest
        if one.digest != other.digest:
            utterance = min({*one.table["id"]} ^ {*other.table["id"]})
            who, reason = (name, other.left_out) if utterance in other.left_out else (first, one.left_out)
            raise UserError(
                f"{who} cannot use {utterance} ({reason[utterance]}), and other settings can; a study has the same "
                "utterances for all: take it out of the corpus, or leave the setting out (study.leave_out)"
            )


def uses(config: Config, split: Split) -> list[str]:
    """What numbers rest on beyond what the protocol's name tells, a phrase each.

    Such as corpora that are joined, the known voices that select, the speech that a front end was pretrained on, or
    that of tested speakers.
    """
    # Of an object, for what it uses may hang on its settings; most parts need not say anything
    parts = [make_corpus(config.corpus), split, *(part.make() for part in (config.features, config.normalise))]
    return [phrase for part in parts if (phrase := getattr(part, "uses", ""))]


def forget_corpora() -> None:
    """Read corpora anew from here on, for their tables and recordings may have changed since."""
    _prepared.clear()
    _manifests.clear()


def shortest_seconds(config: Config) -> float:
    """The shortest sound that front end and encoder can do with, and that is wanted."""
    return _least(config)[0]


def _read(config: Config, seconds: float) -> Manifest:
    key = digest([config.corpus.identity, config.corpus.content, config.paths.output, seconds])
    if key not in _manifests:
        _manifests[key] = load_manifest(config.corpus, Path(config.paths.output) / "cache", seconds)
    return _manifests[key]


def _key(config: Config, *groups: str) -> str:
    parts = [config.parts[group] for group in groups]
    return digest([*([part.model_dump(), part.content] for part in parts), config.paths.output])


def _least(config: Config) -> tuple[float, int]:
    """The shortest sound in seconds that front end and encoder can do with, and the fewest frames.

    Raises `UserError` where `features.max_seconds` allows more than the front end can do with, or less than the
    encoder.
    """
    front_end = config.features.make()
    fewest = getattr(config.model.make(bins=front_end.bins), "fewest", 1)
    with blamed(config.features):
        frames = (fewest - 1) / front_end.rate if front_end.rate else 0.0
        shortest, longest = front_end.shortest / front_end.sample_rate, longest_seconds(front_end)
        most = round(announced(front_end, config.features.max_seconds))
    if config.features.max_seconds > longest:
        raise UserError(
            f"features.max_seconds={config.features.max_seconds:g}: features={config.features.name} takes {longest:g} "
            "s at most; of a longer utterance the middle is taken"
        )
    if fewest > most:
        raise UserError(
            f"model={config.model.name} needs {fewest} frames of an utterance, and features={config.features.name} "
            f"makes {most} at most; choose model=statistics, or model=none with head=svm"
            + (", or allow more by features.max_seconds" if front_end.rate else "")
        )
    return max(frames, shortest, config.corpus.min_seconds), fewest


_prepared: dict[str, tuple[Manifest, FeatureStore]] = {}
_manifests: dict[str, Manifest] = {}
