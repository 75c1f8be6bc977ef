"""Every key of `conf/` with its meaning and range, and the way from YAML to a checked, typed configuration.

Values stand in `conf/`, one place each; meaning, type and range stand here. `compose` and `check` return plain
dataclasses, so that no other room needs to know Hydra or OmegaConf.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ser_lightning.errors import UserError

FORMATS = ("demo", "table", "iemocap", "emodb", "ravdess", "cremad", "tess", "savee", "nemo")
CONF = Path(__file__).resolve().parent.parent / "conf"


def key(
    meaning: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field without a default whose meaning and range `check` knows."""
    metadata = {"meaning": meaning, "low": low, "above": above, "high": high, "choices": tuple(choices)}
    return field(default=MISSING, metadata=metadata)


@dataclass
class TrainingConfig:
    """What a corpus of this size needs; `trainer`, `optimizer`, `batching` and `reproduce` point here."""

    steps: dict[str, int] = key("training steps by features, e.g. {logmel: 3520, logstft: 2920}")
    batch_size: int = key("utterances per batch", low=1)
    learning_rate: float = key("Adam's step size", above=0)
    check_every: Optional[int] = key("steps between dev evaluations; null: once per epoch", low=1)
    study_folds: list[int] = key("folds of the whole study, `reproduce`", low=0, high=4)
    authors_first_check: dict[str, int] = key("experiment=authors: trainer.first_check by features")
    note: str = key("a sentence on why these values, stated in every report")


@dataclass
class CorpusConfig:
    """A set of utterances: where it lies and which of its labels are which class."""

    name: str = key("name in reports")
    format: str = key("the file of ser_lightning/corpora/ that reads it", choices=FORMATS)
    root: Optional[str] = key("folder of the corpus; not needed for the demo")
    classes: Optional[dict[str, list[str]]] = key(
        "class -> the corpus's labels, in the order of logits; null: each label is a class"
    )
    ignore: list[str] = key("labels that are set aside without a warning")
    max_bad_share: float = key("share of unusable recordings up to which they are only left out", low=0, high=1)
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass
class DemoConfig(CorpusConfig):
    """The synthetic corpus, made at first use."""

    utterances: int = key("how many utterances", low=100)
    seed: int = key("equal seeds give equal bytes", low=0)
    overlap: float = key("spread of the prosody inside a class: the larger, the harder", above=0)


@dataclass
class IEMOCAPConfig(CorpusConfig):
    """IEMOCAP's full release."""

    complete: bool = key("the counts must be the full release's; false accepts a subset")
    kinds: list[str] = key("which turns: improvised, scripted", choices=("improvised", "scripted"))


@dataclass
class TableConfig(CorpusConfig):
    """Any corpus described by a table of one row per utterance."""

    table: str = key("CSV, TSV or JSON-lines file; relative paths start at corpus.root")
    columns: dict[str, Optional[str]] = key("our column -> the table's column, null where it has none")


@dataclass
class FeaturesConfig:
    """Sound to log spectrogram, PAPER 1."""

    name: str = key("log-Mel or log-STFT", choices=("logmel", "logstft"))
    max_seconds: float = key("of longer utterances the middle alone is kept", above=0.5)
    floor: Optional[float] = key("dB below an utterance's maximum, the quietest that is kept; null: no floor", above=0)


@dataclass
class SplitConfig:
    """Who trains, selects and tests."""

    protocol: str = key("how the corpus is divided", choices=("paper", "session", "speaker", "text", "file"))
    folds: Optional[list[int]] = key("which folds are run; null: all that the protocol has", low=0)
    repeats: list[int] = key("which repetitions of the cross-validation are run", low=0)


@dataclass
class PaperSplit(SplitConfig):
    """Random, stratified, speaker-dependent: PAPER 4."""

    reshuffle: bool = key("a new division for every repetition (text) or one for all (author's code)")
    seed: int = key("of the division", low=0)
    swap: bool = key("five more folds, 5 to 9, in which dev and test of 0 to 4 are exchanged")


@dataclass
class SessionSplit(SplitConfig):
    """Leave one session out."""

    dev: str = key(
        "'session': the next session selects, five folds; 'speaker': of the two speakers of the session left out one "
        "tests and the other selects, ten folds",
        choices=("session", "speaker"),
    )


@dataclass
class SpeakerSplit(SplitConfig):
    """Leave speakers out."""

    groups: int = key("groups that the speakers are dealt into; fold k tests group k and selects on the next", low=3)
    reshuffle: bool = key("a new deal for every repetition")
    seed: int = key("of the deal", low=0)


@dataclass
class TextSplit(SpeakerSplit):
    """Leave speakers and sentences out."""


@dataclass
class FileSplit(SplitConfig):
    """The user's own division."""

    table: str = key("CSV with the columns id and part (train, dev, test), and repeat and fold if there are several")


@dataclass
class BatchingConfig:
    """Which utterances share a batch."""

    order: str = key("'sorted': of like length; 'random': as they come (author's code)", choices=("sorted", "random"))
    size: int = key("utterances per batch", low=1)
    pool: int = key("sorted: batches' worth of shuffled utterances that are sorted together", low=1)


@dataclass
class ModelConfig:
    """The CRNN, PAPER 2."""

    tied: bool = key("one GRU for both directions (author's code)")
    reset: str = key("GRU reset gate after or before the recurrent product", choices=("after", "before"))


@dataclass
class LossConfig:
    """The joint loss, PAPER 3."""

    lam: float = key("lambda of equation (7); 0 is weighted softmax alone", low=0)
    alpha: float = key("rate of the centres' moving average, equation (4)", low=0, high=1)
    rule: str = key("centre update: 'ema' is equation (4), 'wen' is Wen et al. 2016", choices=("ema", "wen"))
    warm_up: int = key("first steps with lambda = 0 and alpha = 1", low=0)
    class_weights: str = key(
        "'inverse': 1/N; 'smoothed': max N/(N + 0.5) (author's code); 'none': equations (1), (2)",
        choices=("inverse", "smoothed", "none"),
    )


@dataclass
class OptimizerConfig:
    """Adam with a constant learning rate."""

    learning_rate: float = key("step size", above=0)


@dataclass
class TrainerConfig:
    """How long, how often dev is looked at, on what."""

    max_steps: int = key("training steps", low=1)
    check_every: Optional[int] = key("steps between dev evaluations; null: once per epoch", low=1)
    first_check: int = key("steps before which no parameters are selected", low=0)
    precision: str = key(
        "'32', 'bf16' (convolutions), or 'auto': bf16 where the hardware has it", choices=("auto", "32", "bf16")
    )
    accelerator: str = key("Lightning's accelerator", choices=("auto", "cpu", "gpu", "mps"))
    devices: int = key("GPUs, or with accelerator=cpu processes, that share one training", low=1)
    workers: Optional[int] = key(
        "runs trained side by side, each in a process; null: one per core, or up to six per GPU", low=1
    )


@dataclass
class LoggerConfig:
    """Where curves go besides metrics.csv."""

    name: str = key("W&B, or CSV alone", choices=("wandb", "csv"))
    project: Optional[str] = key("W&B project")
    entity: Optional[str] = key("W&B team; null: the default of the account")


@dataclass
class PathsConfig:
    """Everything written lies under one folder."""

    output: str = key("runs/, studies/, cache/, wandb/ are made in it; also $SER_OUTPUT")


@dataclass
class StudyConfig:
    """Several jobs and their report."""

    name: str = key("folder below studies/")
    stop_at_failure: bool = key("a run that fails stops the study or sweep, instead of being listed at its end")
    settings: dict[str, list[str]] = key("reproduce: setting -> its overrides")
    baseline: list[str] = key("the report compares each job with the one that has these, e.g. \"['loss.lam=0']\"")
    paper: Optional[str] = key("the paper of ser_lightning/papers/ whose chapter the report has; null: none")


@dataclass
class Config:
    """One configuration: what `train` trains, all its folds and repetitions."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    batching: BatchingConfig = field(default_factory=BatchingConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    seed: int = key("of initialisation and of the order of batches", low=0)


CORPORA: dict[str, type[CorpusConfig]] = {"demo": DemoConfig, "table": TableConfig, "iemocap": IEMOCAPConfig}
PROTOCOLS: dict[str, type[SplitConfig]] = {
    "paper": PaperSplit,
    "session": SessionSplit,
    "speaker": SpeakerSplit,
    "text": TextSplit,
    "file": FileSplit,
}


def check(composed: DictConfig) -> Config:
    """A composed configuration as typed dataclasses, `paths.output` absolute.

    Raises `UserError` naming the first key that is unknown, missing, of the wrong type or out of range.
    """
    plain = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    corpus_format = composed.corpus.get("format")
    try:
        config = OmegaConf.to_object(OmegaConf.merge(_schema(corpus_format, composed.split.get("protocol")), plain))
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is not set: {_meaning(str(error.full_key), corpus_format)}") from error
    except OmegaConfBaseException as error:
        message = str(error.msg or error).splitlines()[0]
        if "is not a ListConfig" in message:
            message = f"must be a list, e.g. {error.full_key}=[0]"
        raise UserError(f"{error.full_key}: {message}") from error
    assert isinstance(config, Config)
    for path, value, metadata in _leaves(config):
        _check_range(path, value, metadata)
    if config.trainer.first_check > config.trainer.max_steps:
        raise UserError(
            f"trainer.first_check={config.trainer.first_check}: must be at most trainer.max_steps="
            f"{config.trainer.max_steps}, or no parameters are ever selected"
        )
    config.paths.output = str(Path(config.paths.output).expanduser().resolve())
    return config


@cache
def _schema(corpus_format: str | None, protocol: str | None) -> DictConfig:
    """The types of all keys, those of a corpus and protocol among them."""
    schema: DictConfig = OmegaConf.structured(Config)
    schema.corpus = OmegaConf.structured(CORPORA.get(corpus_format or "", CorpusConfig))
    schema.split = OmegaConf.structured(PROTOCOLS.get(protocol or "", SplitConfig))
    return schema


def remember_conf() -> None:
    """Put all of `conf/` into Hydra's memory, so that editing it changes nothing in a command that is running."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    # Plugins put configurations there too when they are first looked for, some under the same names.
    Plugins.instance()
    store = ConfigStore.instance()
    for file in sorted(CONF.rglob("*.yaml")):
        folder = file.parent.relative_to(CONF).as_posix()
        package = re.match(r"# @package (\S+)", file.read_text())
        store.store(
            file.name,
            OmegaConf.load(file),
            group=None if folder == "." else folder,
            package=package.group(1) if package else None,
        )


def compose(overrides: Sequence[str] = (), config_name: str = "train") -> Config:
    """The configuration that the command line `python -m ser_lightning.train OVERRIDES` would use."""
    from hydra import compose as hydra_compose
    from hydra import initialize
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        return check(hydra_compose(config_name, list(overrides)))
    remember_conf()
    with initialize(config_path=None, version_base="1.3"):
        return check(hydra_compose(config_name, list(overrides)))


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
    """Every dotted key of `conf/` with its meaning, those of single corpora and protocols among them."""
    known = dict(_keys(Config))
    for group, schemas in (("corpus", CORPORA), ("split", PROTOCOLS)):
        for schema in schemas.values():
            for path, meaning in _keys(schema):
                known.setdefault(f"{group}.{path}", meaning)
    groups = [item.name for item in fields(Config)]
    return dict(sorted(known.items(), key=lambda pair: groups.index(pair[0].split(".")[0])))


def choices() -> dict[str, list[str]]:
    """The groups of `conf/` and what can be chosen in each."""
    found: dict[str, list[str]] = {}
    for file in sorted(CONF.glob("*/**/*.yaml")):
        found.setdefault(file.parent.relative_to(CONF).as_posix(), []).append(file.stem)
    return found


def nearest_key(unknown: str) -> str | None:
    """The known key that `unknown` most probably meant, e.g. loss.lam for loss.lamda."""
    close = difflib.get_close_matches(unknown, sorted(known_keys()), n=1, cutoff=0.6)
    return close[0] if close else None


def _keys(schema: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every (dotted key, meaning) of a schema."""
    for item in fields(schema):
        nested = item.type if is_dataclass(item.type) else None
        if nested is not None:
            yield from _keys(nested, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item.metadata.get("meaning", "")


def _meaning(path: str, corpus_format: str | None) -> str:
    own = dict(_keys(CORPORA.get(corpus_format or "", CorpusConfig)))
    return own.get(path.removeprefix("corpus."), "") or known_keys().get(path, "it has no default")


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every (dotted key, value, metadata) of a configuration."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, value, item.metadata


def _check_range(path: str, value: Any, metadata: Any) -> None:
    low, above, high, choices = (metadata.get(name) for name in ("low", "above", "high", "choices"))
    for one in value if isinstance(value, list) else [value]:
        if one is None:
            continue
        if choices and one not in choices:
            raise UserError(f"{path}={one}: must be one of {', '.join(choices)}")
        if low is not None and not one >= low:
            raise UserError(f"{path}={one}: must be at least {low} ({metadata['meaning']})")
        if above is not None and not one > above:
            raise UserError(f"{path}={one}: must be above {above} ({metadata['meaning']})")
        if high is not None and not one <= high:
            raise UserError(f"{path}={one}: must be at most {high} ({metadata['meaning']})")
    if isinstance(value, list) and (path.endswith(".folds") or path.endswith(".repeats")) and not value:
        raise UserError(f"{path} is empty: name at least one, e.g. {path}=[0]")
