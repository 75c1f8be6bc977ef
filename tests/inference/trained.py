"""A small trained study: two settings on two folds of the demo, a few steps each, in float32."""

from pathlib import Path

import pytest

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from tests import commands

STUDY = "tried"
WORDS = ["corpus.utterances=120", "features.max_seconds=3", "batching.size=4", "trainer.max_steps=6"]
WORDS += ["split.folds=[0,1]", "logger=csv", "trainer.precision=32", "trainer.workers=1", f"study.name={STUDY}"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, output: Path) -> Path:
    """`paths.output` of the study `tried`: lambda 0 and 0.3, folds 0 and 1; its folder is studies/tried."""
    place = tmp_path_factory.mktemp("trained")
    # The demo of other tests
    (place / "outputs").mkdir()
    (output / "cache").mkdir(exist_ok=True)
    (place / "outputs" / "cache").symlink_to(output / "cache")
    environment = {"SER_OUTPUT": str(place / "outputs"), "WANDB_MODE": "offline"}
    done = commands.run("train", ["-m", "loss.lam=0,0.3", *WORDS], place, place, **environment)
    assert done.returncode == 0, done.stderr
    return place / "outputs"


@pytest.fixture(scope="session")
def study(trained: Path) -> Path:
    """The folder of the study `tried`."""
    return trained / "studies" / STUDY


@pytest.fixture(scope="session")
def recordings(trained: Path) -> dict[str, Path]:
    """id -> the recording, of the demo that the study is on."""
    config = compose([*WORDS, f"paths.output={trained}"])
    table = load_manifest(config.corpus, trained / "cache").table
    return dict(zip(table["id"], map(Path, table["path"]), strict=True))
