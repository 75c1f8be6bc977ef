"""Where classes are found: in this package, installed, and last in the user's folder; nothing is imported."""

import sys

import pytest

from ser_lightning.components.sources import PACKAGE, find_class, find_module
from ser_lightning.errors import UserError

CLASS = "class Mine:\n    pass\n"


def refusal(target, folder):
    with pytest.raises(UserError) as error:
        find_class(target, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of what is installed; the user's folder is on the path too, and first, as for a script in it."""
    folder = tmp_path / "site-packages"
    (folder / "theirs").mkdir(parents=True)
    (folder / "theirs" / "__init__.py").write_text("from .losses import Mine\n")
    (folder / "theirs" / "losses.py").write_text(CLASS)
    (folder / "single.py").write_text(CLASS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_what_ships_is_found_without_being_imported():
    source = find_class("ser_lightning.losses.center.CenterLoss")
    assert source.file == PACKAGE / "losses" / "center.py"
    assert source.place(source.node).startswith("center.py:")


def test_the_standard_library_and_what_is_installed_come_before_the_users_folder(tmp_path, site):
    for name in ("random", "theirs", "single", "mine"):
        (tmp_path / f"{name}.py").write_text(CLASS)
    assert find_module("random", tmp_path) is None
    assert find_module("theirs", tmp_path) == (site / "theirs" / "__init__.py", site)
    assert find_module("theirs.losses", tmp_path) == (site / "theirs" / "losses.py", site)
    assert find_module("single", tmp_path) == (site / "single.py", site)
    assert find_module("mine", tmp_path) == (tmp_path / "mine.py", tmp_path)
    assert find_module("mine.deeper", tmp_path) is None
    assert find_module("single.deeper", tmp_path) is None
    assert find_module("sys", tmp_path) is None
    assert find_module("absent") is None


def test_a_package_and_a_folder_without_init(tmp_path):
    for name in ("whole/__init__.py", "whole/inner/__init__.py", "whole/inner/mine.py", "bare/mine.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(CLASS)
    assert find_module("whole", tmp_path) == (tmp_path / "whole" / "__init__.py", tmp_path)
    assert find_module("whole.inner.mine", tmp_path) == (tmp_path / "whole" / "inner" / "mine.py", tmp_path)
    assert find_module("bare.mine", tmp_path) == (tmp_path / "bare" / "mine.py", tmp_path)
    assert find_module("bare", tmp_path) is None


def test_an_editable_install_is_found(tmp_path, monkeypatch):
    """Those that a hook finds, not the path."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "hooked.py").write_text(CLASS)

    class Hook:
        @staticmethod
        def find_spec(name, path=None, target=None):
            from importlib.util import spec_from_file_location

            return spec_from_file_location(name, tmp_path / "far" / "hooked.py") if name == "hooked" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook])
    assert find_class("hooked.Mine", tmp_path).file == tmp_path / "far" / "hooked.py"


def test_a_class_that_a_package_passes_on_is_found_where_it_is_written(tmp_path, site):
    assert find_class("theirs.Mine", tmp_path).file == site / "theirs" / "losses.py"
    (tmp_path / "mine.py").write_text("import math\nfrom single import Mine as Own\n")
    assert find_class("mine.Own", tmp_path).file == site / "single.py"


def test_code_at_work_is_that_of_the_folder_wherever_else_pythons_path_leads(tmp_path, site, monkeypatch):
    """A copy of the user's code is what counts while the folder that it is of is on the path, as "" or by name."""
    copy, source = tmp_path / "copy", tmp_path / "source"
    for folder in (copy, source):
        folder.mkdir()
        (folder / "mine.py").write_text(CLASS)
    (source / "lab").mkdir()
    (source / "lab" / "losses.py").write_text(CLASS)
    for entry in (source, tmp_path, ""):
        monkeypatch.syspath_prepend(entry)
    (tmp_path / "mine.py").write_text(CLASS)
    monkeypatch.chdir(tmp_path)
    assert find_class("mine.Mine", copy).root == copy
    assert find_class("lab.losses.Mine", tmp_path).root == source
    assert find_module("mine") is None


def test_of_two_classes_of_a_name_the_last_counts_as_for_python(tmp_path):
    (tmp_path / "mine.py").write_text(CLASS + CLASS)
    source = find_class("mine.Mine", tmp_path)
    assert source.place(source.node) == "mine.py:3"


def test_imports_in_a_circle_end(tmp_path):
    (tmp_path / "one.py").write_text("from two import Mine\n")
    (tmp_path / "two.py").write_text("from one import Mine\n")
    assert "has no class Mine; it has none" in refusal("one.Mine", tmp_path)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.Absent", "_target_=mine.Absent: mine.py has no class Absent; it has Mine, Other"),
        ("absent.Mine", "_target_=absent.Mine: there is no absent.py in {folder}, and none is installed"),
        (
            "mine.deeper.Mine",
            "_target_=mine.deeper.Mine: there is no mine/deeper.py in {folder}, and none is installed",
        ),
        ("Mine", "_target_=Mine: name module and class, e.g. mine.Mine"),
        (".mine.Mine", "_target_=.mine.Mine: name module and class, e.g. mine.Mine"),
        ("__main__.Mine", "_target_=__main__.Mine: a class of a notebook or prompt is unknown to the processes that"),
        ("test.Mine", "_target_=test.Mine: a module test is installed; give test.py another name"),
        ("random.Mine", "_target_=random.Mine: Python itself has a module random; give the file another name"),
        ("single.Mine", "_target_=single.Mine: a module single is installed; give single.py another name"),
        ("broken.Mine", "broken.py:2: '(' was never closed"),
        ("binary.Mine", "{folder}/binary.py cannot be read as UTF-8 ("),
        (
            "ser_lightning.losses.center.Loss",
            "_target_=ser_lightning.losses.center.Loss: ser_lightning/losses/center.py has",
        ),
    ],
)
def test_what_is_not_there_is_said_in_a_line(tmp_path, site, target, message):
    for name in ("random", "test", "single"):
        (tmp_path / f"{name}.py").write_text(CLASS)
    (tmp_path / "mine.py").write_text(CLASS + "class Other:\n    pass\n")
    (tmp_path / "broken.py").write_text("\nx = (\n")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    assert refusal(target, tmp_path).startswith(message.format(folder=tmp_path))
