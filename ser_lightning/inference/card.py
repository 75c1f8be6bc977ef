"""The model card of an exported folder, as Hugging Face reads it, and the licences that it has to name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ser_lightning.config import CorpusConfig, compose
from ser_lightning.corpora.licences import Licence
from ser_lightning.errors import UserError
from ser_lightning.inference.graph import SHORTEST
from ser_lightning.inference.limits import Tested
from ser_lightning.terminal import visible

# What is given without conditions binds nobody who joins it with something else
FREE = ("cc0-1.0", "mit")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]*")
CARD = """\
---
{metadata}
---

# {name}

Recognises emotion in speech: {listed}.

Networks: {description}.

{limits}

Meant for research on emotion in speech, and for trying it out.

## Input and output

Sound is mono, float32 in [-1, 1], at 16 kHz, from {shortest:,} samples (0.48 s) on. Sound of another rate has to be
resampled first: nothing here sees it. Silence and noise get a class too; `ser predict` guards against them, the graphs
do not.

Classes, in order: {classes}. {output}

## How to use it

```python
import numpy, onnxruntime, soundfile

signal, rate = soundfile.read("speech.wav", dtype="float32")
assert rate == 16000 and signal.ndim == 1
# batch.onnx takes several: signal [batch, samples] and lengths [batch], int64
logits, z = onnxruntime.InferenceSession("model.onnx").run(None, {{"signal": signal[None]}})
probabilities = numpy.exp(logits[0] / {temperature:.4g})
print(dict(zip({listed_classes}, probabilities / probabilities.sum())))
```

```python
import audonnx

# At 16 kHz: audonnx takes any rate, and does not resample
logits = audonnx.load(".")(signal, rate, outputs="logits")
```

```
# ser_lightning's wheel, which `pip wheel --no-deps .` makes in a clone
pip install path/to/ser_lightning-*.whl
ser predict . speech.wav folder/ --out predictions.csv
```

## Training corpus and licence

{corpus}{licences}

## Files

`model.onnx` (with `model.yaml` for audonnx) and `batch.onnx` have the same weights, with front end and normalisation
inside; `*.safetensors` and `config.json` are for ser_lightning. {recordings} {check}
"""


@dataclass(frozen=True)
class Terms:
    """Under what a model may be passed on.

    Attributes:
        identifier: Hugging Face's, for the card.
        corpora: corpus -> its licence; None where none is known.
        own: whether the user named it.
    """

    identifier: str
    corpora: Mapping[str, Licence | None]
    own: bool

    @property
    def warnings(self) -> list[str]:
        """What the licences ask, a sentence for each corpus that asks something."""
        return [
            f"{name} is given under {licence}. Whether that binds a model trained on it, no licence says; to be on "
            "the safe side, keep to it, and name the corpus."
            for name, licence in self.corpora.items()
            if licence and licence.conditions
        ]


def find_terms(corpus: CorpusConfig, own: str = "") -> Terms:
    """Under what a model of a corpus may be passed on: the corpus's own licence, or what the user names.

    Raises `UserError` where a corpus's licence is not known, is a person's own, or where those of several differ, and
    none is named.
    """
    corpora = _licences(corpus)
    if own:
        return Terms(_identifier(own, "--license"), corpora, own=True)
    for name, licence in corpora.items():
        if licence is None or not licence.identifier:
            reason = f"is given under {licence}" if licence else "has no licence that is known here"
            raise UserError(
                f"{name} {reason}: whether a model of it may be passed on, and how, is for you to find out; name the "
                "model's licence by --license, e.g. --license other"
            )
    names = {licence.identifier for licence in corpora.values() if licence}
    binding = {name for name in names if name not in FREE}
    if len(binding) > 1:
        listed = ", ".join(f"{name}: {licence}" for name, licence in corpora.items())
        raise UserError(f"the corpora have several licences ({listed}); name the model's by --license")
    # Of those without conditions MIT asks at least to be named
    return Terms(max(binding or names), corpora, own=False)


def _identifier(name: str, place: str) -> str:
    if not IDENTIFIER.fullmatch(name):
        raise UserError(
            f"{place} {visible(name)}: it is one of Hugging Face's names of licences, in small letters, e.g. "
            "cc-by-nc-4.0, or other"
        )
    return name


def _licences(corpus: CorpusConfig) -> dict[str, Licence | None]:
    if not getattr(corpus.load(), "joins", False):
        return {corpus.name: _licence(corpus)}
    return {name: _licence(_member(name)) for name in corpus.own["roots"]}


def _member(name: str) -> CorpusConfig | None:
    """A corpus of several that are joined; None where it takes settings of its own, and nothing is known of it."""
    try:
        return compose([f"corpus={name}", "corpus.root=null"]).corpus
    except UserError:
        return None


def _licence(corpus: CorpusConfig | None) -> Licence | None:
    """What the class of a corpus says itself; one that is derived from it may read other recordings."""
    licence = vars(corpus.load()).get("licence") if corpus else None
    if corpus is None or licence is None:
        return None
    if not isinstance(licence, Licence):
        raise UserError(f"{corpus.place}: its licence is no ser_lightning.corpora.licences.Licence")
    if licence.identifier:
        _identifier(licence.identifier, f"{corpus.place}: its licence")
    return licence


def front_matter(name: str, terms: Terms, corpus: str, protocol: str, test: Tested, part: str) -> dict[str, Any]:
    """The card's metadata: licence, tags, and `model-index` with the scores of the test, which was of some `part`."""
    scores = {
        "recall": (f"UA (mean recall of the classes), {part}", test.ua),
        "accuracy": (f"WA (accuracy), {part}", test.wa),
    }
    metrics = [
        {"type": kind, "name": f"{meaning}: {score}", "value": round(score.mean, 1)}
        for kind, (meaning, score) in scores.items()
    ]
    return {
        "license": terms.identifier,
        "library_name": "ser_lightning",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "onnx", "audonnx"],
        "metrics": list(scores),
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "audio-classification", "name": "speech emotion recognition"},
                        "dataset": {"type": corpus, "name": corpus, "config": protocol, "split": "test"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


@dataclass(frozen=True)
class CardFacts:
    """What a card tells beside its metadata.

    Attributes:
        description: which networks these are.
        limits: their test and its limits, in Markdown.
        classes: in the order of logits.
        temperatures: by which each network's logits are divided.
        recordings: what is known of the recordings that the networks were trained on.
        corpus: what they were trained and tested on; '' where that is not known.
        check: how the graphs were checked.
    """

    description: str
    limits: str
    classes: Sequence[str]
    temperatures: Sequence[float]
    recordings: str
    corpus: str
    check: str


def write_card(name: str, metadata: Mapping[str, Any], facts: CardFacts, terms: Terms) -> str:
    """The card in Markdown."""
    several = len(facts.temperatures) > 1
    if several:
        output = (
            "`logits` are the logarithm of the networks' mean calibrated probability, which `softmax(logits)` gives "
            "back; `z` has the 64 features of each network, one behind the other."
        )
    else:
        output = (
            f"`softmax(logits / {facts.temperatures[0]:.4g})` is the calibrated probability, `softmax(logits)` is not; "
            "`z` has the network's 64 features."
        )
    return CARD.format(
        metadata=yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=1000).rstrip(),
        name=name,
        listed=", ".join(facts.classes),
        description=facts.description,
        limits=facts.limits,
        output=output,
        temperature=1.0 if several else facts.temperatures[0],
        listed_classes=list(facts.classes),
        corpus=f"{facts.corpus}.\n\n" if facts.corpus else "",
        classes=", ".join(f"`{one}`" for one in facts.classes),
        shortest=SHORTEST,
        licences="\n".join(_licence_lines(terms)),
        recordings=facts.recordings,
        check=facts.check,
    )


def _licence_lines(terms: Terms) -> list[str]:
    lines = [f"- {name}: {licence or 'no licence is known'}" for name, licence in terms.corpora.items()]
    origin = "named by who exported it" if terms.own else "that of its corpus"
    return [*lines, "", f"The model's licence, {origin}: {terms.identifier}.", *terms.warnings]
