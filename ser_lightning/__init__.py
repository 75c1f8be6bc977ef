"""Losses for speech emotion recognition, trained, swept and reported: Dai et al., ICASSP 2019, and one's own.

Commands are modules (`python -m ser_lightning.train`, or `ser train`). From Python:

    from ser_lightning import Recognizer, fit, load_study

    results = fit("corpus=demo", "loss.lam=0.3")
    load_study("corpus-demo_loss.lam-0.3").summary
    Recognizer.load("corpus-demo_loss.lam-0.3").predict(wave, rate)

Names are imported when they are first used, so that `import ser_lightning` costs nothing.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_lightning.errors import UserError
    from ser_lightning.inference.recognizer import Recognizer
    from ser_lightning.interface import Study, compose, fit, load_study
    from ser_lightning.training.recognizer import EmotionRecognizer

__version__ = "0.2.0"
__all__ = ["EmotionRecognizer", "Recognizer", "Study", "UserError", "__version__", "compose", "fit", "load_study"]

# `python -m` looks first into the folder that it is called in, and would take a user's random.py for Python's own
if sys.argv[:1] == ["-m"] and any(word.startswith(__name__) for word in sys.orig_argv) and not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))

_HOMES = {
    "EmotionRecognizer": "ser_lightning.training.recognizer",
    "Recognizer": "ser_lightning.inference.recognizer",
    "Study": "ser_lightning.interface",
    "UserError": "ser_lightning.errors",
    "compose": "ser_lightning.interface",
    "fit": "ser_lightning.interface",
    "load_study": "ser_lightning.interface",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = value = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
