"""The bench's eight contracts: which tests hold which, and those that hold for every part that ships.

Parts are found by listing conf/, so that a new one is tested without a new test.
"""

import ast
import importlib
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import ser_lightning.runs.attempt
from ser_lightning.components.code import import_class
from ser_lightning.components.groups import PARTS, SEVERAL, own_settings, register, shipped_choices
from ser_lightning.config import check, compose
from ser_lightning.corpora import load_manifest
from ser_lightning.corpora.manifest import COLUMNS
from ser_lightning.losses import class_weights
from ser_lightning.runs.attempt import Watch
from ser_lightning.runs.ledger import BEST, LAST, read_features, read_predictions, readout_file
from ser_lightning.runs.readouts import read_out, readout_names
from ser_lightning.runs.schedule import Schedule
from ser_lightning.runs.signature import identity
from ser_lightning.training.assembly import assemble
from ser_lightning.training.job import train_once
from ser_lightning.training.plan import plan_job
from ser_lightning.training.run import fold_data
from tests.conftest import SMALL
from tests.features.networks import random_network

# Contract -> the tests that hold it, by file; those of this file are below, in the contracts' order
HOLDERS = {
    "1. A run is its signature, trained once, and ends as if never interrupted": {
        "runs/test_signature.py": ["test_what_matters", "test_what_does_not_matter"],
        "training/test_run.py": ["test_a_finished_run_is_not_trained_again", "test_two_processes_train_a_run_once"],
        "training/test_resume.py": ["test_an_interrupted_run_ends_as_if_never_interrupted"],
        "test_own_parts.py": ["test_an_edit_of_what_a_part_consists_of_and_of_nothing_else_trains_anew"],
    },
    "2. An utterance's output does not depend on its batch": {
        "test_contracts.py": ["test_an_utterance_does_not_depend_on_its_batch"],
        "models/test_crnn.py": ["test_what_lies_behind_the_end_does_not_matter"],
    },
    "3. Lambda 0 is weighted cross-entropy, bit for bit": {
        "test_contracts.py": ["test_lambda_zero_is_weighted_cross_entropy_bit_for_bit"],
    },
    "4. The order of batches is a function of seed, repeat, fold and epoch": {
        "data/test_batches.py": ["test_the_order_is_a_function_of_seed_repeat_fold_epoch"],
        "test_contracts.py": ["test_the_order_of_batches_depends_on_no_part"],
    },
    "5. Every number of a report is computed from the ledger": {
        "report/test_hand_ledger.py": ["test_scores", "test_differences", "test_the_tables_that_people_read"],
        "training/test_run.py": ["test_ua_and_wa_follow_from_the_predictions"],
    },
    "6. Checkpoints hold tensors and plain types": {
        "training/test_run.py": ["test_the_checkpoint_holds_plain_types_only"],
        "training/test_checkpoint.py": ["test_what_is_no_checkpoint_is_refused_in_one_line"],
        "test_contracts.py": ["test_parts_are_made_trained_resumed_and_read_out"],
    },
    "7. No number without its protocol, no interval without its question": {
        "report/test_study_report.py": ["test_every_section_and_every_file_says_its_protocol"],
        "report/test_summary.py": ["test_corpora_and_protocols_are_never_mixed"],
        "report/test_figures.py": ["test_every_figure_carries_its_caption_and_what_its_bars_are"],
    },
    "8. Every part that ships is made from its yaml, trained, resumed and swept": {
        "test_contracts.py": [
            "test_a_corpus_is_read_from_the_tree_of_its_test",
            "test_parts_are_made_trained_resumed_and_read_out",
            "test_every_part_is_in_some_combination",
            "test_parts_are_swept",
        ],
    },
}
# Loss -> the head that it is made for
FOR_HEAD = {
    choice.name: head
    for choice in shipped_choices()
    if choice.group == "loss" and (head := getattr(import_class(choice.target, None), "for_head", None))
}
NAMES = {group: [choice.name for choice in shipped_choices() if choice.group == group] for group in PARTS}


@pytest.mark.parametrize("contract", HOLDERS)
def test_a_contract_is_held_by_tests_that_there_are(contract):
    for file, names in HOLDERS[contract].items():
        tree = ast.parse((Path(__file__).parent / file).read_text())
        assert set(names) <= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, file


@pytest.fixture(scope="module")
def divisible(output, tmp_path_factory):
    """What protocols want that the demo alone does not have, by protocol: the overrides that name it."""
    folder = tmp_path_factory.mktemp("division")
    (run,) = plan_job(compose([*SMALL, f"paths.output={output}"]))
    run.split.table.to_csv(folder / "split.csv", index=False)
    table = run.manifest.table[["id", "path", "label", "speaker"]].merge(run.split.table, on="id")
    table["corpus"] = ["one", "another"] * (len(table) // 2)
    table.to_csv(folder / "table.csv", index=False)
    own = ["corpus=table", f"corpus.root={folder}", "corpus.table=table.csv"]
    return {
        "file": [f"split.table={folder}/split.csv"],
        # Larger parts, since both voices and sentences are divided
        "text": ["split.groups=3"],
        "official": own,
        "corpus": own,
        "pairs": [*own, "split.within=0"],
    }


def needs(group, name):
    """What a choice wants to be told besides its name."""
    given = {
        ("split", "file"): ["split.table=t.csv"],
        ("corpus", "table"): ["corpus.table=t.csv"],
        ("corpus", "mixed"): ["corpus.roots={emodb: ., tess: .}"],
    }
    if (group, name) == ("features", "pretrained"):
        return [f"{group}={name}", f"features.weights={random_network('Wav2Vec2')}"]
    if (group, name) == ("features", "egemaps"):
        pytest.importorskip("opensmile", reason="needs the extra 'egemaps'")
    return [f"{group}={name}", *given.get((group, name), []), *["++corpus.root=."] * (group == "corpus")]


@pytest.mark.parametrize("name", NAMES["model"])
def test_an_utterance_does_not_depend_on_its_batch(name):
    """Contract 2."""
    torch.manual_seed(0)
    encoder = compose([f"model={name}"]).model.make(bins=128).eval()
    fewest = getattr(encoder, "fewest", 1)
    lengths = torch.tensor([fewest + 90, fewest, fewest + 41, fewest + 7])
    frames = torch.randn(4, int(lengths.max()), 128)
    for row, length in enumerate(lengths):
        frames[row, length:] = 0
    with torch.no_grad():
        together = encoder(frames, lengths)
        for row, length in enumerate(lengths):
            alone = encoder(frames[row : row + 1, :length], lengths[row : row + 1])[0]
            assert (together[row] - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("name", NAMES["loss"])
def test_lambda_zero_is_weighted_cross_entropy_bit_for_bit(name):
    """Contract 3: the same first weights with and without the loss, then the steps of a plain loop."""
    counts = [40, 20, 30, 10]
    words = [f"head={FOR_HEAD[name]}", "head.margin=0"] if name in FOR_HEAD else []

    def recognizer(lam):
        torch.manual_seed(0)
        return assemble(compose([f"loss={name}", f"loss.lam={lam}", *words]), ("a", "b", "c", "d"), 128, counts)

    with_loss, module, plain = recognizer(0.5), recognizer(0), recognizer(0)
    assert with_loss.loss.term is not None
    assert module.loss.term is None
    network = nn.ModuleList([plain.encoder, plain.head])
    for part in ("encoder", "head"):
        for key, weight in getattr(with_loss, part).state_dict().items():
            assert torch.equal(weight, getattr(module, part).state_dict()[key])
    optimizers = module.configure_optimizers(), plain.make_optimizer(network.parameters())
    cross_entropy = nn.CrossEntropyLoss(class_weights(counts))
    lengths, labels = torch.tensor([70, 60, 55, 50]), torch.tensor([0, 1, 2, 3])
    for _ in range(2):
        frames = torch.randn(4, 70, 128)
        z = module.encoder(frames, lengths)
        loss = module.loss(z, module.head(z), labels, labels).total
        expected = cross_entropy(plain.head(plain.encoder(frames, lengths)), labels)
        assert loss.item() == expected.item()
        for optimizer, value in zip(optimizers, (loss, expected), strict=True):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    for one, other in zip(module.parameters(), network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_order_of_batches_depends_on_no_part(small):
    """Contract 4: of two losses and two states of the random numbers, the batches of two epochs are the same."""

    def order(*words):
        (run,) = plan_job(small(*words))
        data = fold_data(run, torch.device("cpu"))
        data.setup("fit")
        return [list(batch.ids) for batch in data.train_dataloader()]

    torch.manual_seed(1)
    first = order("loss.lam=0")
    torch.manual_seed(2)
    assert order("loss.lam=3") == first
    assert order("seed=1") != first


@pytest.mark.parametrize("name", NAMES["corpus"])
def test_a_corpus_is_read_from_the_tree_of_its_test(name, tmp_path):
    """Contract 8 for corpora: loaded from the small tree that their own test makes."""
    module = compose(needs("corpus", name)).corpus.target.split(".")[2]
    file = Path(__file__).parent / "corpora" / f"test_{module}.py"
    test = importlib.import_module(f"tests.corpora.test_{module}") if file.exists() else None
    if not hasattr(test, "make_tree"):
        pytest.fail(f"corpus={name} has no tree: add make_tree(folder) to tests/corpora/test_{module}.py")
    (tmp_path / "tree").mkdir()
    overrides = test.make_tree(tmp_path / "tree")
    config = compose([f"corpus={name}", *overrides])
    manifest = load_manifest(config.corpus, tmp_path)
    assert tuple(manifest.table.columns) == COLUMNS
    assert set(manifest.table["label"]) == set(manifest.classes)
    assert manifest.corpus == name
    if config.corpus.classes:
        assert list(manifest.classes) == list(config.corpus.classes)


TRAINED = {group: NAMES[group] for group in PARTS if group not in ("corpus", SEVERAL)}
# Front ends that give a row for an utterance, which not every encoder takes
ROWS = [
    choice.name
    for choice in shipped_choices()
    if choice.group == "features" and import_class(choice.target, None).rate is None
]
# First those frames that every encoder takes
TRAINED["features"] = sorted({*TRAINED["features"]} - {*ROWS}, key=lambda name: (name != "logmel", name))
# The last falls to raw sound, which is no spectrum to augment
TRAINED["augment"] = sorted(TRAINED["augment"], key=lambda name: (name == "none", name))
UNTRAINED = [choice.name for choice in shipped_choices() if choice.values.get("trained") is False]


def combine(number):
    """Every group's next choice, or its first; an encoder that is not trained with a head that is fitted."""
    combination = {group: names[number if number < len(names) else 0] for group, names in TRAINED.items()}
    own = FOR_HEAD.get(combination["loss"], combination["head"])
    return combination | {"head": "svm" if combination["model"] in UNTRAINED else own}


# As many as the largest group has
COMBINATIONS = [combine(number) for number in range(max(map(len, TRAINED.values())))]
COMBINATIONS += [combine(0) | {"features": name, "model": "statistics", "normalise": "training"} for name in ROWS]


def test_every_part_is_in_some_combination():
    assert {(group, name) for combination in COMBINATIONS for group, name in combination.items()} == {
        (group, name) for group in TRAINED for name in NAMES[group]
    }


class Killed(BaseException):
    """What no handler expects, like a process's end."""


class Deadly(Watch):
    """Ends the process at the second step."""

    def __setattr__(self, name, value):
        if value == 2:
            raise Killed
        super().__setattr__(name, value)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda combination: " ".join(combination.values()))
def test_parts_are_made_trained_resumed_and_read_out(combination, output, divisible, monkeypatch):
    """Contract 8: two steps, each an epoch; killed between them, and resumed to the same bits. Contract 6 too.

    What makes no step is done twice.
    """
    words = [word for group, name in combination.items() for word in needs(group, name) if group != "split"]
    words += [f"split={combination['split']}", *divisible.get(combination["split"], [])]
    fitted = hasattr(compose([f"head={combination['head']}"]).head.load(), "fit")
    words += ["loss.softmax=0"] * (fitted and combination["model"] not in UNTRAINED)
    words += ["trainer.max_steps=2", "batching.size=120", "loss.lam=0.5", "seed=500", f"paths.output={output}"]
    words += [f"readout=[{','.join(NAMES[SEVERAL])}]"]
    # Of half as many frames per second as a spectrogram's an encoder may need more than the shortest utterance has
    words += ["features.max_seconds=2", "corpus.max_bad_share=0.5"] * (combination["features"] == "pretrained")
    other = any(word.startswith("corpus=") for word in words)
    (run,) = plan_job(compose([word for word in SMALL if not (other and word.startswith("corpus."))] + words))
    train_once(run)
    expected = read_predictions(run.folder.parent, [run.signature]), read_features(run.folder)
    assert read_out(run.folder, run.config) == []
    for kept in readout_names(run.config).values():
        assert np.isfinite(pd.read_parquet(readout_file(run.folder, kept)).filter(like="logit_")).all(axis=None)
    shutil.rmtree(run.folder)

    if run.config.model.trained:
        monkeypatch.setattr(ser_lightning.runs.attempt, "Watch", Deadly)
        with pytest.raises(Killed):
            train_once(run)
        assert torch.load(run.folder / LAST, weights_only=True)["global_step"] == 1
        monkeypatch.undo()
    train_once(run)
    again = read_predictions(run.folder.parent, [run.signature]), read_features(run.folder)
    for one, other in zip(again, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)
    torch.load(run.folder / BEST, weights_only=True)
    shutil.rmtree(run.folder)


@pytest.mark.parametrize("group", PARTS)
def test_parts_are_swept(group):
    """Contract 8: each in turn, given the settings of all others of its group, is a job of its own."""
    from hydra import compose as composed
    from hydra import initialize

    names = NAMES[group]
    register({group: names})
    identities = []
    for name in names:
        with initialize(config_path=None, version_base="1.3"):
            config = check(composed("train", needs(group, name)))
        part = config.readout[name] if group == SEVERAL else config.parts[group]
        assert part.name == name
        assert set(part.own) <= own_settings(group, name)
        identities.append([part.settings, identity(config, Schedule(1, 2, 1, 0))])
    register()
    assert all(one != other for number, one in enumerate(identities) for other in islice(identities, number))
