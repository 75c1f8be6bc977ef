"""The files of ./conf beside those of conf/: what counts, what is hidden, what is broken, and what stays in memory."""

import pytest
from hydra.errors import MissingConfigException

from ser_lightning.components.groups import (
    CONF,
    PARTS,
    Choice,
    all_choices,
    hidden_choices,
    own_choices,
    own_settings,
    register,
    registered_code,
    shipped_choices,
)
from ser_lightning.config import choices, compose, known_keys
from ser_lightning.errors import UserError
from tests.components.test_code import write

LOSS = '''
class Mine:
    """Mine.

    Args:
        tau: how warm.
    """

    def __init__(self, features, *, tau: float = 0.5, width: int = 8): ...
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder, in which the command is given: a loss and its yaml. On Python's path, as with python -m."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SER_OUTPUT", str(tmp_path / "outputs"))
    return write(tmp_path, {"mine.py": LOSS, "conf/loss/mine.yaml": "_target_: mine.Mine\n"})


def names(found):
    return {(choice.group, choice.name) for choice in found}


def refusal(function, *words):
    with pytest.raises(UserError) as error:
        function(*words)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_file_of_conf_is_a_choice():
    files = {(file.parent.relative_to(CONF).as_posix(), file.stem) for file in CONF.rglob("*.yaml")}
    assert {(group or ".", name) for group, name in names(shipped_choices())} == files
    assert set(PARTS) <= {choice.group for choice in shipped_choices()}


def test_files_of_the_users_stand_beside_them(folder):
    assert names(all_choices()) - names(shipped_choices()) == {("loss", "mine")}
    assert choices()["loss"][-1] == "mine"
    assert known_keys()["loss.tau"] == "how warm (mine)"


def test_what_lies_in_conf_of_another_project_does_not_count(folder):
    others = {"conf/train.yaml": "a: [", "conf/database/mine.yaml": "a: [", "conf/loss/deeper/mine.yaml": "a: ["}
    assert names(own_choices()) == {("loss", "mine")}
    write(folder, others)
    assert names(own_choices()) == {("loss", "mine")}
    assert compose(["loss=mine"]).loss.own == {"tau": 0.5, "width": 8}


def test_a_name_that_ships_wins_and_the_other_is_told(folder):
    write(folder, {"conf/loss/center.yaml": "_target_: mine.Mine\n"})
    assert names(hidden_choices()) == {("loss", "center")}
    assert compose(["loss=center"]).loss.target == "ser_lightning.losses.center.CenterLoss"


def test_the_packages_own_conf_is_no_users(monkeypatch):
    monkeypatch.chdir(CONF.resolve().parent)
    assert own_choices() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_target_: [mine", "conf/loss/mine.yaml is not YAML: "),
        ("- a\n- b\n", "conf/loss/mine.yaml must hold settings, each a line 'key: value'"),
        ("mine.Mine\n", "conf/loss/mine.yaml must hold settings, each a line 'key: value'"),
        ("1: 2\n_target_: mine.Mine\n", "conf/loss/mine.yaml must hold settings, each a line 'key: value'"),
        ("_target_: mine.Mine\ntau: 1\ntau: 2\n", "conf/loss/mine.yaml is not YAML: the key tau is there twice"),
        (b"\xff\xfe\x00", "conf/loss/mine.yaml is not YAML: "),
    ],
)
def test_a_broken_file_is_a_clear_line(folder, text, message):
    if isinstance(text, bytes):
        (folder / "conf" / "loss" / "mine.yaml").write_bytes(text)
    else:
        write(folder, {"conf/loss/mine.yaml": text})
    assert message in refusal(all_choices)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tau: 1\n", "loss=mine: its yaml names no class; it needs a line _target_: module.Class"),
        ("", "loss=mine: its yaml names no class; it needs a line _target_: module.Class"),
        ("_target_: mine.Absent\n", "_target_=mine.Absent: mine.py has no class Absent; it has Mine"),
        ("_target_: mine.Mine\ntua: 1\n", "loss.tua is not a setting of loss=mine; did you mean loss.tau?"),
        ("_target_: mine.Mine\ntau: x\n", "loss.tau=x: must be a number (how warm)"),
    ],
)
def test_a_faulty_choice_is_told_when_it_is_chosen_and_stops_no_other(folder, text, message):
    write(folder, {"conf/loss/mine.yaml": text})
    assert compose(["loss=center"]).loss.name == "center"
    assert refusal(compose, ["loss=mine"]) == message.format(folder=folder)


@pytest.mark.parametrize("key", ["lam", "code"])
def test_a_key_of_the_bench_is_no_setting_of_a_class(folder, key):
    write(folder, {"mine.py": LOSS.replace("width", key)})
    message = f"has a setting {key}, which is the bench's own key of every loss; give it another name"
    assert refusal(compose, ["loss=mine"]) == f"mine.py:9: Mine {message}"


def test_a_read_outs_name_has_no_dot(folder):
    write(folder, {"conf/readout/v1.2.yaml": "_target_: mine.Mine\n"})
    assert refusal(all_choices).endswith("a name is part of its settings' keys; give it one without a dot")


def test_settings_are_those_of_the_file_before_the_class_and_the_command_line_before_both(folder):
    text = "# @package _global_\n_target_: mine.Mine\nname: other\ntau: 3e-1\n"
    write(folder, {"conf/loss/mine.yaml": text})
    config = compose(["loss=mine", "loss.width=9"])
    assert (config.loss.name, config.loss.own) == ("other", {"tau": 0.3, "width": 9})
    assert config.loss.lam == 0.3


def test_a_choice_may_rest_on_one_that_ships(folder):
    write(folder, {"conf/loss/slow.yaml": "defaults: [center]\nalpha: 0.1\n"})
    loss = compose(["loss=slow"]).loss
    assert (loss.name, loss.target) == ("slow", "ser_lightning.losses.center.CenterLoss")
    assert (loss.own, loss.code) == ({"alpha": 0.1, "rule": "ema", "warm_up": 0}, None)
    assert own_settings("loss", "slow") >= {"alpha", "rule", "warm_up"}


def test_a_choice_may_rest_on_another_of_the_users(folder):
    write(folder, {"conf/loss/warm.yaml": "defaults:\n  - mine\n  - _self_\ntau: 5\n"})
    loss = compose(["loss=warm"]).loss
    assert (loss.name, loss.target, loss.own) == ("warm", "mine.Mine", {"tau": 5.0, "width": 8})
    assert loss.code == compose(["loss=mine"]).loss.code is not None


def test_code_is_what_it_was_when_the_command_began(folder):
    register()
    (own,) = own_choices()
    before = own.code
    (folder / "mine.py").write_text("raise SystemExit\n")
    (folder / "conf" / "loss" / "mine.yaml").unlink()
    assert registered_code(before.digest) == before


def test_what_is_there_no_more_is_forgotten(folder, tmp_path, monkeypatch):
    from hydra.core.config_store import ConfigStore

    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    basic = launchers["basic.yaml"]
    write(folder, {"conf/hydra/launcher/basic.yaml": "_target_: mine.Launcher\n"})
    assert compose(["loss=mine"]).loss.own["tau"] == 0.5
    assert launchers["basic.yaml"] is not basic

    (folder / "conf" / "hydra" / "launcher" / "basic.yaml").unlink()
    (folder / "conf" / "loss" / "mine.yaml").rename(folder / "conf" / "loss" / "other.yaml")
    assert compose(["loss=other"]).loss.own["tau"] == 0.5
    assert launchers["basic.yaml"] is basic
    with pytest.raises(MissingConfigException, match="'loss/mine'"):
        compose(["loss=mine"])

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(MissingConfigException, match="'loss/other'"):
        compose(["loss=other"])


def test_code_of_any_bytes_of_text_survives_the_memory_of_hydra(folder):
    text = LOSS + '\nTEXT = "${a.b} {x} ??? \\\\ ö 😀 %s"\n'
    write(folder, {"mine.py": text})
    register()
    (own,) = own_choices()
    assert registered_code(own.code.digest).files == {"mine.py": text}


def test_in_a_sweep_over_parts_each_has_the_others_settings_and_heeds_its_own(folder):
    register({"loss": ["mine", "center"]})
    from hydra import compose as composed
    from hydra import initialize

    from ser_lightning.config import check

    with initialize(config_path=None, version_base="1.3"):
        mine = check(composed("train", ["loss=mine", "loss.alpha=0.1", "loss.tau=0.2"]))
        center = check(composed("train", ["loss=center", "loss.alpha=0.1", "loss.tau=0.2"]))
    register()
    assert (mine.loss.own, center.loss.own["alpha"]) == ({"tau": 0.2, "width": 8}, 0.1)
    assert "tau" not in center.loss.own
    assert (mine.lacks("loss.alpha=0.1"), mine.lacks("loss.tau=0.2")) == (True, False)


def test_a_choice_of_no_group_of_parts_is_what_its_file_says():
    choice = Choice("trainer", "long", {"max_steps": 3}, None, None)
    assert (choice.target, choice.complete, choice.code) == (None, {"max_steps": 3}, None)
