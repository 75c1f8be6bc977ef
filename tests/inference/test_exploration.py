"""What the page of a study is given, against the ledger by hand."""

import json
import math
import time
from http import HTTPStatus

import numpy as np
import pandas as pd
import pytest
import soundfile

import ser_lightning.inference.exploration as exploration_module
from ser_lightning.errors import UserError
from ser_lightning.inference.corpus_recordings import find_recordings, read_corpus
from ser_lightning.inference.exploration import (
    Exploration,
    Maps,
    neighbour_points,
    principal_points,
)
from ser_lightning.report.material import read_material
from tests.inference.explored import COUNT, simulate
from tests.report.simulated import CLASSES


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    """For those who leave it as it is."""
    return simulate(tmp_path_factory.mktemp("explored"))


@pytest.fixture(scope="module")
def exploration(simulation):
    return open_exploration(simulation)


def open_exploration(simulation):
    material = read_material(simulation.study, simulation.runs)
    run = material.folder(material.finished(0)[0])
    return Exploration(
        material, [1], find_recordings(read_corpus(simulation.study, run), simulation.runs.parent / "cache")
    )


def content(answer):
    assert answer.status == HTTPStatus.OK
    assert answer.kind == "application/json"
    return json.loads(answer.body)


def test_probabilities_and_losses_are_those_of_the_ledger(simulation, exploration):
    names = content(exploration.answer("study"))["names"]
    seen = 0
    for job in (0, 1):
        for run in content(exploration.answer(f"settings/{job}"))["runs"]:
            table = pd.read_parquet(simulation.runs / run["signature"] / "predictions.parquet")
            test = table[table["part"] == "test"].set_index("id")
            assert len(test) == len(run["utterances"]) == COUNT // 2
            for place, number in enumerate(run["utterances"]):
                row = test.loc[names[number]]
                powers = [math.exp(row[f"logit_{name}"]) for name in CLASSES]
                probabilities = [power / sum(powers) for power in powers]
                label = CLASSES.index(row["label"])
                assert run["labels"][place] == label
                assert run["recognised"][place] == probabilities.index(max(probabilities))
                assert run["probabilities"][place] == pytest.approx(probabilities, abs=6e-5)
                assert run["losses"][place] == pytest.approx(-math.log(probabilities[label]), abs=6e-5)
                seen += 1
            right = np.array(run["recognised"]) == run["labels"]
            recalls = [right[np.array(run["labels"]) == label].mean() for label in range(4)]
            assert run["ua"] == pytest.approx(100 * np.mean(recalls), abs=0.006)
    assert seen == 2 * COUNT


def test_points_are_those_of_their_utterances(simulation, exploration):
    names = content(exploration.answer("study"))["names"]
    for run in content(exploration.answer("settings/1"))["runs"]:
        features = pd.read_parquet(simulation.runs / run["signature"] / "features.parquet")
        features = features[features["part"] == "test"].set_index("id")
        z = features.loc[[names[number] for number in run["utterances"]]].filter(like="z_").to_numpy()
        centred = z - z.mean(axis=0)
        _, values, axes = np.linalg.svd(centred, full_matrices=False)
        expected = centred @ axes[:2].T
        points = np.array(run["points"])
        signs = np.sign((expected * points).sum(axis=0))
        np.testing.assert_allclose(points * signs, expected, atol=1e-4)
        np.testing.assert_allclose(run["shares"], values[:2] ** 2 / (values**2).sum(), atol=1e-4)


def test_runs_on_one_division_are_paired(exploration):
    one, other = (content(exploration.answer(f"settings/{job}"))["runs"] for job in (0, 1))
    assert [run["division"] for run in one] == [run["division"] for run in other]
    assert len({run["division"] for run in one}) == 2
    assert [run["name"] for run in one] == ["fold 0", "fold 1"]


def test_the_study_as_a_whole(simulation, exploration):
    study = content(exploration.answer("study"))
    assert study["caption"] == exploration.material.facts.caption
    assert "test shares with training: speakers 100 %" in study["caption"]
    assert "test shares with training: speakers 100 %" in study["caption"]
    assert [setting["name"] for setting in study["settings"]] == ["loss.lam=0", "loss.lam=0.3"]
    assert (study["classes"], study["chosen"]) == (CLASSES, [1])
    assert (study["warning"], study["silence"]) == ("", "")
    number = study["names"].index("u07")
    assert {column: values[number] for column, values in study["facts"].items()} == {
        "label": "sad",
        "raw_label": "sad",
        "speaker": "s1",
    }


def test_a_synthetic_corpus_is_said_to_be_one(tmp_path):
    simulation = simulate(tmp_path)
    for folder in simulation.runs.iterdir():
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps(result | {"synthetic": True}))
    study = content(open_exploration(simulation).answer("study"))
    assert "its numbers say nothing about people" in study["warning"]
    assert study["caption"].startswith("synthetic table")


def test_a_study_that_does_not_know_its_utterances(tmp_path):
    simulation = simulate(tmp_path)
    (simulation.study / "utterances.csv").unlink()
    study = content(open_exploration(simulation).answer("study"))
    assert study["names"] == [f"u{number:02d}" for number in range(COUNT)]
    assert study["facts"] == {}


def test_a_recording_is_asked_for_by_its_number_alone(exploration):
    assert exploration.answer("recordings/0/sound").kind == "audio/wav"
    for place in ("recordings/48/sound", "recordings/-1/sound", "recordings/0/other", "recordings/u00/sound"):
        assert exploration.answer(place).status == HTTPStatus.NOT_FOUND
    for place in (
        "../../etc/passwd",
        "%2e%2e/corpus/r00.wav",
        "recordings/../../corpus/r00.wav",
        "r00.wav",
        "pages/..",
    ):
        assert exploration.answer(place).status == HTTPStatus.NOT_FOUND
    for place in ("settings/2", "settings/9999999999", "maps/unknown", "recordings/٣/sound", "explore.html/.."):
        assert exploration.answer(place).status == HTTPStatus.NOT_FOUND


def test_a_file_that_now_leads_out_of_the_corpus_is_not_served(tmp_path):
    exploration = open_exploration(simulate(tmp_path))
    soundfile.write(tmp_path / "secret.wav", np.full(8000, 0.1), 16_000)
    (tmp_path / "corpus" / "r00.wav").unlink()
    (tmp_path / "corpus" / "r00.wav").symlink_to(tmp_path / "secret.wav")
    for kind in ("sound", "spectrogram"):
        with pytest.raises(UserError, match=r"r00\.wav lies outside the corpus's folder"):
            exploration.answer(f"recordings/0/{kind}")


def test_without_recordings_the_reason_is_given(simulation):
    material = read_material(simulation.study, simulation.runs)
    exploration = Exploration(material, [0], "there is no folder")
    assert content(exploration.answer("study"))["silence"] == "there is no folder"
    with pytest.raises(UserError, match="there is no folder"):
        exploration.answer("recordings/0/sound")


def test_the_files_of_the_page(exploration):
    page = exploration.answer("")
    assert page.kind == "text/html; charset=utf-8"
    for name in ("explore.js", "map.js", "sound.js", "explore.css"):
        assert exploration.answer(name).status == HTTPStatus.OK
        assert b"://" not in exploration.answer(name).body
    assert b"://" not in page.body


def test_damaged_features_are_named(tmp_path):
    simulation = simulate(tmp_path)
    exploration = open_exploration(simulation)
    run = exploration.material.finished(0)[0]
    file = simulation.runs / run.result.signature / "features.parquet"
    table = pd.read_parquet(file)
    table[table["id"] != "u00"].to_parquet(file)
    with pytest.raises(UserError, match=r"features\.parquet is damaged"):
        exploration.answer("settings/0")


def test_principal_points_of_what_has_no_two_components():
    for z in (np.zeros((0, 3)), np.ones((1, 3)), np.ones((5, 3))):
        points, shares = principal_points(z)
        assert (points == np.zeros((len(z), 2))).all()
        assert (shares == 0).all()
    points, shares = principal_points(np.array([[1.0], [3.0]]))
    assert points.tolist() == [[-1, 0], [1, 0]]
    assert shares.tolist() == [1, 0]


def test_principal_points_of_fewer_utterances_than_features():
    z = np.random.default_rng(0).normal(size=(9, 20))
    u, values, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    points, shares = principal_points(z)
    np.testing.assert_allclose(np.abs(points), np.abs(u * values)[:, :2], atol=1e-9)
    np.testing.assert_allclose(shares, values[:2] ** 2 / (values**2).sum())


@pytest.fixture
def blobs():
    """Three clouds far apart, 12 points in each."""
    rng = np.random.default_rng(0)
    return np.repeat(20 * np.eye(3, 8), 12, axis=0) + rng.normal(size=(36, 8))


def test_neighbours_of_z_are_neighbours_on_the_map(blobs):
    points = neighbour_points(blobs)
    distances = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(36, np.inf))
    assert (distances.argmin(axis=1) // 12 == np.arange(36) // 12).all()
    assert (neighbour_points(blobs) == points).all()
    # Too few for neighbours
    assert (neighbour_points(blobs[:3]) == principal_points(blobs[:3])[0]).all()


def wait(maps, z, signature="run"):
    deadline = time.monotonic() + 60
    while (points := maps.points(signature, lambda: z)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return points


def test_a_map_is_made_once_and_kept(tmp_path, blobs, monkeypatch):
    made = []

    def make(z):
        made.append(len(z))
        return z[:, :2]

    monkeypatch.setattr(exploration_module, "neighbour_points", make)
    maps = Maps(tmp_path)
    for one in (maps, maps, Maps(tmp_path)):
        np.testing.assert_array_equal(wait(one, blobs), blobs[:, :2])
    assert made == [36]
    # Of other features, even of the same run, it is another map
    wait(Maps(tmp_path), 2 * blobs)
    (kept, _) = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_mtime)
    kept.write_bytes(kept.read_bytes()[:-8])
    np.testing.assert_array_equal(wait(Maps(tmp_path), blobs), blobs[:, :2])
    assert made == [36, 36, 36]


def test_no_map_is_unpickled(tmp_path, blobs, monkeypatch):
    monkeypatch.setattr(exploration_module, "neighbour_points", lambda z: z[:, :2])
    wait(Maps(tmp_path), blobs)
    (kept,) = tmp_path.iterdir()
    np.save(kept, np.array([{"an": "object"}] * 36, dtype=object), allow_pickle=True)
    np.testing.assert_array_equal(wait(Maps(tmp_path), blobs), blobs[:, :2])


def test_a_map_that_cannot_be_kept_is_shown_all_the_same(tmp_path, blobs, monkeypatch):
    monkeypatch.setattr(exploration_module, "neighbour_points", lambda z: z[:, :2])
    (tmp_path / "maps").write_text("a file where the folder should be")
    np.testing.assert_array_equal(wait(Maps(tmp_path / "maps"), blobs), blobs[:, :2])


def test_a_map_that_cannot_be_made_is_told(tmp_path, blobs):
    maps = Maps(tmp_path)
    with pytest.raises(UserError, match=r"t-SNE of run failed: .*NaN"):
        wait(maps, np.full((5, 2), np.nan))
    # and keeps no other from being made
    assert wait(maps, blobs, "other").shape == (36, 2)


def test_t_sne_of_a_run(exploration):
    run = content(exploration.answer("settings/1"))["runs"][0]
    assert exploration.answer(f"maps/{run['signature']}").status == HTTPStatus.ACCEPTED
    deadline = time.monotonic() + 60
    while (answer := exploration.answer(f"maps/{run['signature']}")).status == HTTPStatus.ACCEPTED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    z = exploration.z(exploration.material.scored[run["signature"]])
    np.testing.assert_allclose(content(answer)["points"], neighbour_points(z), atol=6e-5)
