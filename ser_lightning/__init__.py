"""Losses for speech emotion recognition, trained, swept and reported: Dai et al., ICASSP 2019, and one's own.

Commands are modules (`python -m ser_lightning.train`, or `ser train`). From Python:

    from ser_lightning import Recognizer, fit, load_study

    results = fit("corpus=demo", "loss.lam=0.3")
    load_study("corpus-demo_loss.lam-0.3").summary
    Recognizer.load("corpus-demo_loss.lam-0.3").predict(wave, rate)

Names are imported when they are first used, so that `import ser_lightning` costs nothing.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ser_lightning.errors import UserError as UserError
    from ser_lightning.inference.recognizer import Recognizer as Recognizer
    from ser_lightning.interface import Study as Study
    from ser_lightning.interface import compose as compose
    from ser_lightning.interface import fit as fit
    from ser_lightning.interface import load_study as load_study
    from ser_lightning.training.recognizer import EmotionRecognizer as EmotionRecognizer

__version__ = "0.2.0"

# `python -m` looks first into the folder that it is called in, and would take a user's random.py for Python's own
if sys.argv[:1] == ["-m"] and any(word.startswith(__name__) for word in sys.orig_argv) and not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "errors": ["UserError"],
        "inference.recognizer": ["Recognizer"],
        "interface": ["Study", "compose", "fit", "load_study"],
        "training.recognizer": ["EmotionRecognizer"],
    },
)
