"""The keys that are not those of single parts, with their meaning and range, and the way from `conf/` to a `Config`.

Values stand in `conf/`, or as defaults in the constructor of the part that a yaml names; meanings and ranges stand
here, or there. `compose` and `check` return plain objects, so that no other room needs to know Hydra or OmegaConf.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ser_lightning.components.code import UserCode, read_code
from ser_lightning.components.groups import SEVERAL, Choice, all_choices, register, registered_code
from ser_lightning.components.part import CODE, TARGET, Part
from ser_lightning.components.settings import read_signature
from ser_lightning.components.sources import PACKAGE
from ser_lightning.components.validation import STRICT, Text, validate
from ser_lightning.errors import UserError
from ser_lightning.files import absolute

if TYPE_CHECKING:
    from omegaconf import DictConfig

CLASSES = "corpus.classes"
MERGED = (
    f"{CLASSES}={{...}} changes classes of the corpus's file and leaves its others as they are: '~{CLASSES}.NAME' "
    f"leaves one out, '+{CLASSES}.NAME=[labels]' adds one"
)


def says(meaning: str, **ranges: Any) -> Any:
    """A key's meaning and, as pydantic names them, its range."""
    return Field(description=meaning, **ranges)


def _distinct(numbers: list[int]) -> list[int]:
    """A fold that is named twice would be counted twice."""
    for place, number in enumerate(numbers):
        if number in numbers[:place]:
            raise PydanticCustomError("repeated", f"{number} stands there twice; name each once")
    return numbers


def _one_folder(name: str) -> str:
    """Whoever is given a study's folder finds its runs two folders above."""
    if "/" in name or name in (".", ".."):
        raise PydanticCustomError("folder", "it is no name of one folder; leave out /, and call it neither . nor ..")
    return name


Numbers = Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(_distinct)]


class TrainingConfig(BaseModel):
    """What a corpus of this size needs; `trainer`, `optimizer`, `batching` and `reproduce` point here."""

    model_config = STRICT
    epochs: Annotated[float, says("how often each training utterance is seen, fractions allowed", gt=0)]
    check_epochs: Annotated[float | None, says("epochs between dev evaluations; null: one", gt=0)]
    batch_size: Annotated[int, says("utterances per batch", ge=1)]
    learning_rate: Annotated[float, says("Adam's step size", gt=0)]
    study_folds: Annotated[
        Numbers | None, says("which folds `reproduce` runs; null: all that the protocol has", min_length=1)
    ]
    note: Annotated[Text, says("a sentence on why these values, stated in every report")]


class CorpusConfig(Part):
    """A set of utterances: where it lies and which of its labels are which class."""

    group: ClassVar[str] = "corpus"
    bench: ClassVar[tuple[str, ...]] = ("labels",)
    root: Annotated[Text | None, says("folder of the corpus; null for one that is made, such as the demo")]
    classes: Annotated[
        dict[Text, list[Text]] | None,
        says("class -> the corpus's labels, in the order of logits; null: each label is a class"),
    ]
    ignore: Annotated[list[Text], says("labels that are set aside without a warning")]
    max_bad_share: Annotated[float, says("share of unusable recordings up to which they are left out", ge=0, le=1)]
    training: TrainingConfig
    min_seconds: Annotated[
        float, says("shorter recordings are unusable, and so are those that front end or encoder cannot do with", ge=0)
    ] = 0.0

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this corpus: all but how long is trained on it, which may depend on the features."""
        return self.model_dump(exclude={"training"})


class FeaturesConfig(Part):
    """The front end: sound to frames."""

    group: ClassVar[str] = "features"
    max_seconds: Annotated[
        float, says("of longer utterances the middle alone is kept, but for front ends of one row each", gt=0.5)
    ]


class NormaliseConfig(Part):
    """What is taken away from an utterance's frames before they are normalised by the training part."""

    group: ClassVar[str] = "normalise"


class AugmentConfig(Part):
    """What training utterances are changed into, drawn anew in every epoch; dev and test are as they are."""

    group: ClassVar[str] = "augment"


class SplitConfig(Part):
    """Who trains, selects and tests."""

    group: ClassVar[str] = "split"
    folds: Annotated[Numbers | None, says("which folds are run; null: all that the protocol has", min_length=1)]
    repeats: Annotated[Numbers, says("which repetitions of the cross-validation are run", min_length=1)]
    max_train: Annotated[
        int | None,
        says(
            "training utterances of a fold at most, drawn at random, to compare protocols at equal size; null: all",
            ge=1,
        ),
    ]


class BatchingConfig(BaseModel):
    """Which utterances share a batch."""

    model_config = STRICT
    order: Annotated[
        Literal["sorted", "random"], says("'sorted': of like length; 'random': as they come (author's code)")
    ]
    size: Annotated[int, says("utterances per batch", ge=1)]
    pool: Annotated[int, says("sorted: batches' worth of shuffled utterances that are sorted together", ge=1)]


class ModelConfig(Part):
    """The encoder: frames to the feature z."""

    group: ClassVar[str] = "model"
    bench: ClassVar[tuple[str, ...]] = ("bins",)
    trained: Annotated[
        bool,
        says("false: no step is made, the encoder stays as it is made, and the head is a fitted one: svm, means"),
    ]


class HeadConfig(Part):
    """The head: z to logits."""

    group: ClassVar[str] = "head"
    bench: ClassVar[tuple[str, ...]] = ("features", "classes")


class LossConfig(Part):
    """The joint loss, equation (7): the softmax term, and lambda times the loss that is chosen."""

    group: ClassVar[str] = "loss"
    bench: ClassVar[tuple[str, ...]] = ("features", "classes", "class_counts")
    lam: Annotated[float, says("lambda of equation (7); 0 is weighted softmax alone, whatever the loss", ge=0)]
    class_weights: Annotated[
        Literal["inverse", "smoothed", "none"],
        says("'inverse': 1/N; 'smoothed': max N/(N + 0.5) (author's code); 'none': equations (1), (2)"),
    ]
    focal: Annotated[float, says("gamma of the softmax term: utterances that are recognised count less", ge=0)]
    softmax: Annotated[
        float, says("weight of the softmax term; 0: the loss that is chosen trains alone, which needs head=means", ge=0)
    ]
    smoothing: Annotated[float, says("share of the softmax term's target that all classes have in common", ge=0, lt=1)]


class OptimizerConfig(Part):
    """What moves the parameters."""

    group: ClassVar[str] = "optimizer"


class ReadoutConfig(Part):
    """Another classifier on the features z of a finished run."""

    group: ClassVar[str] = SEVERAL
    bench: ClassVar[tuple[str, ...]] = ("classes",)


class TrainerConfig(BaseModel):
    """How long, how often dev is looked at, on what."""

    model_config = STRICT
    epochs: Annotated[float, says("how often each training utterance is seen, fractions allowed", gt=0)]
    max_steps: Annotated[int | None, says("training steps; null: those of trainer.epochs", ge=1)]
    check_epochs: Annotated[float | None, says("epochs between dev evaluations; null: one", gt=0)]
    check_every: Annotated[int | None, says("steps between dev evaluations; null: those of check_epochs", ge=1)]
    first_check_share: Annotated[float, says("share of the steps before which no parameters are selected", ge=0, le=1)]
    first_check: Annotated[
        int | None, says("steps before which no parameters are selected; null: by first_check_share", ge=0)
    ]
    precision: Annotated[
        Literal["auto", "32", "bf16"],
        BeforeValidator(str),
        says("'32', 'bf16' (convolutions), or 'auto': bf16 where the hardware has it"),
    ]
    accelerator: Annotated[Literal["auto", "cpu", "gpu", "mps"], says("Lightning's accelerator")]
    devices: Annotated[int, says("GPUs, or with accelerator=cpu processes, that share one training", ge=1)]
    workers: Annotated[
        int | None, says("runs trained side by side, each in a process; null: one per core, or up to six per GPU", ge=1)
    ]


class LoggerConfig(BaseModel):
    """Where curves go besides metrics.csv."""

    model_config = STRICT
    name: Annotated[Literal["wandb", "csv"], says("W&B, or CSV alone")]
    project: Annotated[Text | None, says("W&B project")]
    entity: Annotated[Text | None, says("W&B team; null: the default of the account")]


class PathsConfig(BaseModel):
    """Everything written lies under one folder."""

    model_config = STRICT
    output: Annotated[Text, says("runs/, studies/, cache/, wandb/ are made in it; also $SER_OUTPUT")]


class StudyConfig(BaseModel):
    """Several jobs and their report."""

    model_config = STRICT
    name: Annotated[Text, says("folder below studies/", min_length=1), AfterValidator(_one_folder)]
    stop_at_failure: Annotated[
        bool, says("a run that fails stops the study or sweep, instead of being listed at its end")
    ]
    settings: Annotated[
        dict[Text, list[Text]],
        says("reproduce: setting -> its overrides; of several values each fold takes the best by UA on dev"),
    ]
    baseline: Annotated[
        list[Text], says("the report compares each job with the one that has these, e.g. \"['loss.lam=0']\"")
    ]
    references: Annotated[
        list[Text],
        says(
            "reproduce: names of settings that the report compares the others with, in place of the baseline; "
            "each is a family of tests of its own, and the first decides the answer"
        ),
    ]
    described: Annotated[
        list[Text], says("reproduce: names of settings that the others are set beside, without a test")
    ]
    reference_system: Annotated[
        list[Text],
        says(
            "overrides, e.g. \"['features=functionals','model=none','head=svm']\": a further row of the study, trained "
            "on the same divisions and seeds, that the others are set beside without a test"
        ),
    ]
    leave_out: Annotated[list[Text], says("reproduce: names of settings that are not trained")]
    weights: Annotated[
        Text | None, says("reproduce: features.weights of the settings that have features=pretrained; study=systems")
    ]
    folds: Annotated[Numbers | None, says("reproduce: which folds are run; null: all that the protocol has")]
    more_seeds: Annotated[
        int, says("reproduce: further seeds for each setting, in each fold with the values that it has chosen", ge=0)
    ]
    paper: Annotated[Text | None, says("the paper of ser_lightning/papers/ whose chapter the report has; null: none")]
    level_margin: Annotated[
        float, says("points of UA or WA from the paper's within which the report says that a level agrees", gt=0)
    ]
    effect_margin: Annotated[
        float, says("points from the paper's effect on UA within which the report says that an effect agrees", gt=0)
    ]
    epochs: Annotated[
        dict[Text, dict[Text, Annotated[float, Field(gt=0)]]],
        says("reproduce: corpus -> features -> corpus.training.epochs, where the study has its own"),
    ]


class Config(BaseModel):
    """One configuration: what `train` trains, all its folds and repetitions."""

    model_config = STRICT
    corpus: CorpusConfig
    features: FeaturesConfig
    normalise: NormaliseConfig
    augment: AugmentConfig
    split: SplitConfig
    batching: BatchingConfig
    model: ModelConfig
    head: HeadConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    readout: dict[Text, ReadoutConfig]
    trainer: TrainerConfig
    logger: LoggerConfig
    paths: PathsConfig
    study: StudyConfig
    seed: Annotated[int, says("of initialisation and of the order of batches", ge=0, lt=2**32)]
    rerun: Annotated[
        bool,
        says(
            "train finished runs again unless the present code and libraries made them, e.g. since the code has "
            "changed; repeated, it goes on; their former folders are kept in runs/.former"
        ),
    ]

    @property
    def described(self) -> dict[str, Any]:
        """The configuration in plain types, as `conf/` and the command line set it."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: _describe(value) for name, value in values}

    @property
    def adds_loss(self) -> bool:
        """Whether a loss is added to the softmax term: not with lambda 0, nor where no step is made."""
        return self.loss.lam > 0 and self.model.trained

    @property
    def code(self) -> str | None:
        """The folder that holds the user's own code of all parts; None where there is none."""
        parts = [*self.parts.values(), *self.readout.values()]
        return next((part.folder for part in parts if part.folder), None)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that were chosen, by group; without the read-outs, of which there may be several."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in values if isinstance(value, Part)}

    def lacks(self, override: str) -> bool:
        """Whether an override, e.g. loss.tau=0.1, is of a setting that the part of this configuration does not have."""
        group, _, key = override.partition("=")[0].partition(".")
        part = self.parts.get(group)
        return part is not None and bool(key) and key.split(".")[0] not in part.settings


def _describe(value: Any) -> Any:
    if isinstance(value, Part):
        return value.settings
    if isinstance(value, dict):
        return {name: _describe(one) for name, one in value.items()}
    return value.model_dump() if isinstance(value, BaseModel) else value


PARTS: dict[str, type[Part]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Part)
}


def check(composed: "DictConfig", overrides: Sequence[str] = ()) -> Config:
    """A configuration that was composed with these overrides, checked, `paths.output` absolute.

    Raises `UserError` naming the first key that is unknown, missing, of the wrong type or out of range.
    """
    values = _plain(composed)
    _refuse_added_classes(values, overrides)
    paths = values.get("paths")
    output = paths.get("output") if isinstance(paths, dict) else None
    if output is None or isinstance(output, dict | list) or not str(output).strip():
        raise UserError(f"paths.output={output!r} is no folder: name one, on the command line or in $SER_OUTPUT")
    output = values["paths"]["output"] = str(absolute(str(output)))
    chosen = {group: values.pop(group) for group in PARTS}
    readouts = {f"{SEVERAL}.{name}": part for name, part in values.pop(SEVERAL).items()}
    for place, part in readouts.items():
        if not isinstance(part, dict) or TARGET not in part:
            raise UserError(f"{place} is not a setting; read-outs are chosen by {SEVERAL}=..., e.g. {SEVERAL}=svm")
    chosen |= readouts
    codes = {place: _code(part) for place, part in chosen.items()}
    for place, code in codes.items():
        chosen[place][CODE] = code.digest if code else None
    present = [code for code in codes.values() if code is not None]
    folder = reduce(or_, present).write(Path(output) / "cache") if present else None
    parts: dict[str, Any] = {
        place: PARTS.get(place, ReadoutConfig).read(part, folder, place) for place, part in chosen.items()
    }
    parts[SEVERAL] = {place.removeprefix(f"{SEVERAL}."): parts.pop(place) for place in readouts}
    return validate(Config, {**values, **parts})


def _refuse_added_classes(values: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Raise `UserError` where `corpus.classes={...}` leaves others of the corpus's file, with which Hydra merges it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = [word.lstrip("+~") for word in overrides if word.lstrip("+~").startswith(CLASSES)]
    for word in words:
        given = OverridesParser.create().parse_override(word).value() if word.startswith(f"{CLASSES}=") else None
        if isinstance(given, dict):
            single = {one.removeprefix(f"{CLASSES}.").partition("=")[0] for one in words}
            if set(values["corpus"]["classes"] or ()) - set(map(str, given)) - single:
                raise UserError(MERGED)


def _plain(composed: "DictConfig") -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error.msg or error).splitlines()[0]}") from error
    values.pop("hydra", None)
    return values


def _code(part: Mapping[str, Any]) -> UserCode | None:
    """The user's own code of a part: as it was when the command began."""
    if part.get(CODE):
        return registered_code(part[CODE])
    target = part.get(TARGET)
    if not isinstance(target, str) or target.startswith(f"{PACKAGE.name}."):
        return None
    # One that could not be read then; what is wrong is told now
    return read_code(target, Path.cwd())


def compose(overrides: Sequence[str] = (), config_name: str = "train") -> Config:
    """The configuration that the command line `python -m ser_lightning.train OVERRIDES` would use."""
    from hydra import compose as hydra_compose
    from hydra import initialize
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        return check(hydra_compose(config_name, list(overrides)), overrides)
    register()
    with initialize(config_path=None, version_base="1.3"):
        return check(hydra_compose(config_name, list(overrides)), overrides)


def reference_system(config: Config, overrides: Sequence[str], config_name: str = "train") -> Config | None:
    """The configuration of `study.reference_system`; None where the study has none.

    Of the command line it has all but what it says of the parts that the reference system chooses itself.
    Raises `UserError` where it makes no configuration.
    """
    from hydra.errors import HydraException

    words = config.study.reference_system
    if not words:
        return None
    groups = {word.partition("=")[0] for word in words} & PARTS.keys()
    others = [word for word in overrides if not _is_of_part(word, groups)]
    try:
        return compose([*others, *words], config_name)
    except (HydraException, UserError) as error:
        raise UserError(f"study.reference_system: {str(error).splitlines()[0]}") from error


def _is_of_part(word: str, groups: Set[str]) -> bool:
    """Whether an override chooses the part of one of these groups, or sets what not all of its choices have."""
    group, _, key = word.partition("=")[0].partition(".")
    return group in groups and key not in PARTS[group].common()


def launcher() -> str:
    """Which launcher (`hydra/launcher=`) runs this process's job of a sweep, e.g. SlurmLauncher.

    "" where jobs run one after the other in the process of the command itself, and outside Hydra.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return ""
    name: str = HydraConfig.get().launcher._target_.rpartition(".")[2]
    return "" if name == "BasicLauncher" else name


def job_number() -> int:
    """Which of the jobs of a sweep that run side by side on this machine this is; 0 where they do not."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get().job.num if launcher() == "JoblibLauncher" else 0


def known_keys() -> dict[str, str]:
    """Every dotted key with its meaning; of one that not all choices of its group have, also which have it."""
    meanings: dict[str, str] = {}
    for name, field in Config.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names = set(kind.common()) if issubclass(kind, Part) else set(kind.model_fields)
            meanings |= dict(_keys(kind, f"{name}.", names))
            meanings |= _own_keys(name, [choice for choice in all_choices() if choice.group == name])
        elif name == SEVERAL:
            for choice in (choice for choice in all_choices() if choice.group == name):
                meanings |= _own_keys(f"{name}.{choice.name}", [choice])
        else:
            meanings[name] = field.description or ""
    return meanings


def _own_keys(place: str, choices: Sequence[Choice]) -> dict[str, str]:
    """The keys of the classes that may stand in a place of the configuration.

    Of a key that not all have, or that means something else in some, the meaning says in which.
    """
    faulty: dict[str, str] = {}
    owners: dict[str, dict[str, list[str]]] = {}
    for choice in choices:
        if choice.target is None:
            continue
        try:
            signature = read_signature(choice.target, choice.folder)
        except UserError as error:
            faulty[f"{choice.group}={choice.name}"] = f"cannot be used: {error}"
            continue
        for key in signature.settings:
            meanings = owners.setdefault(f"{place}.{key}", {})
            meanings.setdefault(signature.meanings.get(key, ""), []).append(choice.name)
    classes = sum(choice.target is not None for choice in choices)
    keys = {
        key: "; ".join(
            meaning if len(names) >= classes else f"{meaning} ({', '.join(names)})".strip()
            for meaning, names in meanings.items()
        )
        for key, meanings in owners.items()
    }
    return keys | faulty


def choices() -> dict[str, list[str]]:
    """The groups and what can be chosen in each, the user's own last."""
    names: dict[str, list[str]] = {}
    for choice in all_choices():
        if choice.group:
            names.setdefault(choice.group, []).append(choice.name)
    return names


def nearest_key(unknown: str) -> str | None:
    """The known key, or group, that `unknown` most probably meant, e.g. loss.lam for loss.lamda."""
    close = difflib.get_close_matches(unknown, sorted({*known_keys(), *choices()}), n=1, cutoff=0.6)
    return close[0] if close else None


def _keys(model: type[BaseModel], prefix: str, names: set[str]) -> Iterator[tuple[str, str]]:
    """Every (dotted key, meaning) of a model's fields of these names."""
    for name, field in model.model_fields.items():
        nested = field.annotation
        if name not in names:
            continue
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from _keys(nested, f"{prefix}{name}.", set(nested.model_fields))
        else:
            yield prefix + name, field.description or ""
