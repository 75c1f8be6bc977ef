"""Which settings differ between the jobs of a study, and what settings are called in tables, figures and lines."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import yaml

from ser_lightning.errors import UserError
from ser_lightning.runs.signature import flat

# Names of the shipped front ends as they are written; any other is called as it is.
PRETTY = {"logmel": "log-Mel", "logstft": "log-STFT"}
GREEK = {"lam": "lambda"}
ITALIC = {"lambda": "𝜆", "alpha": "𝛼"}

# The only network, head, loss, normalisation and augmentation before they could be chosen.
FORMER = {"model": "crnn", "head": "linear", "loss": "center", "normalise": "training", "augment": "none"}


def settings_key(settings: Mapping[str, Any]) -> str:
    """The same text for equal settings, whatever their order, and whether 1 is written as 1.0."""
    return json.dumps(_with_floats(settings), sort_keys=True)


def _with_floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_floats(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_floats(inner) for inner in value]
    return float(value) if type(value) is int else value


def name_parts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the names of the parts that earlier versions had without naming them."""
    named = dict(settings)
    for group, name in FORMER.items():
        part = settings.get(group, {})
        # With lambda = 0 the loss plays no part
        if "name" not in part and not (group == "loss" and part.get("lam", 0) == 0):
            named[group] = {"name": name, **part}
    return named


def varying_settings(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The dotted keys in which jobs with these settings differ, but for what follows from others.

    A setting that a job lacks, as lambda = 0 lacks alpha, is no value of its own. What a part alone has (features.floor
    of `features.name`) differs only between jobs with the same part, and what belongs to the trainer, whose steps go by
    the features, only between jobs that agree in all else.
    """
    tables = [flat(one) for one in settings]
    keys = _in_order(key for table in tables for key in table)
    own = [key for key in keys if not key.startswith("trainer.") and _differs(tables, key, _part(tables, key))]
    return own + [key for key in keys if key.startswith("trainer.") and _differs(tables, key, own)]


def _in_order(keys: Iterable[str]) -> list[str]:
    """Each key once, group by group as they come, the part's name first in each."""
    distinct = list(dict.fromkeys(keys))
    groups = list(dict.fromkeys(key.partition(".")[0] for key in distinct))
    return sorted(distinct, key=lambda key: (groups.index(key.partition(".")[0]), not key.endswith(".name")))


def _part(tables: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """The name of the part that a setting belongs to, unless all jobs have the setting."""
    name = f"{key.partition('.')[0]}.name"
    return [] if key == name or all(key in table for table in tables) else [name]


def _differs(tables: Sequence[Mapping[str, Any]], key: str, within: Sequence[str]) -> bool:
    """Whether a setting has several values in jobs with equal values `within`."""
    values: dict[str, set[str]] = {}
    for table in tables:
        if key in table:
            group = settings_key({name: table.get(name) for name in within})
            values.setdefault(group, set()).add(settings_key({key: table[key]}))
    return any(len(several) > 1 for several in values.values())


def short_keys(keys: Sequence[str], taken: Sequence[str] = ()) -> dict[str, str]:
    """Dotted key -> its last part, or the group's name for the part that was chosen in it.

    A key keeps its dots where its short name is another's too, or `taken`.

    >>> short_keys(["loss.name", "loss.lam", "model.reset", "sound.reset"])
    {'loss.name': 'loss', 'loss.lam': 'lam', 'model.reset': 'model.reset', 'sound.reset': 'sound.reset'}
    """
    words = {key: key.removesuffix(".name").rpartition(".")[2] for key in keys}
    names = [*words.values(), *taken]
    return {key: word if names.count(word) == 1 else key for key, word in words.items()}


def spell(word: str) -> str:
    """The short name of a setting as it is written: lambda for lam."""
    return GREEK.get(word, word)


def show_value(value: Any) -> str:
    """A setting's value for reading."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    return PRETTY.get(str(value), str(value))


def say(key: str, word: str, value: Any, equals: str = " = ") -> str:
    """A setting in a few words; of a part its name says enough.

    >>> say("loss.lam", "lam", 0.3), say("features.name", "features", "logmel"), say("seed", "seed", 7, " ")
    ('lambda = 0.3', 'log-Mel', 'seed 7')
    """
    return show_value(value) if key.endswith(".name") else f"{spell(word)}{equals}{show_value(value)}"


def symbols(text: str) -> str:
    """Text for a figure, its Greek letters as such, in lines that half a page has room for.

    >>> symbols("lambda = 0.3, alphabet = 2")
    '𝜆 = 0.3, alphabet = 2'
    >>> symbols("log-Mel\\nlambda = 0")
    'log-Mel\\n𝜆 = 0'
    """
    lines = [fill(line, 48, break_on_hyphens=False) for line in text.split("\n")]
    return re.sub(r"(?<![\w.])(lambda|alpha)(?![\w.])", lambda word: ITALIC[word[0]], "\n".join(lines))


@dataclass(frozen=True)
class Baseline:
    """What the settings of a study are compared with: the jobs that have all of these values.

    Attributes:
        values: key, as on the command line, -> value.
    """

    values: Mapping[str, Any]

    @classmethod
    def read(cls, words: Sequence[str]) -> "Baseline":
        """From overrides such as loss.lam=0. Raises `UserError` where one is none."""
        values = {}
        for word in words:
            key, sign, text = word.partition("=")
            if not (sign and key.strip()):
                raise UserError(f"study.baseline: {word} is not KEY=VALUE, e.g. \"study.baseline=['loss.lam=0']\"")
            values[key.strip()] = _value(text)
        return cls(values)

    def key_in(self, key: str, settings: Mapping[str, Any]) -> str | None:
        """The dotted key that one of the baseline's means in flat settings: loss means loss.name; None: it is not."""
        return next((name for name in (key, f"{key}.name") if name in settings), None)

    def keys(self, settings: Sequence[Mapping[str, Any]]) -> list[str]:
        """The dotted keys that the baseline sets, of those that jobs with these settings have."""
        tables = [flat(one) for one in settings]
        keys = (self.key_in(key, table) for key in self.values for table in tables)
        return list(dict.fromkeys(key for key in keys if key is not None))

    def has(self, settings: Mapping[str, Any]) -> bool:
        """Whether a job with these settings is of the baseline."""
        table = flat(settings)
        keys = {key: self.key_in(key, table) for key in self.values}
        return bool(keys) and all(
            name is not None and _equal(table[name], self.values[key]) for key, name in keys.items()
        )


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"study.baseline: {text} is no value that could be read") from error
    try:
        # YAML takes 1e-3 for a word
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def describe_settings(settings: Mapping[str, Any], study: Sequence[Mapping[str, Any]], baseline: Baseline) -> str:
    """What sets a job apart in its study, for progress lines and names of runs, e.g. 'log-Mel lambda 0.3'.

    Args:
        settings: of the job.
        study: of all jobs.
        baseline: its settings are always told.
    """
    jobs = [*study, settings]
    keys = {*varying_settings(jobs), *baseline.keys(jobs)}
    table = flat(settings)
    words = short_keys([key for key in _in_order(table) if key in keys])
    return " ".join(say(key, word, table[key], equals=" ") for key, word in words.items())
