"""What the page of a study shows: its test utterances by run, as plain values; and the requests that ask for them."""

import hashlib
import io
import queue
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, cached_property
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from ser_lightning.drawing import CLASS_COLOURS, principal_axes
from ser_lightning.errors import UserError
from ser_lightning.files import write_whole
from ser_lightning.inference.corpus_recordings import Recordings, spectrogram, wav
from ser_lightning.inference.server import Answer
from ser_lightning.metrics import HEADLINE
from ser_lightning.report.material import Material
from ser_lightning.report.scored import ScoredRun
from ser_lightning.report.sections.protocol import SYNTHETIC
from ser_lightning.runs.jobs import place_name
from ser_lightning.runs.ledger import FEATURES, damaged, feature_values, read_features

# Files of `pages/` by the end of their names, as browsers are told
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# Raised when a t-SNE map is made otherwise
VERSION = 1
PERPLEXITY = 30.0


class Exploration:
    """A study as its page asks for it.

    Args:
        material: the study.
        chosen: the jobs that the page begins with, one or two.
        recordings: where its recordings lie, or why they cannot be heard, in a line.
    """

    def __init__(self, material: Material, chosen: Sequence[int], recordings: Recordings | str) -> None:
        self.material, self.chosen, self.recordings = material, chosen, recordings
        self.jobs = [job for job in range(len(material.jobs)) if material.finished(job)]
        self.maps = Maps(material.study.parent.parent / "cache" / "maps")
        self._lock = threading.Lock()
        self._settings: dict[int, Answer] = {}

    def answer(self, place: str) -> Answer:
        """What stands at a place of the page, see `server.LocalServer`; recordings are asked for by their number."""
        if place in _pages():
            return _pages()[place]
        if place == "study":
            return self._study
        if (match := re.fullmatch(r"settings/([0-9]{1,9})", place)) and int(match[1]) in self.jobs:
            return self.setting(int(match[1]))
        if (match := re.fullmatch(r"maps/([0-9a-f]+)", place)) and match[1] in self.material.scored:
            return self._map(self.material.scored[match[1]])
        match = re.fullmatch(r"recordings/([0-9]{1,9})/(sound|spectrogram)", place)
        if match and int(match[1]) < len(self.names):
            return self._recording(self.names[int(match[1])], match[2])
        return Answer.refusal(HTTPStatus.NOT_FOUND, "there is nothing here")

    @cached_property
    def names(self) -> list[str]:
        """The ids of the study's utterances; their places in it are their numbers."""
        if self.material.utterances is not None:
            return [str(name) for name in self.material.utterances["id"]]
        return sorted({str(name) for run in self.material.scored.values() for name in run.test.ids})

    @cached_property
    def numbers(self) -> dict[str, int]:
        """id -> number."""
        return {name: number for number, name in enumerate(self.names)}

    def setting(self, job: int) -> Answer:
        """A setting's runs, see `describe_run`; read once."""
        with self._lock:
            if job not in self._settings:
                runs = self.material.finished(job)
                seeds = len({run.result.settings.get("seed", 0) for run in runs}) > 1
                described = [describe_run(run, self.z(run), self.numbers, seeds) for run in runs]
                self._settings[job] = Answer.json({"runs": described})
            return self._settings[job]

    def z(self, run: ScoredRun) -> np.ndarray:
        """The features [n, d] of a run's test utterances, in the order of `run.test`. Raises `UserError`."""
        folder = self.material.folder(run)
        try:
            features = read_features(folder)
            z = feature_values(features[features["part"] == "test"].set_index("id").loc[run.test.ids])
            if z.shape[:1] != run.test.ids.shape or not np.isfinite(z).all():
                raise ValueError("its test utterances are not those of the predictions")
        except (OSError, ValueError, KeyError) as error:
            raise damaged(folder, FEATURES, error) from error
        return z

    @cached_property
    def _study(self) -> Answer:
        return Answer.json(describe_study(self.material, self.jobs, self.chosen, self.names, self.recordings))

    def _map(self, run: ScoredRun) -> Answer:
        points = self.maps.points(run.result.signature, lambda: self.z(run))
        if points is None:
            return Answer.json({}, HTTPStatus.ACCEPTED)
        return Answer.json({"points": plain(points)})

    def _recording(self, name: str, kind: str) -> Answer:
        if isinstance(self.recordings, str):
            raise UserError(self.recordings)
        file = self.recordings.file(name)
        return Answer(wav(file), "audio/wav") if kind == "sound" else Answer.json(spectrogram(file))


def describe_study(
    material: Material, jobs: Sequence[int], chosen: Sequence[int], names: Sequence[str], recordings: Recordings | str
) -> dict[str, Any]:
    """What the page says of the study as a whole: its name, caption, warning, classes, settings and utterances.

    Args:
        material: the study.
        jobs: its settings that have finished runs.
        chosen: those of them that the page begins with.
        names: ids of its utterances.
        recordings: where they lie, or why they cannot be heard.
    """
    table = material.utterances
    columns = ("label", "raw_label", "speaker", "gender", "session", "kind", "corpus")
    known = [column for column in columns if table is not None and column in table and (table[column] != "").any()]
    ua = material.summary[HEADLINE]
    return {
        "title": material.study.name,
        "caption": material.facts.caption,
        "warning": SYNTHETIC if material.facts.synthetic else "",
        "silence": recordings if isinstance(recordings, str) else "",
        "classes": material.classes,
        "colours": list(CLASS_COLOURS),
        "settings": [{"number": job, "name": material.names[job], "ua": round(float(ua[job]), 2)} for job in jobs],
        "chosen": list(chosen),
        "names": list(names),
        "facts": {} if table is None else {column: table[column].tolist() for column in known},
    }


def describe_run(run: ScoredRun, z: np.ndarray, numbers: dict[str, int], seeds: bool) -> dict[str, Any]:
    """A run's test utterances as the page draws them.

    Args:
        run: the run.
        z: features [n, d] of its test utterances.
        numbers: id -> number of the utterance.
        seeds: whether the seed is part of its name.

    Returns plain values: signature, name, division (equal for runs that are paired), ua (percent), seconds (of which
    the network hears the middle), and of each test utterance, in one order: utterances (numbers), labels (class
    indices), recognised (the same), probabilities (softmax of the logits, class by class), losses (minus the logarithm
    of the label's, nats) and points (z on its first two principal components); shares are these components' of the
    variance.
    """
    result, outputs = run.result, run.test
    logarithms = log_softmax(outputs.logits, axis=1)  # [n, classes]
    losses = -logarithms[np.arange(len(outputs.labels)), outputs.labels]
    points, shares = principal_points(z)
    seed = f" seed {result.settings.get('seed', 0)}" if seeds else ""
    return {
        "signature": result.signature,
        "name": f"{place_name(result.repeat, result.fold)}{seed}",
        "division": "/".join(map(str, run.division)),
        "ua": round(run.score(HEADLINE), 2),
        "seconds": result.settings.get("features", {}).get("max_seconds"),
        "utterances": [numbers[str(name)] for name in outputs.ids],
        "labels": outputs.labels.tolist(),
        "recognised": outputs.recognised.tolist(),
        "probabilities": plain(np.exp(logarithms)),
        "losses": plain(losses),
        "points": plain(points),
        "shares": plain(shares),
    }


def plain(values: np.ndarray) -> list[Any]:
    """Numbers with as many digits as a page shows."""
    rounded: list[Any] = np.round(values, 4).tolist()
    return rounded


def principal_points(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, d] on their first two principal components [n, 2], and these components' shares of the variance [2].

    What there is no second, or first, component of is 0.
    """
    if len(z) < 2 or not np.ptp(z, axis=0).any():
        return np.zeros((len(z), 2)), np.zeros(2)
    if z.shape[1] == 1:
        return np.hstack([z - z.mean(axis=0), np.zeros_like(z)]), np.array([1.0, 0.0])
    axes = principal_axes(z)
    return axes.transform(z), axes.explained_variance_ratio_


def neighbour_points(z: np.ndarray) -> np.ndarray:
    """t-SNE of features [n, d]: points [n, 2]; the same features give the same points. Fewer than 4 have no neighbours
    to speak of, and stay where `principal_points` has them."""
    if len(z) < 4:
        return principal_points(z)[0]
    # Here, since only who asks for it is to wait for it
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(z) - 1) / 3)
    start = principal_points(z)[0]
    spread = start[:, 0].std()
    return TSNE(perplexity=perplexity, init=1e-4 * start / (spread or 1), random_state=0).fit_transform(z)


class Maps:
    """t-SNE of runs: made one after the other in a thread of their own, and kept.

    Args:
        folder: where they are kept, a file each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, np.ndarray | UserError] = {}
        self._asked: set[str] = set()
        self._queue: queue.SimpleQueue[tuple[str, Callable[[], np.ndarray]]] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def points(self, signature: str, z: Callable[[], np.ndarray]) -> np.ndarray | None:
        """The map [n, 2] of a run with the features `z()` [n, d]; None while it is being made.

        Raises `UserError` where it cannot be made.
        """
        with self._lock:
            if not self._asked:
                threading.Thread(target=self._work, daemon=True).start()
            if signature not in self._asked:
                self._asked.add(signature)
                self._queue.put((signature, z))
        made = self._made.get(signature)
        if isinstance(made, UserError):
            raise made
        return made

    def _work(self) -> None:
        while True:
            signature, z = self._queue.get()
            try:
                self._made[signature] = self._read_or_make(signature, z())
            except UserError as error:
                self._made[signature] = error
            # Whatever it is, the page is not to wait for ever
            except Exception as error:
                self._made[signature] = UserError(f"t-SNE of {signature} failed: {error or type(error).__name__}")

    def _read_or_make(self, signature: str, z: np.ndarray) -> np.ndarray:
        digest = hashlib.sha256(repr((VERSION, z.shape)).encode() + z.tobytes()).hexdigest()[:12]
        file = self.folder / f"{signature}-{digest}.npy"
        with suppress(OSError, ValueError, EOFError):
            points: np.ndarray = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
            if points.shape == (len(z), 2) and np.isfinite(points).all():
                return points
        points = neighbour_points(z)
        content = io.BytesIO()
        np.save(content, points)
        # A cache that cannot be written makes the next look slower
        with suppress(OSError):
            write_whole(file, content.getvalue())
        return points


@cache
def _pages() -> dict[str, Answer]:
    """The files of the page; it itself stands where no place is named."""
    folder = files("ser_lightning.inference") / "pages"
    pages = {
        file.name: Answer(file.read_bytes(), f"{KINDS[Path(file.name).suffix]}; charset=utf-8")
        for file in folder.iterdir()
        if Path(file.name).suffix in KINDS
    }
    return {"" if name == "explore.html" else name: page for name, page in pages.items()}
