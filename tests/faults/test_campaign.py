"""The campaign's frame judges as it says, and a slice of it ends well."""

import random

import pytest

from ser_lightning.errors import UserError
from tests.faults.campaign import Ending, described, listening, meet, run, table
from tests.faults.damage import DAMAGES, damaged
from tests.faults.scenes import SCENES, lacking_for


class Played:
    """A scene that ends as it is told to."""

    name = "played"

    def __init__(self, *endings):
        self.endings = iter(endings)

    def strike(self, draws):
        ending = next(self.endings)
        with described(f"fault {draws.randrange(10**9)}"):
            if isinstance(ending, Exception):
                raise ending
        return "fault", ending, ""


@pytest.mark.parametrize(
    "error, ending",
    [
        (UserError("what\nhow"), Ending.REFUSED),
        (UserError("one\ntwo\nthree"), Ending.TRACEBACK),
        (ValueError("what"), Ending.TRACEBACK),
    ],
)
def test_an_error_counts_as_refused_if_it_is_for_users_and_short(error, ending):
    assert meet(Played(error), random.Random(1)).ending is ending


def test_the_table_has_a_row_per_kind_and_one_for_all():
    counts = table(run([Played(Ending.NAMED, Ending.WRONG, Ending.NAMED)], 3, 1))
    assert counts.index.tolist() == ["played", "all"]
    assert counts.loc["all", "faults"] == 3
    assert counts.loc["played"][counts.loc["played"] > 0].to_dict() == {
        "faults": 3,
        Ending.NAMED.value: 2,
        Ending.WRONG.value: 1,
    }


def test_a_fault_depends_on_seed_and_number_alone():
    def descriptions(seed, count):
        error = UserError("no")
        return [fault.description for fault in run([Played(*[error] * count)], count, seed)]

    assert descriptions(1, 5)[:3] == descriptions(1, 3)
    assert descriptions(1, 3) != descriptions(2, 3)


def test_a_kind_that_takes_long_comes_less_often():
    seldom, often = Played(*[Ending.NAMED] * 9), Played(*[Ending.REFUSED] * 9)
    seldom.every = 3
    endings = [fault.ending for fault in run([seldom, often], 6, 1)]
    assert endings == [Ending.NAMED, Ending.REFUSED, Ending.REFUSED, Ending.REFUSED, Ending.NAMED, Ending.REFUSED]


def test_what_is_said_is_heard():
    import logging
    import warnings

    with listening() as words:
        logging.getLogger("ser_lightning.somewhere").warning("logged")
        warnings.warn("warned", stacklevel=1)
        print("printed")
    assert words.lines == ["logged", "warned", "printed"]


@pytest.mark.parametrize("damage", dict.fromkeys(DAMAGES), ids=lambda damage: damage.__name__)
def test_a_damage_is_done_and_undone(tmp_path, damage):
    file = tmp_path / "file.txt"
    content = b"12345 abc" * 50
    file.write_bytes(content)
    with damaged(file, damage, random.Random(3)):
        assert not file.is_file() or file.read_bytes() != content
    assert file.read_bytes() == content


@pytest.mark.parametrize("kind", SCENES, ids=lambda kind: kind.name)
def test_a_slice_ends_well(kind, tmp_path):
    if lacking := lacking_for(kind):
        pytest.skip(f"for want of {lacking}")
    scene = kind(tmp_path)
    # Of commands in processes, which take seconds each, a few
    faults = run([scene], getattr(kind, "slice", 15), seed=1)
    assert [(fault.description, fault.ending.value, fault.words) for fault in faults if fault.ending.bad] == []
