"""A user's own code: what belongs to a part, what names it, and that its copy is what is imported."""

import pickle
import shutil
import sys
from pathlib import Path

import pytest

from ser_lightning.components import Part
from ser_lightning.components.code import UserCode, import_class, place_of, read_code
from ser_lightning.errors import UserError

FILES = {
    "mine.py": "import helper, numpy.linalg\nfrom pack.inner import deep\nclass Mine:\n    value = helper.VALUE\n",
    "helper.py": "VALUE = 1\n",
    "unrelated.py": "VALUE = 1\n",
    "pack/__init__.py": "from . import first\n",
    "pack/first.py": "from .inner.deep import DEEP\n",
    "pack/unreached.py": "",
    "pack/inner/__init__.py": "",
    "pack/inner/deep.py": "from ..second import SECOND as DEEP\n",
    "pack/second.py": "SECOND = 2\n",
}
REACHED = set(FILES) - {"unrelated.py", "pack/unreached.py"}


@pytest.fixture
def folder(tmp_path):
    """A user's folder: a class whose file imports a module and a package, and files that it does not."""
    return write(tmp_path / "user", FILES)


@pytest.fixture(autouse=True)
def imports():
    """Leaves no module of a user's behind."""
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.split(".")[0] in ("mine", "helper", "pack", "lab", "bench")]:
        del sys.modules[name]


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def single(folder, code, **others):
    """The code of mine.Mine, mine.py beginning with `code`."""
    files = {f"{name}.py": content for name, content in others.items()}
    return read_code("mine.Mine", write(folder, {"mine.py": f"{code}\nclass Mine:\n    pass\n", **files}))


def test_all_files_that_imports_reach_belong_to_a_part(folder):
    code = read_code("mine.Mine", folder)
    assert code.files == {name: FILES[name] for name in REACHED}
    assert code.packages == {}


def test_a_class_in_a_package_brings_the_packages_it_lies_in(folder):
    write(folder, {"pack/inner/own.py": "class Mine:\n    pass\n"})
    assert {"pack/__init__.py", "pack/inner/__init__.py", "pack/inner/own.py"} <= set(
        read_code("pack.inner.own.Mine", folder).files
    )


def test_a_class_that_a_package_passes_on_brings_both_files(tmp_path):
    write(tmp_path, {"pack/__init__.py": "from .own import Mine\n", "pack/own.py": "class Mine:\n    pass\n"})
    assert set(read_code("pack.Mine", tmp_path).files) == {"pack/__init__.py", "pack/own.py"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_edit_of_what_is_reached_and_of_nothing_else_is_another_code(folder, name):
    before = read_code("mine.Mine", folder).digest
    assert read_code("mine.Mine", folder).digest == before
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    assert (read_code("mine.Mine", folder).digest != before) == (name in REACHED)


@pytest.mark.parametrize(
    "line",
    [
        "import helper",
        "import helper as h",
        "from helper import VALUE",
        "from helper import *",
        "def later():\n    import helper",
        "if True:\n    import helper",
        "try:\n    import helper\nexcept ImportError:\n    helper = None",
        "try:\n    import absent\nexcept ImportError:\n    import helper",
    ],
)
def test_every_form_of_import_reaches(tmp_path, line):
    assert set(single(tmp_path, line, helper="VALUE = 1\n").files) == {"mine.py", "helper.py"}


@pytest.mark.parametrize("line", ["from parts import helper", "import parts.helper", "from parts.helper import VALUE"])
def test_a_folder_without_init_is_a_package_too(tmp_path, line):
    write(tmp_path, {"parts/helper.py": "VALUE = 1\n"})
    assert set(single(tmp_path, line).files) == {"mine.py", "parts/helper.py"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import os\nimport absent", "mine.py:2: there is no module absent, neither beside mine.py nor installed"),
        ("from absent.deeper import x", "mine.py:1: there is no module absent.deeper, neither beside mine.py"),
        ("import helper", "helper.py:2: there is no module absent, neither beside mine.py nor installed"),
    ],
)
def test_an_import_that_leads_nowhere_is_named_with_file_and_line(tmp_path, line, message):
    with pytest.raises(UserError) as error:
        single(tmp_path, line, helper="\nimport absent\n")
    assert str(error.value).startswith(message)


def test_code_at_work_elsewhere_is_the_users_too(folder, tmp_path, monkeypatch):
    """On Python's path, or installed in place: an edit is another code, and the copy is what is imported."""
    lab = write(
        tmp_path / "source", {"lab/__init__.py": "", "lab/losses.py": "import bench\nclass Loss:\n    scale = 1\n"}
    )
    write(lab, {"bench.py": ""})
    monkeypatch.syspath_prepend(lab)
    first = read_code("lab.losses.Loss", folder)
    assert set(first.files) == {"lab/__init__.py", "lab/losses.py", "bench.py"}
    copy = first.write(tmp_path / "cache")
    write(lab, {"lab/losses.py": "class Loss:\n    scale = 2\n"})
    assert read_code("lab.losses.Loss", folder).digest != first.digest
    assert import_class("lab.losses.Loss", str(copy)).scale == 1
    mixed = single(tmp_path / "user", "from lab.losses import Loss")
    assert set(mixed.files) == {"mine.py", "lab/__init__.py", "lab/losses.py"}


def test_the_mark_that_some_editors_begin_a_file_with_is_none_of_it(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbfclass Mine: ...\n")
    assert read_code("mine.Mine", tmp_path).files == {"mine.py": "class Mine: ...\n"}


def test_a_helper_in_another_encoding_is_named(tmp_path):
    (tmp_path / "helper.py").write_bytes("# Größe\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"helper\.py cannot be read as UTF-8"):
        single(tmp_path, "import helper")


def test_an_import_that_may_mean_either_of_two_modules_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(write(tmp_path / "site-packages", {"helper.py": ""}))
    with pytest.raises(UserError, match=r"^mine\.py:2: a module helper is installed; give helper\.py another name$"):
        single(tmp_path, "\nimport helper", helper="VALUE = 1\n")


@pytest.mark.parametrize(
    "line",
    [
        "try:\n    import absent\nexcept ImportError:\n    absent = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import absent",
    ],
)
def test_an_import_that_may_be_absent_is_left_alone(tmp_path, line):
    assert set(single(tmp_path, line).files) == {"mine.py"}


def test_a_file_that_is_not_python_is_named_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"^helper\.py:1: '\(' was never closed$"):
        single(tmp_path, "import helper", helper="x = (\n")


def test_what_is_installed_counts_by_its_version(tmp_path, monkeypatch):
    """A distribution whose name is not its module's."""

    def install(version):
        site = tmp_path / version / "site-packages"
        write(site, {"mining.py": "class Pit: ...", f"fine_mining-{version}.dist-info/METADATA": metadata(version)})
        write(site, {f"fine_mining-{version}.dist-info/top_level.txt": "mining\n"})
        monkeypatch.syspath_prepend(site)
        monkeypatch.setattr("ser_lightning.components.code._distributions", lambda: {"mining": ["fine-mining"]})
        return single(tmp_path / "user", "import mining\nimport torch, yaml, numpy"), read_code("mining.Pit", tmp_path)

    def metadata(version):
        return f"Metadata-Version: 2.1\nName: fine-mining\nVersion: {version}\n"

    (first, whole), (second, other) = install("1.0"), install("2.0")
    assert (first.packages, second.packages) == ({"fine-mining": "1.0"}, {"fine-mining": "2.0"})
    assert first.digest != second.digest
    # A part that is installed itself
    assert (whole.files, whole.packages, other.packages) == ({}, {"fine-mining": "1.0"}, {"fine-mining": "2.0"})


def test_what_ships_and_what_is_installed_is_no_code_of_the_users(tmp_path):
    assert read_code("ser_lightning.losses.center.CenterLoss", tmp_path) is None
    code = single(tmp_path, "from ser_lightning.losses.center import CenterLoss")
    assert (set(code.files), code.packages) == ({"mine.py"}, {})


def test_this_package_is_no_code_of_the_users_in_its_own_checkout_either(tmp_path, monkeypatch):
    """There the user's folder is the one that the package lies in."""
    monkeypatch.setattr("ser_lightning.components.sources.PACKAGE", tmp_path / "ser_lightning")
    monkeypatch.setattr("ser_lightning.components.code.PACKAGE", tmp_path / "ser_lightning")
    write(tmp_path, {"ser_lightning/__init__.py": "", "ser_lightning/losses.py": "VALUE = 1\n"})
    assert set(single(tmp_path, "import ser_lightning\nfrom ser_lightning.losses import VALUE").files) == {"mine.py"}


def test_code_is_written_once_under_its_digest(folder, tmp_path):
    code = read_code("mine.Mine", folder)
    copy = code.write(tmp_path / "cache")
    assert copy == tmp_path / "cache" / "code" / code.digest
    assert {file.relative_to(copy).as_posix(): file.read_text() for file in copy.rglob("*.py")} == code.files
    before = (copy / "mine.py").stat().st_mtime_ns
    assert code.write(tmp_path / "cache") == copy
    assert (copy / "mine.py").stat().st_mtime_ns == before


def test_the_codes_of_several_parts_are_one_folder():
    one, other = UserCode({"a.py": "1", "b.py": "2"}, {"x": "1"}), UserCode({"b.py": "2", "c.py": "3"}, {})
    assert (one | other) == UserCode({"a.py": "1", "b.py": "2", "c.py": "3"}, {"x": "1"})
    assert (one | other).digest == (other | one).digest


@pytest.mark.parametrize("disturb", ["edited", "deleted", "shadowed"])
def test_the_copy_is_imported_whatever_the_users_folder_has_by_then(folder, tmp_path, monkeypatch, disturb):
    copy = read_code("mine.Mine", folder).write(tmp_path / "cache")
    monkeypatch.syspath_prepend(folder)
    if disturb == "deleted":
        shutil.rmtree(folder)
    elif disturb == "edited":
        (folder / "helper.py").write_text("raise SystemExit('the file as it is by now')\n")
        (folder / "mine.py").write_text("raise SystemExit('the file as it is by now')\n")
    else:
        write(folder, {"helper/__init__.py": "VALUE = 9\n", "mine/__init__.py": "class Mine:\n    value = 9\n"})
    mine = import_class("mine.Mine", str(copy))
    assert mine.value == 1
    assert Path(sys.modules["helper"].__file__).is_relative_to(copy)
    assert Path(sys.modules["pack.inner.deep"].__file__).is_relative_to(copy)


def test_two_codes_of_the_same_names_one_after_the_other(folder, tmp_path):
    copies = []
    for value in (1, 2):
        (folder / "helper.py").write_text(f"VALUE = {value}\n")
        copies.append(str(read_code("mine.Mine", folder).write(tmp_path / "cache")))
    first, second, again = (import_class("mine.Mine", copy) for copy in (copies[0], copies[1], copies[0]))
    assert (first.value, second.value, again.value) == (1, 2, 1)
    assert import_class("mine.Mine", copies[0]) is again


def test_a_copy_hides_no_other_module(folder, tmp_path):
    """A user's random.py is never theirs to import, copied or not."""
    write(folder, {"random.py": "raise SystemExit\n"})
    write(folder, {"mine.py": "import random\n\nclass Mine:\n    value = random.Random(0).random()\n"})
    code = read_code("mine.Mine", folder)
    assert set(code.files) == {"mine.py"}
    assert 0 < import_class("mine.Mine", str(code.write(tmp_path / "cache"))).value < 1


def test_an_import_that_fails_is_a_line_with_its_place(folder, tmp_path):
    (folder / "helper.py").write_text("\n\nVALUE = 1 / 0\n")
    copy = str(read_code("mine.Mine", folder).write(tmp_path / "cache"))
    with pytest.raises(UserError) as error:
        import_class("mine.Mine", copy)
    assert str(error.value) == "_target_=mine.Mine: helper.py:3: ZeroDivisionError: division by zero"


def test_an_error_elsewhere_has_no_place(tmp_path):
    with pytest.raises(ValueError, match="invalid literal") as error:
        int("x")
    assert (place_of(error.value, str(tmp_path)), place_of(error.value, None)) == ("", "")


class Loss(Part):
    group = "loss"
    bench = ("features", "classes")


def part(folder, cache, code):
    """The part of a loss whose constructor is `code`."""
    write(folder, {"mine.py": code})
    read = read_code("mine.Mine", folder)
    values = {"name": "mine", "_target_": "mine.Mine", "_code_": read.digest}
    return Loss.read(values, read.write(cache))


def test_a_part_is_given_what_it_takes_and_its_settings(folder, tmp_path):
    chosen = part(
        folder,
        tmp_path,
        "class Mine:\n    def __init__(self, classes, *, tau=0.5):\n        self.all = classes, tau\n",
    )
    assert chosen.make(features=64, classes=4).all == (4, 0.5)


def test_a_part_travels_to_other_processes_as_its_settings(folder, tmp_path):
    """Pickled, it names its code; the class is imported where it is made."""
    chosen = part(folder, tmp_path, "class Mine:\n    def __init__(self, *, tau=0.5):\n        self.tau = tau\n")
    packed = pickle.dumps(chosen)
    shutil.rmtree(folder)
    assert "mine" not in sys.modules
    assert pickle.loads(packed) == chosen
    assert pickle.loads(packed).make().tau == 0.5


def test_a_constructor_that_fails_is_a_line_with_its_place(folder, tmp_path):
    code = "class Mine:\n    def __init__(self, *, tau=0.5):\n        raise ValueError('one\\n two')\n"
    with pytest.raises(UserError) as error:
        part(folder, tmp_path, code).make()
    assert str(error.value) == "loss=mine: mine.py:3: ValueError: one two"


def test_a_constructor_that_wants_what_the_bench_has_not_is_refused(folder, tmp_path):
    with pytest.raises(UserError) as error:
        part(folder, tmp_path, "class Mine:\n    def __init__(self, classes, tau): ...\n")
    assert str(error.value) == (
        "mine.py:2: Mine takes tau, which is not among what a part of this kind is given (features, classes); settings "
        "of its own stand behind a *, e.g. *, tau: float = 1.0"
    )


def test_a_yaml_without_a_class_is_refused():
    with pytest.raises(UserError, match=r"loss=mine: its yaml names no class; it needs a line _target_: module\.Class"):
        Loss.read({"name": "mine", "tau": 1})


def test_a_copy_that_is_damaged_is_made_anew(folder, tmp_path):
    code = read_code("mine.Mine", folder)
    copy = code.write(tmp_path / "cache")
    for damage in (lambda file: file.write_text("VALUE = 3\n"), Path.unlink):
        damage(copy / "helper.py")
        assert import_class("mine.Mine", str(code.write(tmp_path / "cache"))).value == 1
        assert (copy / "helper.py").read_text() == FILES["helper.py"]
