"""The extended Geneva minimalistic acoustic parameter set, Eyben et al. 2016: the field's classical baseline."""

import logging
from functools import cache
from typing import Any

import numpy as np

from ser_lightning.errors import UserError
from ser_lightning.features.audio import RATE

log = logging.getLogger(__name__)

EXTRA = "pip install 'ser-lightning[egemaps]'"
# Of 16-bit sound
LARGEST = 1 - 2**-15
LICENCE = (
    "eGeMAPS are computed by openSMILE, whose research licence is for research and teaching, not for products, "
    "nor for products that use features or models made with it"
)


class EGeMAPS:
    """88 functionals of an utterance, eGeMAPSv02, by openSMILE: one row per utterance.

    Raises:
        UserError: opensmile is not installed.
    """

    sample_rate = RATE
    rate = None
    bins = 88
    # In less openSMILE finds no frame
    shortest = RATE // 10
    dtype = "float32"

    def __init__(self) -> None:
        self.smile = _smile()

    @staticmethod
    def pinned(**settings: Any) -> dict[str, Any]:
        """The settings, and what tells these rows from earlier ones, where samples beyond 1 had wrapped around."""
        return {**settings, "samples": "clipped"}

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The functionals [1, 88] of a wave [samples] at 16 kHz."""
        # openSMILE makes 16-bit integers of them, in which 1 is -1
        clipped = np.clip(wave, -1, LARGEST)
        row: np.ndarray = self.smile.process_signal(clipped, RATE).to_numpy(dtype=np.float32)
        return row


@cache
def _smile() -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise UserError(f"features=egemaps needs opensmile: {EXTRA}") from error
    log.warning(LICENCE)
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )
