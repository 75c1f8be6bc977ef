"""The corpus and frames of a job: what cannot be used is left out, with its reason."""

import logging

import numpy as np
import soundfile

from ser_lightning.config import FeaturesConfig, compose
from ser_lightning.features import LogMel
from ser_lightning.training.plan import prepare


class Choosy(LogMel):
    """Leaves 30 frames of what is longer than a second."""

    def __call__(self, wave):
        frames = super().__call__(wave)
        return frames if len(frames) <= 101 else frames[:30]


def test_what_a_front_end_leaves_too_little_of_for_the_encoder_is_left_out(tmp_path, monkeypatch, caplog):
    noise = np.random.default_rng(0)
    for number in range(12):
        soundfile.write(tmp_path / f"{number:02d}.wav", noise.uniform(-0.1, 0.1, 16_000 + 160 * number // 11), 16_000)
    rows = [f"{number:02d}.wav,{'ab'[number % 2]}" for number in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    monkeypatch.setattr(FeaturesConfig, "make", lambda self: Choosy())
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", "corpus.max_bad_share=0.1"]
    with caplog.at_level(logging.WARNING):
        manifest, _ = prepare(compose([*words, f"paths.output={tmp_path}"]))
    assert len(manifest) == 11
    assert manifest.left_out == {"11.wav": "30 frames are fewer than the 49 that model=crnn needs"}
    assert "1 of 12 recordings are left out. 11.wav: 30 frames" in caplog.text
