"""What a constructor's settings are, read from its file: types, ranges, meanings, defaults, what is inherited."""

import textwrap

import pytest

from ser_lightning.components.settings import read_signature
from ser_lightning.components.validation import validate
from ser_lightning.errors import UserError


@pytest.fixture
def signature(tmp_path):
    """Writes mine.py, and files beside it, and reads the constructor of its class Mine."""

    def read(code, **others):
        for name, content in {"mine": code, **others}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
        return read_signature("mine.Mine", tmp_path)

    return read


@pytest.fixture
def check(signature):
    """Checks values for the settings that `parameters`, written after the *, declare."""

    def checked(parameters, **values):
        read = signature(f"class Mine:\n    def __init__(self, *, {parameters}): ...\n")
        return validate(read.model("Mine"), values, "loss", "loss=mine").model_dump()

    return checked


def refusal(function, *words, **values):
    with pytest.raises(UserError) as error:
        function(*words, **values)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("parameters", "value", "result"),
    [
        ("a: int = 1", 3, 3),
        ("a: float = 1.0", 3, 3.0),
        ("a: 'float' = 1.0", 3, 3.0),
        ("a: bool = False", True, True),
        ("a: str = 'x'", "y", "y"),
        ("a: str = 'x'", 12, "12"),
        ("a: Literal['x', 'y'] = 'x'", "y", "y"),
        ("a: Optional[float] = 0.5", None, None),
        ("a: float | None = 0.5", None, None),
        ("a: Union[int, str] = 1", "x", "x"),
        ("a: list[int] = [1]", [2, 3], [2, 3]),
        ("a: Sequence[int] = [1]", [2, 3], [2, 3]),
        ("a: dict[str, float] = {}", {"x": 1.5}, {"x": 1.5}),
        ("a: Mapping[str, str] = {}", {"x": 7}, {"x": "7"}),
        ("a: tuple[int, int] = (1, 2)", [3, 4], (3, 4)),
        ("a: Path = 'x.csv'", "y.csv", "y.csv"),
        ("a: typing.Literal['x', 'y'] = 'x'", "y", "y"),
        ("a: pathlib.Path = 'x.csv'", "y.csv", "y.csv"),
        ("a: Any = None", {"x": [1]}, {"x": [1]}),
        ("a=1", 2, 2),
        ("a=1", 0.5, 0.5),
        ("a=1.5", 2, 2),
        ("a='x'", "y", "y"),
        ("a=True", False, False),
        ("a=None", "anything", "anything"),
        ("a=-1", -2, -2),
    ],
)
def test_a_value_of_its_type_is_taken(check, parameters, value, result):
    taken = check(parameters, a=value)["a"]
    assert (taken, type(taken)) == (result, type(result))


@pytest.mark.parametrize(
    ("parameters", "value", "message"),
    [
        ("a: int = 1", True, "loss.a=True: must be a whole number"),
        ("a: int = 1", 2.0, "loss.a=2.0: must be a whole number"),
        ("a: int = 1", "2", "loss.a=2: must be a whole number"),
        ("a: float = 1.0", True, "loss.a=True: must be a number"),
        ("a: float = 1.0", "o.5", "loss.a=o.5: must be a number"),
        ("a: float = 1.0", float("nan"), "loss.a=nan: must be finite"),
        ("a: float = 1.0", None, "loss.a=None: must be a number"),
        ("a: bool = True", 1, "loss.a=1: must be true or false"),
        ("a: list[int] = [1]", 3, "loss.a=3: must be a list, e.g. loss.a=[0]"),
        ("a: dict[str, float] = {}", 3, "loss.a=3: must be a mapping, e.g. loss.a={key: value}"),
        ("a: Literal['x', 'y', 'z'] = 'x'", "w", "loss.a=w: must be one of x, y, z"),
        ("a: Annotated[float, Field(gt=0)] = 1.0", 0, "loss.a=0: must be above 0"),
        ("a: Annotated[float, Field(ge=0, lt=1)] = 0.5", 1, "loss.a=1: must be below 1"),
        ("a: Annotated[int, Field(ge=2)] = 2", 1, "loss.a=1: must be at least 2"),
        ("a: Annotated[Optional[int], Field(le=9)] = None", 10, "loss.a=10: must be at most 9"),
        ("a: Annotated[float, Field(gt=0, description='how warm')] = 1.0", 0, "loss.a=0: must be above 0 (how warm)"),
        ("a=1", "x", "loss.a=x: must be a number"),
        ("a=1", True, "loss.a=True: must be a number"),
        ("a=True", 1, "loss.a=1: must be true or false"),
    ],
)
def test_another_is_refused_in_a_line(check, parameters, value, message):
    assert refusal(check, parameters, a=value) == message


def test_a_setting_without_default_is_required_and_hydras_sign_stands_for_it(signature, check):
    read = signature("class Mine:\n    def __init__(self, *, a: float, b: int = 2): ...")
    assert read.defaults == {"a": "???", "b": 2}
    assert refusal(check, "a: float, b: int = 2", a="???") == "loss.a is not set"
    assert refusal(check, "a: Annotated[float, Field(description='how warm')]") == "loss.a is not set: how warm"


def test_what_the_bench_passes_is_positional(signature):
    read = signature("class Mine:\n    def __init__(self, features, classes=4, *, a=1): ...")
    assert (read.bench, read.optional, read.place) == (("features", "classes"), {"classes"}, "mine.py:2")
    assert list(read.settings) == ["a"]


def test_paths_are_told_from_text(signature):
    read = signature("class Mine:\n    def __init__(self, *, a: Path, b: Optional[Path] = None, c: str = 'Path'): ...")
    assert read.paths == {"a", "b"}


def test_meanings_are_those_of_args_in_either_docstring_and_of_fields(signature):
    read = signature(
        '''
        class Mine:
            """What it is: a class.

            Args:
                tau: Temperature of
                    the similarities: low is sharp.
                width, depth: of the projection.

            Attributes:
                other: no setting.
            """

            def __init__(self, *, tau=0.1, width=1, depth=1, scale: Annotated[float, Field(description="size")] = 1.0):
                """Makes it.

                Args:
                    scale: overruled by nothing.
                """
        '''
    )
    assert {name: read.meanings.get(name) for name in read.settings} == {
        "tau": "Temperature of the similarities: low is sharp",
        "width": "of the projection",
        "depth": "of the projection",
        "scale": "size",
    }
    assert "other" not in read.meanings


def test_a_default_may_be_a_constant_of_the_file(signature):
    code = (
        "TAU = 1\nTAU = 0.07\nWIDE: int = 64\nclass Mine:\n    def __init__(self, *, tau: float = TAU, width=WIDE): ..."
    )
    code += "\nTAU = 2"
    assert signature(code).defaults == {"tau": 0.07, "width": 64}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "class Mine:\n    def __init__(self, *,\n        a=compute()): ...",
            "mine.py:3: the default compute() must be a plain value, such as 0.1 or 'mean'",
        ),
        (
            "class Mine:\n    def __init__(self, *, a: float = LATER): ...",
            "mine.py:2: the default LATER must be a plain value, such as 0.1 or 'mean'",
        ),
        (
            "class Mine:\n    def __init__(self, *, a: Tensor = None): ...",
            "mine.py:2: the type of a is not understood (name 'Tensor' is not defined); write it with Annotated,",
        ),
        (
            "class Mine:\n    def __init__(self, *, a: float = None): ...",
            "mine.py:2: the default of a is None; its type is then float | None",
        ),
        (
            "class Mine:\n    def __init__(self, *, a: __import__('os').system('true') = None): ...",
            "mine.py:2: the type of a is not understood",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(signature, code, message):
    assert refusal(signature, code).startswith(message)


def test_a_class_without_a_constructor_has_no_settings(signature):
    read = signature("class Mine:\n    pass")
    assert (read.bench, read.settings) == ((), {})


BASE = '''
class Base:
    """A base.

    Args:
        a: first.
    """

    def __init__(self, features, *, a: int = 1, b: float = 2.0): ...
'''


def test_a_constructor_is_inherited_from_a_base_in_the_file(signature):
    read = signature(BASE + "class Mine(Base):\n    pass")
    assert (read.bench, read.defaults, read.meanings["a"]) == (("features",), {"a": 1, "b": 2.0}, "first")


@pytest.mark.parametrize(
    ("line", "base"),
    [
        ("from base import Base", "Base"),
        ("from base import Base as Other", "Other"),
        ("import base", "base.Base"),
        ("import base as b", "b.Base"),
    ],
)
def test_a_constructor_is_inherited_from_an_imported_base(signature, line, base):
    read = signature(f"{line}\nclass Mine({base}):\n    pass", base=BASE)
    assert (read.bench, read.defaults) == (("features",), {"a": 1, "b": 2.0})


def test_a_constructor_is_inherited_through_relative_imports(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "base.py").write_text(BASE)
    (tmp_path / "parts" / "mine.py").write_text("from .base import Base\nclass Mine(Base):\n    pass")
    assert read_signature("parts.mine.Mine", tmp_path).defaults == {"a": 1, "b": 2.0}


def test_a_constructor_is_inherited_from_what_ships(signature):
    code = "from ser_lightning.losses.center import CenterLoss\nclass Mine(CenterLoss):\n    pass"
    assert signature(code).defaults == {"alpha": 0.5, "rule": "ema", "warm_up": 0}
    code = "from ser_lightning.losses import CenterLoss\nclass Mine(CenterLoss):\n    pass"
    assert signature(code).defaults == {"alpha": 0.5, "rule": "ema", "warm_up": 0}


def test_a_base_that_has_its_constructor_from_another_file_again(signature):
    read = signature(
        "from middle import Middle\nclass Mine(Middle):\n    pass",
        middle="from base import Base\nclass Middle(Base):\n    def __init__(self, features, *, c=3, **others): ...",
        base=BASE,
    )
    assert read.defaults == {"a": 1, "b": 2.0, "c": 3}


def test_settings_of_a_base_are_those_of_a_class_that_passes_them_on(signature):
    more = signature(BASE + "class Mine(Base):\n    def __init__(self, features, *, b: int = 5, c=3, **others): ...")
    assert more.defaults == {"a": 1, "b": 5, "c": 3}
    assert more.place == "mine.py:11"
    alone = signature(BASE + "class Mine(Base):\n    def __init__(self, features, *, c=3): ...")
    assert alone.defaults == {"c": 3}


def test_a_base_without_a_constructor_is_passed_over(signature):
    read = signature(BASE + "class Mixin:\n    pass\n\n\nclass Mine(Mixin, Base):\n    pass")
    assert (read.bench, read.defaults) == (("features",), {"a": 1, "b": 2.0})


def test_a_base_whose_file_cannot_be_read_gives_nothing(signature):
    read = signature("from torch import nn\nclass Mine(nn.Module):\n    def __init__(self, *, a=1, **others): ...")
    assert read.defaults == {"a": 1}


def test_an_edited_file_is_read_anew(signature):
    assert signature("class Mine:\n    def __init__(self, *, a=1): ...").defaults == {"a": 1}
    assert signature("class Mine:\n    def __init__(self, *, a=2): ...").defaults == {"a": 2}
