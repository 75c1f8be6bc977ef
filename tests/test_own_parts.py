"""What a user's own parts can do, from the wheel, in a folder that holds nothing but them: all that shipped ones can.

Every part is one Python file and one yaml; nothing else is written for it.
"""

import json
import signal
import time
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
import torch

from tests.components.test_code import write
from tests.installation import environment, run, run_forked

FILES = {
    # What must not be taken for Python's own
    "random.py": "raise SystemExit('random.py of the user')",
    "unrelated.py": "",
    "helper.py": """
        import torch

        def cosines(a):
            a = torch.nn.functional.normalize(a, dim=1)
            return a @ a.T
        """,
    "mine.py": '''
        import random
        from typing import Annotated

        import torch
        from pydantic import Field
        from torch import nn

        from helper import cosines


        class SupCon(nn.Module):
            """Supervised contrast of a projection of z.

            Args:
                tau: temperature of the similarities.
                width: of the projection.
            """

            def __init__(self, features, *, tau: Annotated[float, Field(gt=0)] = 0.1, width: int = 16):
                super().__init__()
                self.tau = tau
                self.project = nn.Linear(features, width)

            def forward(self, z, logits, batch):
                own = torch.eye(len(z), dtype=torch.bool)
                log = (cosines(self.project(z)) / self.tau).masked_fill(own, -1e9).log_softmax(dim=1)
                positives = ((batch.labels[:, None] == batch.labels) & ~own).float()
                return -(positives * log).sum() / positives.sum().clamp(min=1)
        ''',
    "conf/loss/mine.yaml": "_target_: mine.SupCon",
    "encoder.py": '''
        from torch import nn


        class TwoLayers(nn.Module):
            """Two layers on the mean over frames.

            Args:
                width: of both.
            """

            def __init__(self, bins, *, width: int = 16):
                super().__init__()
                self.features = width
                self.layers = nn.Sequential(nn.Linear(bins, width), nn.ReLU(), nn.Linear(width, width))

            def forward(self, frames, lengths):
                return self.layers(frames.sum(dim=1) / lengths[:, None])
        ''',
    "conf/model/small.yaml": "_target_: encoder.TwoLayers",
    "angles.py": '''
        from torch import nn


        class Angles(nn.Module):
            """Cosines with a vector for each class.

            Args:
                scale: what they are multiplied by.
            """

            def __init__(self, features, classes, *, scale: float = 8.0):
                super().__init__()
                self.scale, self.classes = scale, nn.Linear(features, classes, bias=False)

            def forward(self, z):
                normalize = nn.functional.normalize
                return self.scale * normalize(z, dim=1) @ normalize(self.classes.weight, dim=1).T
        ''',
    "conf/head/angles.yaml": "_target_: angles.Angles",
    "loudness.py": '''
        import numpy as np


        class Loudness:
            """Logarithm of the energy in pieces of 10 ms.

            Args:
                pieces: how many make a frame.
            """

            sample_rate = 16_000

            def __init__(self, *, pieces: int = 4):
                self.bins, self.shortest, self.rate = pieces, 160 * pieces, 100 / pieces

            def __call__(self, wave):
                frames = wave[: len(wave) // self.shortest * self.shortest].reshape(-1, self.bins, 160)
                return np.log(np.square(frames).mean(axis=2) + 1e-6)
        ''',
    "conf/features/loudness.yaml": "_target_: loudness.Loudness",
    "noise.py": '''
        import numpy as np
        import pandas as pd
        import soundfile


        class Noise:
            """Noise, loud and quiet.

            Args:
                utterances: how many.
            """

            synthetic = True

            def __init__(self, *, utterances: int = 60):
                self.utterances = utterances

            def make(self, folder):
                source = np.random.default_rng(0)
                for number in range(self.utterances):
                    wave = (0.2 if number % 2 else 0.02) * source.standard_normal(4000)
                    soundfile.write(folder / f"{number:03d}.wav", wave, 16_000)

            def load(self, root):
                files = sorted(root.glob("*.wav"))
                labels = ["loud" if int(file.stem) % 2 else "quiet" for file in files]
                return pd.DataFrame({"id": [file.stem for file in files], "path": files, "raw_label": labels})
        ''',
    "nearest.py": '''
        import numpy as np


        class Nearest:
            """Minus the distance to the mean of each class.

            Args:
                power: of the distance.
            """

            def __init__(self, classes, *, power: int = 2):
                self.classes, self.power = classes, power

            def fit(self, z, labels):
                self.means = np.stack([z[labels == label].mean(axis=0) for label in range(self.classes)])

            def scores(self, z):
                return -(np.abs(z[:, None] - self.means) ** self.power).sum(axis=2)
        ''',
    "conf/readout/nearest.yaml": "_target_: nearest.Nearest",
    # It is made, and lies nowhere
    "conf/corpus/noise.yaml": "_target_: noise.Noise\nroot: null",
    "thirds.py": '''
        import numpy as np


        class Thirds:
            """A third each, in turn.

            Args:
                pause: utterances left out at the start.
            """

            def __init__(self, *, pause: int = 0):
                self.pause = pause

            def divide(self, manifest, repeat):
                roles = np.array(["train", "dev", "test"])[np.arange(len(manifest)) // 2 % 3]
                roles[: self.pause] = ""
                return roles[None]
        ''',
    "conf/split/thirds.yaml": "_target_: thirds.Thirds",
}
QUICK = ["corpus.utterances=120", "split.folds=[0]", "logger=csv", "features.max_seconds=1", "trainer.precision=32"]
QUICK += ["trainer.accelerator=cpu", "trainer.max_steps=2", "model=small"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of all that the tests make, so that the demo is made once."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture
def user(place):
    """The user's folder, with the files as they were at first."""
    return write(place, {name: dedent(content).lstrip() + "\n" for name, content in FILES.items()})


@pytest.fixture
def ser(user, installed, forks, tmp_path):
    """Gives a command to the console script in the user's folder, and expects it to end well."""

    def call(*words):
        done = run_forked(forks, [installed / "bin" / "ser", *words], user, tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def start(user, installed, forks, tmp_path):
    """Begins such a command; it is killed in the end."""
    started = []

    def begin(*words):
        files = [tmp_path / name for name in ("stdout", "stderr")]
        started.append(forks.start([installed / "bin" / "ser", *words], user, *files, environment()))
        return started[-1]

    yield begin
    for process in started:
        process.send_signal(signal.SIGKILL)


def results(place):
    """signature -> result of all finished runs."""
    return {file.parent.name: json.loads(file.read_text()) for file in place.glob("outputs/runs/*/result.json")}


def new(place, before):
    """The results that were not there before."""
    return {name: result for name, result in results(place).items() if name not in before}


def test_a_loss_is_swept_beside_one_that_ships_and_reported(ser, user):
    """By processes of a launcher, which import the copy; a setting that one of both lacks is swept where it exists."""
    before = results(user)
    words = ["loss=mine,center", "loss.lam=0,0.1", "loss.tau=0.2", "study.name=swept", "hydra/launcher=joblib"]
    ser("train", "-m", *QUICK, *words)
    settings = [result["settings"]["loss"] for result in new(user, before).values()]
    assert sorted((loss["lam"], loss.get("name"), loss.get("tau")) for loss in settings if loss["lam"]) == [
        (0.1, "center", None),
        (0.1, "mine", 0.2),
    ]
    assert [loss for loss in settings if not loss["lam"]] == [
        {"lam": 0.0, "class_weights": "inverse", "focal": 0.0, "softmax": 1.0, "smoothing": 0.0}
    ]
    page = (user / "outputs" / "studies" / "swept" / "report.html").read_text()
    assert "mine" in page
    for signature, result in new(user, before).items():
        code = {file.name for file in (user / "outputs" / "runs" / signature / "code").glob("*.py")}
        # Both losses have the same run of lambda 0; either may be the one that trains it
        losses = {"mine": [3], "center": [1]}.get(result["settings"]["loss"].get("name"), [1, 3])
        assert len(code) in losses
        assert code <= {"encoder.py", "mine.py", "helper.py"}


def test_an_edit_of_what_a_part_consists_of_and_of_nothing_else_trains_anew(user, installed):
    """As from a notebook, in one process, which then has the new code."""
    script = """
        from pathlib import Path
        from ser_lightning import fit

        def train(file, text):
            with Path(file).open("a") as opened:
                opened.write(text)
            (result,) = fit(*WORDS)
            return result.signature, result.confusion

        first = train("mine.py", "")
        assert train("unrelated.py", "VALUE = 1") == first
        assert train("random.py", "VALUE = 1") == first
        edited = [train("mine.py", "# edited\\n"), train("helper.py", "# edited\\n")]
        assert len({signature for signature, _ in [first, *edited]}) == 3
        assert [confusion for _, confusion in edited] == 2 * [first[1]]
        again = train("helper.py", "def cosines(a):\\n    raise ValueError('the new code')\\n")
        """
    words = [*QUICK, "loss=mine", "loss.lam=0.1", "seed=1", "study.name=edited"]
    code = dedent(script).replace("WORDS", repr(words))
    done = run([installed / "bin" / "python", "-c", code], user, OMP_NUM_THREADS="1", PYTHONSAFEPATH="1")
    assert done.stderr.splitlines()[-1] == (
        f"ser_lightning.errors.UserError: loss=mine: helper.py:{helper_lines(user)}: ValueError: the new code"
    )


def helper_lines(user):
    return len((user / "helper.py").read_text().splitlines())


LONG = [
    *QUICK,
    "trainer.max_steps=72",
    "trainer.check_every=36",
    "loss=mine",
    "loss.lam=0.1",
    "seed=2",
    "study.name=long",
]


def test_a_killed_run_ends_as_if_undisturbed_and_two_ranks_train_as_one(ser, user, start):
    before = results(user)
    ser("train", *LONG)
    (signature,) = new(user, before)
    folder = user / "outputs" / "runs" / signature
    undisturbed = folder.rename(user / "undisturbed")

    process = start("train", *LONG)
    wait_for(lambda: (folder / "last.ckpt").exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    ser("train", *LONG)
    assert_same(folder, undisturbed)
    folder.rename(user / "resumed")

    ser("train", *LONG, "trainer.devices=2")
    assert results(user)[signature]["device"].startswith("2 x cpu")
    columns = ["step", "train/loss", "train/softmax", "train/term"]
    shared, alone = (pd.read_csv(place / "metrics.csv")[columns].dropna() for place in (folder, undisturbed))
    assert len(alone) == 6
    np.testing.assert_allclose(shared, alone, rtol=1e-3)
    np.testing.assert_allclose(shared.iloc[0], alone.iloc[0], rtol=1e-5)


def assert_same(folder, other):
    for name in ("predictions.parquet", "features.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(folder / name), pd.read_parquet(other / name))
    one, two = (torch.load(place / "best.ckpt", weights_only=True)["state_dict"] for place in (folder, other))
    assert {"loss.term.project.weight", "encoder.layers.0.weight"} <= one.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_an_edit_while_a_sweep_runs_reaches_no_worker(user, start):
    """Of four runs two are trained at a time, when code and configuration are nothing that can be read any more."""
    before, kept = results(user), (user / "mine.py").read_text()
    attempts = set(user.glob("outputs/runs/*/attempt.json"))
    words = ["loss=mine", "loss.lam=0.1,0.2", "split.folds=[0,1]", "seed=3", "trainer.workers=2", "study.name=running"]
    process = start("train", "-m", *QUICK, "trainer.max_steps=36", *words)
    wait_for(lambda: set(user.glob("outputs/runs/*/attempt.json")) - attempts or process.poll() is not None)
    assert len(new(user, before)) < 2
    for name in ("mine.py", "helper.py", "encoder.py", "conf/loss/mine.yaml", "conf/model/small.yaml"):
        (user / name).write_text("garbage (\n")
    assert process.wait() == 0
    trained = new(user, before)
    assert len(trained) == 4
    for signature in trained:
        assert (user / "outputs" / "runs" / signature / "code" / "mine.py").read_text() == kept


PARTS = {
    "corpus": "noise",
    "features": "loudness",
    "split": "thirds",
    "model": "small",
    "head": "angles",
    "loss": "mine",
    "readout": "nearest",
}


def test_every_kind_of_part_can_be_ones_own_at_once(ser, user):
    """Each is one Python file and one yaml."""
    for group, name in PARTS.items():
        line = FILES[f"conf/{group}/{name}.yaml"].splitlines()[0]
        assert f"{line.removeprefix('_target_: ').split('.')[0]}.py" in FILES
    before = results(user)
    words = ["loss.lam=0.1", "trainer.max_steps=4", "trainer.accelerator=cpu", "logger=csv", "split.pause=2"]
    ser("train", *(f"{group}={name}" for group, name in PARTS.items()), *words, "study.name=all")
    ((signature, result),) = new(user, before).items()
    assert (result["corpus"], result["protocol"], result["classes"]) == ("noise", "thirds", ["loud", "quiet"])
    assert result["utterances"] == {"train": 18, "dev": 20, "test": 20}
    assert result["settings"]["features"] == {"name": "loudness", "max_seconds": 14.0, "pieces": 4}
    assert result["settings"]["head"] == {"name": "angles", "scale": 8.0}
    code = {file.name for file in (user / "outputs" / "runs" / signature / "code").glob("*.py")}
    assert code == {name for name in FILES if name.endswith(".py")} - {"random.py", "unrelated.py"}
    assert list((user / "outputs" / "runs" / signature / "readouts").glob("nearest-*.parquet"))


def test_help_lists_them_with_the_meaning_of_their_keys(user, installed):
    """Also by `python -m`, which looks into the folder first, where there is a random.py."""
    by_ser, by_module = (
        run([installed / "bin" / words[0], *words[1:], "train", "--help"], user).stdout.splitlines()
        for words in (["ser"], ["python", "-m", "ser_lightning"])
    )
    assert len(by_ser) == len(by_module) > 80
    listed = {line.split()[0]: line.split()[1:] for line in by_module if line.startswith("  ")}
    assert all(listed[group][-1] == name for group, name in PARTS.items())
    assert " ".join(listed["loss.tau"]) == "temperature of the similarities (mine)"
    assert " ".join(listed["corpus.utterances"]) == "how many utterances (demo); how many (noise)"
