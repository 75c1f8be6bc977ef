"""Which code made a run: what the digest sees, and what it does not."""

import shutil

import pytest

from ser_lightning.runs.code import (
    LIBRARIES,
    NUMERIC,
    OF_SOME_PARTS,
    PACKAGE,
    code_digest,
    describe_other_code,
    is_current,
    present_code,
    present_versions,
)
from tests.runs.test_ledger import result
from tests.test_rooms import ROOMS


@pytest.fixture
def package(tmp_path):
    """A copy of the package's code."""
    return shutil.copytree(PACKAGE, tmp_path / "anywhere" / "ser_lightning")


def test_equal_files_have_an_equal_digest_wherever_they_lie(package):
    assert code_digest(package) == code_digest()


@pytest.mark.parametrize(
    "name", ["training/recognizer.py", "corpora/emodb.py", "losses/center.py", "features/store.py"]
)
def test_an_edit_of_a_numeric_file_is_other_code(package, name):
    with (package / name).open("a") as file:
        file.write("# edited\n")
    assert code_digest(package) != code_digest()


def test_a_new_file_and_another_name_are_other_code(package):
    (package / "losses" / "mine.py").write_text("")
    added = code_digest.__wrapped__(package)
    (package / "losses" / "mine.py").rename(package / "losses" / "ours.py")
    assert len({code_digest(), added, code_digest.__wrapped__(package)}) == 3


@pytest.mark.parametrize("name", ["report/page.py", "command.py", "runs/study.py", "corpora/checksums/emodb.sha256"])
def test_an_edit_elsewhere_is_the_same_code(package, name):
    with (package / name).open("a") as file:
        file.write("\n")
    assert code_digest(package) == code_digest()


def test_the_list_names_rooms_that_there_are():
    assert {name.partition("/")[0] for name in NUMERIC} <= set(ROOMS)


def test_a_run_is_current_by_its_code_and_libraries():
    present = result(code=present_code(), versions=present_versions())
    assert is_current(present)
    # neither decides the numbers of code with the same digest
    assert is_current(
        result(code={**present_code(), "version": "9"}, versions={**present_versions(), "python": "3.99"})
    )
    assert not is_current(result(code={**present_code(), "digest": "0" * 12}, versions=present_versions()))
    assert not is_current(result(code={}, versions=present_versions()))
    # Earlier versions did not name what some parts are computed with
    former = {name: text for name, text in present_versions().items() if name not in OF_SOME_PARTS}
    assert is_current(result(code=present_code(), versions=former))
    for name in (*LIBRARIES, *OF_SOME_PARTS):
        assert not is_current(result(code=present_code(), versions={**present_versions(), name: "0.1"}))


def test_runs_of_other_code_are_counted_in_a_line():
    present, other, unknown = result(code=present_code()), result(code={"digest": "0" * 12}), result(code={})
    assert describe_other_code([present, present]) is None
    assert describe_other_code([present, other]) == (
        "1 finished run was not made by the present code; rerun=true trains it anew"
    )
    assert describe_other_code([other, unknown, present]) == (
        "2 finished runs were not made by the present code; rerun=true trains them anew"
    )
