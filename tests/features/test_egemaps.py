"""eGeMAPS are openSMILE's; its licence is said."""

import numpy as np
import pytest

from ser_lightning.config import compose
from ser_lightning.features import egemaps
from ser_lightning.features.front_end import transform

opensmile = pytest.importorskip("opensmile", reason="needs the extra 'egemaps'")


def test_functionals_are_opensmiles_and_the_licence_is_said_once(caplog):
    egemaps._smile.cache_clear()
    part = compose(["features=egemaps"]).features
    front_end, _ = part.make(), part.make()
    assert caplog.messages == [egemaps.LICENCE]
    wave = 0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    frames = transform(part, front_end, wave, "noise")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    theirs = smile.process_signal(wave, 16_000)
    assert frames.shape == (1, 88) == theirs.shape
    np.testing.assert_array_equal(frames, theirs.to_numpy())
    assert np.isfinite(front_end(wave[: front_end.shortest])).all()


def test_samples_beyond_one_are_clipped_and_do_not_wrap_around():
    front_end = compose(["features=egemaps"]).features.make()
    wave = 1.2 * np.sin(np.arange(16_000) * 2 * np.pi * 200 / 16_000).astype(np.float32)
    np.testing.assert_array_equal(front_end(wave), front_end(np.clip(wave, -1, 32767 / 32768)))
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    assert not np.allclose(front_end(wave), smile.process_signal(wave, 16_000).to_numpy(), rtol=0.1)
