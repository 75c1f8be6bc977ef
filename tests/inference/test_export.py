"""`ser export`, as it is typed, and what reads the folder again."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import audonnx
import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch
import yaml
from huggingface_hub import ModelCard

from ser_lightning import export, predict
from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.features.audio import RATE
from ser_lightning.files import write_folder
from ser_lightning.inference import corpus_recordings
from ser_lightning.inference.card import find_terms
from ser_lightning.inference.corpus_recordings import read_corpus
from ser_lightning.inference.exported import CONFIG, RECORDINGS, WEIGHTS, read_export
from ser_lightning.inference.graph import BATCH, SINGLE
from ser_lightning.inference.graph_check import check_graphs
from ser_lightning.inference.limits import limits, read_test
from ser_lightning.inference.recognizer import Recognizer
from ser_lightning.inference.sources import find_source
from ser_lightning.runs.ledger import read_outputs
from tests.inference.trained import STUDY

SETTING = "loss.lam=0.3"


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder that the command made of both folds, and what it said."""
    place = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-m", "ser_lightning.export", STUDY, "--setting", SETTING, "--to", "model/"]
    environment = {**os.environ, "SER_OUTPUT": str(trained)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return place / "model", done


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(made[0], tmp_path / "model"))


@pytest.fixture
def source(trained):
    return find_source(STUDY, trained, SETTING)


@pytest.fixture(scope="module")
def stranger(recordings, tmp_path_factory) -> Path:
    """A recording that is not the study's: two of its, one behind the other, and quieter."""
    waves = [soundfile.read(file)[0] for file in sorted(recordings.values())[:2]]
    file = tmp_path_factory.mktemp("sound") / "stranger.wav"
    soundfile.write(file, 0.5 * np.concatenate(waves), RATE)
    return file


def test_it_says_what_it_did_and_leaves_nothing_else(made, source):
    folder, done = made
    names = {
        SINGLE,
        BATCH,
        "model.yaml",
        "README.md",
        CONFIG,
        RECORDINGS,
        *(f"{n.name}{WEIGHTS}" for n in source.folders),
    }
    assert {file.name for file in folder.iterdir()} == names
    assert list(folder.parent.iterdir()) == [folder]
    assert done.stderr == f"Exporting {source}\n"
    assert "Checked with onnxruntime on 16 recordings" in done.stdout
    assert "Licence: mit" in done.stdout
    # Neither this machine's paths nor its user's
    for file in folder.iterdir():
        assert str(Path.cwd()).encode() not in file.read_bytes()


def test_the_card_has_the_tests_numbers_and_its_limits(made, source):
    card = ModelCard.load(made[0] / "README.md")
    test = read_test(source)
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "audio-classification"
    scores = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert scores == {"recall": round(test.ua.mean, 1), "accuracy": round(test.wa.mean, 1)}
    assert scores["recall"] == pytest.approx(100 * np.mean([one.ua for one in source.all_results]), abs=0.051)
    assert {(one.dataset_type, one.dataset_config) for one in card.data.eval_results} == {("demo", "paper")}
    assert limits(read_export(made[0])) == limits(source)
    for words in (limits(source), test.caption, "synthetic", "Each network was tested singly", "7,680 samples"):
        assert words in card.text


def test_audonnx_reads_it_and_says_what_predict_says_of_the_study(made, trained, stranger):
    wave, rate = soundfile.read(stranger, dtype="float32")
    model = audonnx.load(str(made[0]))
    logits = model(wave, rate, outputs="logits")[0].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    recognizer = Recognizer.load(STUDY, setting=SETTING, output=trained, window=3)
    assert model.outputs["logits"].labels == list(recognizer.classes)
    # Of more than 3 s the middle is taken inside the graph too
    assert len(wave) > 3 * RATE
    networks = recognizer.ensemble.networks
    pairs = [one.answer([one.normalised(one.frames(wave))])[1][0].double() for one in networks]
    expected = torch.stack(
        [(one / by).softmax(0) for one, by in zip(pairs, recognizer.ensemble.temperatures, strict=True)]
    )
    np.testing.assert_allclose(shares, expected.mean(dim=0).numpy(), atol=1e-5)


def test_predict_says_the_same_of_folder_and_study(made, folder, trained, stranger, recordings, capsys):
    (own,) = read_outputs(find_source(STUDY, trained, SETTING).folders[0]).query("part == 'test'")["id"][:1]
    words = [str(stranger), str(recordings[own])]
    predict.main([STUDY, *words, "--setting", SETTING, "--output", str(trained)])
    expected = capsys.readouterr().out
    predict.main([str(made[0]), *words])
    printed = capsys.readouterr()
    assert printed.out == expected
    assert "answered by the 1 of 2 networks never trained on it" in printed.out
    # What is left out of a folder is missed
    (folder / CONFIG).unlink()
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        Recognizer.load(folder)
    assert printed.err.startswith(f"exported model model: study {STUDY} (demo, paper protocol), {SETTING}: 2 networks")


def test_one_run_has_its_own_logits_and_a_temperature(made, trained, source, recordings):
    model = read_export(made[0])
    for network, run, temperature in zip(model.networks, source.folders, model.temperatures, strict=True):
        rows = read_outputs(run).query("part == 'test'")[:5]
        waves = [soundfile.read(recordings[name], dtype="float32")[0] for name in rows["id"]]
        _, logits = network.answer([network.normalised(network.frames(wave)) for wave in waves])
        np.testing.assert_allclose(logits.numpy(), rows.filter(like="logit_").to_numpy(), atol=1e-5)
        assert temperature > 0


def sealed(folder: Path, name: str, content: bytes) -> None:
    """Write a file of the folder as if it had been exported so."""
    (folder / name).write_bytes(content)
    values = json.loads((folder / CONFIG).read_text())
    values["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / CONFIG).write_text(json.dumps(values))


def changed(folder: Path, *path, value) -> None:
    """Write something else in config.json."""
    values = json.loads((folder / CONFIG).read_text())
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / CONFIG).write_text(json.dumps(values))


def weights(folder: Path) -> Path:
    return sorted(folder.glob(f"*{WEIGHTS}"))[0]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def truncate(folder):
    weights(folder).write_bytes(weights(folder).read_bytes()[:-100])


def truncate_knowingly(folder):
    sealed(folder, weights(folder).name, weights(folder).read_bytes()[:-100])


def pickled(folder):
    sealed(folder, weights(folder).name, pickle.dumps(Evil()))


def not_numbers(folder):
    state = safetensors.torch.load_file(weights(folder))
    state["head.fc2.bias"] *= float("nan")
    sealed(folder, weights(folder).name, safetensors.torch.save(state))


def divided_by_nothing(folder):
    state = safetensors.torch.load_file(weights(folder))
    state["normalise.deviation"] *= 0
    sealed(folder, weights(folder).name, safetensors.torch.save(state))


def overflowing(folder):
    state = safetensors.torch.load_file(weights(folder))
    state["encoder.fc1.weight"] *= 1e30
    state["head.fc2.weight"] *= 1e30
    sealed(folder, weights(folder).name, safetensors.torch.save(state))


def halved(folder):
    state = safetensors.torch.load_file(weights(folder))
    sealed(folder, weights(folder).name, safetensors.torch.save({k: v.bfloat16() for k, v in state.items()}))


def sparse(folder):
    with weights(folder).open("r+b") as file:
        file.truncate(2**36)


def twice(folder):
    networks = json.loads((folder / CONFIG).read_text())["networks"]
    changed(folder, "networks", value=[networks[0]] * 2)


def another_head(folder):
    state = safetensors.torch.load_file(weights(folder))
    state["head.fc2.weight"] = torch.zeros(7, 64)
    sealed(folder, weights(folder).name, safetensors.torch.save(state))


@pytest.mark.parametrize(
    "spoil, words",
    [
        (truncate, "is truncated or altered"),
        (truncate_knowingly, "is no safetensors file"),
        (pickled, "is no safetensors file"),
        (not_numbers, "head.fc2.bias has values that no network has"),
        (divided_by_nothing, "normalise.deviation has values that no network has"),
        (another_head, "does not fit the parts"),
        (overflowing, "the network has no finite answer to a second of sound"),
        (halved, "has values that no network has"),
        (sparse, "it has 68719476736 bytes"),
        (twice, "has a class or a network twice"),
        (lambda folder: weights(folder).unlink(), "is not there; export the model again, or copy all of its files"),
        (lambda folder: (folder / RECORDINGS).write_text("{}"), "recordings.json is truncated or altered"),
        (lambda folder: sealed(folder, RECORDINGS, b'{"a": ["b"]}'), "does not say which network was trained on what"),
        (lambda folder: (folder / CONFIG).write_text("{"), "it is not JSON"),
        (
            lambda folder: (folder / CONFIG).write_text('{"model_type": "wav2vec2"}'),
            "its config.json is another library's",
        ),
        (lambda folder: changed(folder, "schema", value=99), "was exported by a later version"),
        (lambda folder: changed(folder, "classes", value=["a", "a", "b", "c"]), "has a class or a network twice"),
        (
            lambda folder: changed(folder, "description", value="\x1b]0;owned\x07"),
            "has signs in its texts that a terminal obeys",
        ),
        (lambda folder: changed(folder, "networks", value=[]), "networks: List should have at least 1 item"),
        (lambda folder: changed(folder, "networks", 0, "signature", value="../../etc/passwd"), "networks.0.signature"),
        (lambda folder: changed(folder, "networks", 0, "temperature", value=float("nan")), "networks.0.temperature"),
        (
            lambda folder: changed(folder, "networks", 0, "parts", "head", "_target_", value="os.system"),
            "head is os.system, which is no class that can be exported",
        ),
        (
            lambda folder: changed(folder, "networks", 0, "parts", "features", "max_seconds", value="rm"),
            "max_seconds",
        ),
        (
            lambda folder: changed(folder, "networks", 0, "parts", "features", "max_seconds", value=1e308),
            "max_seconds is 1e+308, and 3600 is the most",
        ),
        (
            lambda folder: changed(folder, "networks", 0, "parts", "features", "_code_", value="x"),
            "features has _code_, which is no setting",
        ),
        (
            lambda folder: changed(folder, "networks", 0, "parts", "head", "two\nlines", value="x"),
            "two lines",
        ),
        (lambda folder: changed(folder, "library_version", value="1\nall is fine"), "that a terminal obeys"),
        (lambda folder: changed(folder, "networks", 0, "parts", value={}), "features is None, which is no class"),
    ],
)
def test_a_truncated_foreign_or_hostile_folder_is_refused_in_a_line(folder, monkeypatch, spoil, words):
    monkeypatch.chdir(folder.parent)
    spoil(folder)
    with pytest.raises(UserError) as refusal:
        Recognizer.load(folder)
    assert words in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert str(refusal.value).isprintable()
    assert not Path("unpickled").exists()


def test_no_code_of_a_folder_is_imported(folder, monkeypatch):
    monkeypatch.chdir(folder)
    module = folder / "None" / "ser_lightning" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text("import os; os.mkdir('imported')")
    for group in ("features", "normalise", "model", "head"):
        changed(folder, "networks", 0, "parts", group, "_code_", value="x")
    done = subprocess.run(
        [sys.executable, "-m", "ser_lightning.predict", ".", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 1
    with pytest.raises(UserError, match="_code_"):
        Recognizer.load(folder)
    assert not Path("imported").exists()


def test_pictures_and_html_of_others_are_shown_as_text(folder):
    changed(folder, "limits", value="<img src=x> ![](http://elsewhere/x.png) a")
    assert limits(read_export(folder)) == "&lt;img src=x&gt; !\\[](http://elsewhere/x.png) a"


def test_whoever_takes_the_place_meanwhile_keeps_it(tmp_path):
    def fill(unfinished):
        (unfinished / "ours").touch()
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "theirs").touch()

    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "model", fill)
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "theirs"]


def test_a_corpus_that_a_command_calls_otherwise_keeps_its_class(source, tmp_path, monkeypatch):
    words = ["corpus=savee", "corpus.name=tess", "corpus.root=x"]
    (tmp_path / "command.txt").write_text(f"ser train {' '.join(words)}")
    content = yaml.safe_dump({"corpus": compose(words).corpus.settings}).encode()
    monkeypatch.setattr(corpus_recordings, "read_sealed", lambda run, name: content)
    assert read_corpus(tmp_path, source.folders[0]).target.endswith("SAVEE")


def test_options_of_a_study_are_none_of_an_export(folder):
    with pytest.raises(UserError, match="is an exported model; --setting and --run"):
        Recognizer.load(folder, setting="loss.lam=0")


def test_a_graph_of_another_network_is_found_out(made, trained, stranger):
    wave = soundfile.read(stranger, dtype="float32")[0]
    right = Recognizer.load(STUDY, setting=SETTING, output=trained).ensemble
    assert check_graphs(made[0], right.networks, right.temperatures, [wave]).largest < 1e-4
    other = Recognizer.load(STUDY, setting="loss.lam=0", output=trained).ensemble
    with pytest.raises(UserError, match="says another thing than the network"):
        check_graphs(made[0], other.networks, right.temperatures, [wave])
    with pytest.raises(UserError, match="says another thing than the network"):
        check_graphs(made[0], right.networks, [2 * one for one in right.temperatures], [wave])


@pytest.mark.parametrize(
    "words, identifier, warned",
    [
        (["corpus=emodb", "corpus.root=x"], "cc0-1.0", ""),
        (["corpus=ravdess_all", "corpus.root=x"], "cc-by-nc-sa-4.0", "non-commercial, share-alike"),
        (["corpus=tess", "corpus.root=x"], "cc-by-nc-nd-4.0", "no derivatives"),
        (["corpus=cremad", "corpus.root=x"], "odbl", "share-alike"),
        (["corpus=mixed", "corpus.roots={emodb: x, demo: null}"], "mit", ""),
        (["corpus=mixed", "corpus.roots={emodb: x, nemo: x}"], "cc-by-nc-sa-4.0", "nemo is given under"),
    ],
)
def test_the_licence_is_the_corpuss_and_its_conditions_are_named(words, identifier, warned):
    terms = find_terms(compose(words).corpus)
    assert terms.identifier == identifier
    assert warned in " ".join(terms.warnings)
    assert bool(terms.warnings) == bool(warned)


@pytest.mark.parametrize(
    "words, reason",
    [
        (["corpus=iemocap", "corpus.root=x"], "iemocap is given under a release form that each user signs"),
        (["corpus=savee", "corpus.root=x"], "savee is given under for research, on registration"),
        (["corpus=table", "corpus.root=x", "corpus.table=x.csv"], "has no licence that is known here"),
        (["corpus=mixed", "corpus.roots={emodb: x, iemocap: x}"], "iemocap is given under"),
        (["corpus=mixed", "corpus.roots={ravdess: x, cremad: x}"], "the corpora have several licences"),
    ],
)
def test_without_a_licence_to_pass_on_the_user_names_one(words, reason):
    corpus = compose(words).corpus
    with pytest.raises(UserError, match=reason) as refusal:
        find_terms(corpus)
    assert "--license" in str(refusal.value)
    assert find_terms(corpus, "other").identifier == "other"


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--to", "there"], "--to there is there already"),
        (["--to", "new", "--license", "My own!"], "one of Hugging Face's names of licences"),
        (["--to", "there/notes.txt/new"], "nothing can be written in"),
        (["--to", "two\nlines"], "give the folder a name"),
        (["--to", "new", "--run", "nothing"], "--run nothing"),
        (["--to", "new", "--root", "nowhere"], "corpus.root"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(trained, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there/notes.txt").write_text("mine")
    with pytest.raises(UserError) as refusal:
        export.main([STUDY, "--output", str(trained), *words])
    assert reason in str(refusal.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["notes.txt", "there"]


def test_at_a_terminal_it_asks_and_elsewhere_all_are_taken(source, monkeypatch, capsys):
    assert export.ask(source) is source
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    lines = iter(["7\n", "2\n"])
    monkeypatch.setattr(sys.stdin, "readline", lambda: next(lines), raising=False)
    chosen = export.ask(source)
    assert chosen == replace(source, results=[source.results[1]])
    printed = capsys.readouterr().err
    assert "7 is none of them; a number from 0 to 2" in printed
    for result in source.results:
        assert f"{result.signature}  fold {result.fold}, UA on dev {100 * result.dev_ua:.1f} %" in printed
    # Whoever chooses by test has none any more
    assert not any(f"{100 * result.ua:.1f}" in printed for result in source.results if result.ua != result.dev_ua)
