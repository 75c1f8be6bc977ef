"""The linear SVM as a head: the read-out's scores, from buffers that need no scikit-learn."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.heads.svm import SVM
from ser_lightning.readouts import svm


def features(classes, seed=0):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.zeros(30, dtype=int), np.repeat(np.arange(1, classes), 10)])
    z = random.normal(size=(len(labels), 6)) + labels[:, None] * [1, 0.5, 0, 0, 0, 0] + 5
    # One that never changes
    z[:, 5] = 3
    return torch.from_numpy(z).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("C", [0.01, None])
def test_its_logits_are_the_scores_of_the_read_out(classes, C):
    z, labels = features(classes)
    dev = features(classes, seed=1)
    head, readout = SVM(6, classes, C=C), svm.SVM(C=C)
    head.fit(z, labels, dev)
    readout.fit(z.double().numpy(), labels.numpy(), tuple(one.double().numpy() for one in dev))
    assert head(dev[0]).numpy() == pytest.approx(readout.scores(dev[0].double().numpy()), abs=1e-5)


def test_what_it_has_learned_is_kept_with_the_parameters_and_is_none():
    z, labels = features(3)
    head, other = SVM(6, 3), SVM(6, 3)
    head.fit(z, labels, features(3, seed=1))
    other.load_state_dict(head.state_dict())
    assert torch.equal(other(z), head(z))
    assert list(head.parameters()) == []


def test_features_that_are_all_alike_are_refused():
    z, labels = features(3)
    with pytest.raises(UserError, match=r"^z is the same for every utterance, so that head=svm has nothing to go by"):
        SVM(6, 3).fit(1e-7 * z, labels, (z, labels))


def test_a_feature_that_is_rounding_changes_nothing():
    z, labels = features(3)
    dev, _ = features(3, seed=1)
    rounding = 1e-7 * torch.randn(len(z), 1, generator=torch.Generator().manual_seed(0))
    logits = []
    for fifth in (z[:, 5:], z[:, 5:] + rounding):
        head = SVM(6, 3, C=1.0)
        head.fit(torch.cat([z[:, :5], fifth], dim=1), labels, (dev, labels))
        logits.append(head(dev))
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("C, words", [(100.0, ["SVM, C=100: stopped after 3 iterations"]), (1e-6, [])])
def test_a_machine_that_was_stopped_is_told_in_a_line_of_ours(C, words, monkeypatch, caplog, recwarn):
    monkeypatch.setattr("ser_lightning.heads.svm.STEPS", 3)
    z, labels = features(3)
    SVM(6, 3, C=C).fit(z, labels, (z, labels))
    assert [message.partition(", before")[0] for message in caplog.messages] == words
    assert len(recwarn) == 0


def test_of_several_machines_only_the_one_that_is_chosen_is_told_of(monkeypatch, caplog):
    monkeypatch.setattr("ser_lightning.heads.svm.STEPS", 3)
    monkeypatch.setattr("ser_lightning.heads.svm.GRID", (1e-6, 100.0))
    z, labels = features(3)
    # The smallest of equals is taken
    SVM(6, 3).fit(z, labels, (z[:1], labels[:1]))
    assert caplog.messages == []


def test_it_predicts_without_scikit_learn():
    code = (
        "import sys, torch; from ser_lightning.heads.svm import SVM; SVM(6, 3)(torch.ones(2, 6)); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sklearn" not in loaded
