"""A user's own parts are tried before the corpus is read: what is wrong is one line with the part, and its place."""

import sys

import pytest

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.training.trial import try_parts
from tests.components.test_code import write

ENCODER = """
import torch
from torch import nn

class Mine(nn.Module):
    features = 8
    def __init__(self, bins, *, scale: float = 1.0):
        super().__init__()
        self.layer = nn.Linear(bins, 8)
    def forward(self, frames, lengths):
        mean = frames.sum(dim=1) / lengths[:, None]
        z = self.layer(mean)
        return {z}
"""
HEAD = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layer = nn.Linear(features, classes)
    def forward(self, z):
        logits = self.layer(z)
        return {logits}
"""
NETWORK = ENCODER.replace("{z}", "z").replace("Mine", "Network")
LOSS = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, features, classes, class_counts, *, tau=0.5):
        super().__init__()
        self.layer = nn.Linear(features, 1)
    def forward(self, z, logits, batch):
        term = self.layer(z).square().mean()
        return {term}
"""
FRONT_END = """
import numpy as np

class Mine:
    sample_rate, rate, shortest, bins = 16_000, 100, 160, 5
    def __call__(self, wave):
        frames = np.log1p(np.abs(wave[: len(wave) // 160 * 160].reshape(-1, 160)[:, :5]))
        return {frames}
"""


@pytest.fixture(autouse=True)
def imports():
    """Leaves no module of a user's behind."""
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    sys.modules.pop("mine", None)


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Tries a part that mine.py holds."""
    monkeypatch.chdir(tmp_path)

    def tried(group, code, *overrides):
        write(tmp_path, {"mine.py": code, f"conf/{group}/mine.yaml": "_target_: mine.Mine\n"})
        write(tmp_path, {"conf/model/network.yaml": "_target_: mine.Network\n"})
        try_parts(compose([f"{group}=mine", "trainer.max_steps=2", f"paths.output={tmp_path}/outputs", *overrides]))

    return tried


def refusal(attempt, group, code, *overrides):
    with pytest.raises(UserError) as error:
        attempt(group, code, *overrides)
    assert "\n" not in str(error.value)
    # Where the class is said, it is on this line; tests are of what follows
    line = next(number for number, words in enumerate(code.splitlines(), 1) if words.startswith("class "))
    return str(error.value).replace(f"{group}=mine: mine.py:{line}: ", f"{group}=mine: ", 1)


def test_a_message_says_where_the_class_is(attempt):
    with pytest.raises(
        UserError, match=r"^loss=mine: mine\.py:5: the shape of the loss is \[2, 64\]; it should be \[\]"
    ):
        attempt("loss", LOSS.replace("{term}", "z.square()"))


def test_sound_parts_are_let_through_and_the_random_state_stays(attempt):
    import torch

    before = torch.get_rng_state()
    attempt("model", ENCODER.replace("{z}", "z"))
    attempt("head", HEAD.replace("{logits}", "logits"))
    attempt("loss", LOSS.replace("{term}", "term"))
    attempt("features", FRONT_END.replace("{frames}", "frames") + NETWORK, "model=network")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ("z[0]", "model=mine: the shape of z is [8]; it should be [2, 8]"),
        ("z[:, :4]", "model=mine: the shape of z is [2, 4]; it should be [2, 8]"),
        ("(z, z)", "model=mine: the type of z is tuple; it should be a tensor [2, 8]"),
        ("z / 0", "model=mine: not all values of z are finite"),
        ("z - z.mean(dim=0)", "model=mine: z of an utterance depends on its batch, by "),
        ("self.layer(frames.mean(dim=1))", "model=mine: z of an utterance depends on its batch, by "),
        (
            "self.layer(frames.amax(dim=1).relu() + frames.shape[1])",
            "model=mine: z of an utterance depends on its batch",
        ),
        ("nn.Linear(8, 8)(z)", "model=mine: forward() has weights [8, 8] that are not its parameters, so that"),
        ("z.detach()", "model=mine: z has no gradient, so that its weights are not trained; is there a no_grad() or "),
        ("z.long()", "model=mine: the type of z is torch.int64; it should be floating-point"),
        ("z + torch.rand(1) * 9", "model=mine: z of the same utterance is another each time; draw only `if self.trai"),
        ("(0 * z).sqrt() + z", "model=mine: for a batch of 2 the gradient of encoder.layer.weight has values that are"),
        ("self.layer(frames[:, 45])", "model=mine: mine.py:13: IndexError: index 45 is out of bounds"),
        ("z @ z", "model=mine: mine.py:13: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_an_encoder(attempt, z, message):
    assert refusal(attempt, "model", ENCODER.replace("{z}", z)).startswith(message)


def test_an_encoder_that_does_not_say_how_long_z_is(attempt):
    code = ENCODER.replace("{z}", "z").replace("    features = 8\n", "")
    missing = "model=mine: its `features`, the length of z, should be a whole number above 0; it is "
    assert refusal(attempt, "model", code) == f"{missing}None"
    assert refusal(attempt, "model", code.replace("self.layer", "self.features")) == f"{missing}Linear"


def test_a_batch_of_one_is_tried_too(attempt):
    code = ENCODER.replace("{z}", "z.squeeze(0)")
    circumstance = " (with one utterance in training, as the last batch of an epoch may have"
    assert refusal(attempt, "model", code) == f"model=mine: the shape of z is [8]; it should be [1, 8]{circumstance})"
    code = ENCODER.replace("{z}", "z").replace(
        "nn.Linear(bins, 8)", "nn.Sequential(nn.Linear(bins, 8), nn.BatchNorm1d(8))"
    )
    message = refusal(attempt, "model", code)
    assert message.startswith("model=mine: mine.py:12: ValueError: Expected more than 1 value per channel")
    assert message.endswith(f"{circumstance}; nn.BatchNorm1d cannot do with that, nn.LayerNorm can)")


@pytest.mark.parametrize(("group", "code"), [("model", ENCODER), ("head", HEAD), ("loss", LOSS)])
def test_what_is_no_module_is_refused(attempt, group, code):
    code = code.replace("(nn.Module)", "").replace("        super().__init__()\n", "").replace("forward", "__call__")
    assert refusal(attempt, group, code).startswith(f"{group}=mine: Mine is no torch.nn.Module; derived from it, and ")


@pytest.mark.parametrize(
    ("made", "used", "place"),
    [
        ("[nn.Linear(bins, 8)]", "self.layer[0]", "layer"),
        ("{'in': {'first': nn.Linear(bins, 8)}}", "self.layer['in']['first']", "layer"),
        ("lambda x, inner=nn.Linear(bins, 8): inner(x)", "self.layer", None),
        ("nn.ModuleList([]); self.w = torch.ones(bins, 8, requires_grad=True)", "torch.matmul", "w"),
    ],
)
def test_weights_that_are_no_parameters_are_refused(attempt, made, used, place):
    mean = "mean, self.w" if place == "w" else "mean"
    code = (
        ENCODER.replace("{z}", "z").replace("nn.Linear(bins, 8)", made).replace("self.layer(mean)", f"{used}({mean})")
    )
    message = refusal(attempt, "model", code)
    assert message.startswith(f"model=mine: {f'self.{place}' if place else 'forward()'} has weights [")
    assert "nn.ModuleList" in message


def test_a_frozen_encoder_and_a_gradient_in_a_loss_are_let_through(attempt):
    frozen = "self.layer = nn.Linear(bins, 8).requires_grad_(False)"
    code = ENCODER.replace("{z}", "z").replace("self.layer = nn.Linear(bins, 8)", frozen)
    attempt("model", code, "loss.lam=0")
    assert refusal(attempt, "model", code, "loss.lam=0.1").endswith("trained, so that loss.lam=0 is the same")
    penalty = """
        if not self.training:
            return z.new_zeros(())
        point = z.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.layer(point).square().sum(), point, create_graph=True)
        return slope.square().mean()
"""
    attempt("loss", LOSS.replace("        return {term}\n", penalty))


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ("logits[:, 0]", "head=mine: the shape of the logits is [2]; it should be [2, 4]"),
        ("logits * float('nan')", "head=mine: not all values of the logits are finite"),
        ("logits.absent", "head=mine: mine.py:11: AttributeError: 'Tensor' object has no attribute 'absent'"),
    ],
)
def test_a_head(attempt, logits, message):
    assert refusal(attempt, "head", HEAD.replace("{logits}", logits)) == message


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("z.square()", "loss=mine: the shape of the loss is [2, 64]; it should be []"),
        ("term, 3", "loss=mine: the type of the loss is tuple; it should be a tensor []"),
        ("None", "loss=mine: the type of the loss is NoneType; it should be a tensor []"),
        ("batch.labels.sum()", "loss=mine: the type of the loss is torch.int64; it should be floating-point"),
        ("z.square().mean().detach()", "loss=mine: the loss has no gradient, so that lambda times it changes nothing"),
        ("term if self.training else term / 0", "loss=mine: not all values of the loss are finite (in evaluation, wh"),
        ("term if self.training else z.mean(dim=1)", "loss=mine: the shape of the loss is [2]; it should be [] (in ev"),
        ("0.5", "loss=mine: the type of the loss is float; it should be a tensor []"),
        ("term.log() / 0", "loss=mine: not all values of the loss are finite"),
        ("(term * 0).sqrt()", "loss=mine: for a batch of 2 the gradient of "),
        ("z.std(dim=0).mean()", "loss=mine: not all values of the loss are finite"),
        ("term + batch.label", "loss=mine: mine.py:11: AttributeError: 'LabeledBatch' object has no attribute 'label'"),
        ("term + self.tau", "loss=mine: mine.py:11: AttributeError: 'Mine' object has no attribute 'tau'"),
    ],
)
@pytest.mark.filterwarnings("ignore:std()")
def test_a_loss(attempt, term, message):
    assert refusal(attempt, "loss", LOSS.replace("{term}", term)).startswith(message)


def test_a_loss_alone_may_train_the_head_through_its_logits(attempt):
    attempt("loss", LOSS.replace("{term}", "term + logits.square().mean()"), "loss.softmax=0")
    message = refusal(attempt, "loss", LOSS.replace("{term}", "term"), "loss.softmax=0")
    assert message.startswith("loss.softmax=0 leaves head=linear untrained, for loss=mine goes by z alone; head=means")


def test_a_buffer_moves_in_training_alone(attempt):
    code = LOSS.replace("{term}", "(z - self.center).square().mean()").replace(
        "        self.layer", "        self.register_buffer('center', torch.zeros(features))\n        self.layer"
    )
    move = "{}self.center += 0.1 * (z.detach().mean(dim=0) - self.center)\n        return"
    message = refusal(attempt, "loss", code.replace("return", move.format("")))
    assert message.startswith("loss=mine: forward() changes center; change it only `if self.training` (in evaluation")
    attempt("loss", code.replace("return", move.format("if self.training: ")))


def test_an_optimizer(attempt):
    code = "class Mine:\n    def __call__(self, parameters):\n        list(parameters)\n"
    assert refusal(attempt, "optimizer", code) == (
        "optimizer=mine: it makes NoneType; it should make a torch.optim.Optimizer"
    )
    code = code.replace("list(parameters)", "return torch.optim.SGD(parameters, lr={})")
    code = f"import torch\n{code}"
    attempt("optimizer", code.format("0.1"))
    message = refusal(attempt, "optimizer", code.format("3e38, weight_decay=1e6"))
    assert message.startswith("optimizer=mine: a step makes of encoder.")


def test_a_loss_that_is_not_added_is_not_tried(attempt):
    attempt("loss", LOSS.replace("{term}", "1 / 0"), "loss.lam=0")


def test_a_constructor(attempt):
    code = LOSS.replace("{term}", "term")
    assert refusal(attempt, "loss", code.replace("nn.Linear(features, 1)", "nn.Linear(features)")).startswith(
        "loss=mine: mine.py:8: TypeError: "
    )
    leaving = code.replace("nn.Linear(features, 1)", "exit('no licence')")
    assert refusal(attempt, "loss", leaving) == "loss=mine: mine.py:8: SystemExit: no licence"
    assert refusal(attempt, "loss", code.replace("class_counts", "counts")).startswith(
        "mine.py:6: Mine takes counts, which is not among what a part of this kind is given (features, classes, class"
    )


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ("frames.T", "features=mine makes of 160 samples of noise an array [5, 1] where finite numbers"),
        ("frames[:, 0]", "features=mine makes of 160 samples of noise an array [1] where finite numbers"),
        ("np.log(0 * frames)", "features=mine makes of 160 samples of noise an array [1, 5] where finite numbers"),
        ("frames[1]", "features=mine: mine.py:8: IndexError: index 1 is out of bounds"),
        ("frames + 1j", "features=mine makes of 160 samples of noise values of the type complex64 where real numbers"),
        ("frames.repeat(5, axis=0)", "features=mine makes of 160 samples of noise 5 frames where its rate of 100 mea"),
        ("frames.astype(str)", "features=mine makes of 160 samples of noise values of the type <U32 where real numb"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_front_end(attempt, frames, message):
    code = FRONT_END.replace("{frames}", frames)
    assert refusal(attempt, "features", code).startswith(message)


@pytest.mark.parametrize(("rate", "number"), [("None", "1"), ("10", "10")])
def test_a_front_end_that_says_another_rate(attempt, rate, number):
    code = FRONT_END.replace("{frames}", "frames").replace("16_000, 100", f"16_000, {rate}")
    assert refusal(attempt, "features", code) == (
        f"features=mine makes of 16000 samples of noise 100 frames where its rate of {rate} means {number}"
    )


def test_a_front_end_that_leaves_all_of_noise_out(attempt):
    attempt("features", FRONT_END.replace("{frames}", "frames[:0]") + NETWORK, "model=network")


def test_what_does_not_fit_a_part_that_ships_is_told(attempt):
    """5 bins are too few for the paper's convolutions."""
    message = refusal(attempt, "features", FRONT_END.replace("{frames}", "frames"))
    assert message == "the CRNN needs 49 bins or more, and features give 5; change one of them"


NORMALISATION = """
import numpy as np

class Mine:
    uses = ""
    def shift_and_scale(self, statistics, speakers):
        return {pair}
"""
AUGMENTATION = """
import torch

class Mine:
    changes = True
    def __call__(self, frames, mean, rng):
        return {frames}
"""


@pytest.mark.parametrize(
    ("group", "code", "message"),
    [
        ("normalise", NORMALISATION.format(pair="statistics.means, statistics.spread"), "mine.py:7: AttributeError: "),
        ("normalise", NORMALISATION.format(pair="statistics.means, 0 * statistics.means"), "the scale has values that"),
        (
            "normalise",
            NORMALISATION.format(pair="statistics.means[0], np.ones(1)"),
            "the shift has the shape [",
        ),
        ("augment", AUGMENTATION.format(frames="frames / 0"), "it makes values that are not finite"),
        ("augment", AUGMENTATION.format(frames="frames[:, :3]"), "it makes ["),
        ("augment", AUGMENTATION.format(frames="torch.roll(frames, rng)"), "mine.py:7: TypeError: "),
        ("augment", AUGMENTATION.format(frames="torch.randn_like(frames)"), "called twice, with equal frames and an"),
    ],
)
def test_what_is_done_to_frames(attempt, group, code, message):
    assert refusal(attempt, group, code).startswith(f"{group}=mine: {message}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("self.mean[:] = z.mean(dim=1)", "mine.py:11: RuntimeError: "),
        ("self.mean[:] = z.mean(dim=0) / 0", "not all values of the logits, once it is fitted, are finite"),
    ],
)
def test_a_head_that_is_fitted(attempt, body, message):
    code = HEAD.replace("{logits}", "logits + self.mean.sum()")
    code = code.replace(
        "    def forward", "        self.register_buffer('mean', torch.zeros(features))\n    def forward"
    )
    code = code.replace("    def forward", f"    def fit(self, z, labels):\n        {body}\n    def forward")
    assert refusal(attempt, "head", code).startswith(f"head=mine: {message}")
