"""Which key of nested ones is wrong, and which was meant."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from ser_lightning.components.validation import STRICT, Text, validate
from ser_lightning.errors import UserError


class Columns(BaseModel):
    model_config = STRICT
    path: Annotated[Text, Field(description="where it lies")] = "path"
    label: Text = "label"


class Corpus(BaseModel):
    model_config = STRICT
    columns: Columns
    counts: dict[str, int] = {}
    folds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]


def check(**values):
    return validate(Corpus, values, "corpus", "corpus=mine", known=["root"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"columns": {"labels": "x"}},
            "corpus.columns.labels is not a setting of corpus=mine; did you mean corpus.columns.label?",
        ),
        (
            {"columns": {}, "colunms": {}},
            "corpus.colunms is not a setting of corpus=mine; did you mean corpus.columns?",
        ),
        ({"columns": {"path": [1]}}, "corpus.columns.path=[1]: must be text (where it lies)"),
        ({}, "corpus.columns is not set"),
        ({"columns": {}, "counts": {"a": 2.0}}, "corpus.counts.a=2.0: must be a whole number"),
        ({"columns": {}, "folds": []}, "corpus.folds is empty: name at least one"),
        ({"columns": {}, "folds": [0, -1]}, "corpus.folds=-1: must be at least 0"),
    ],
)
def test_the_place_is_named_in_full(values, message):
    with pytest.raises(UserError) as error:
        check(**values)
    assert str(error.value) == message


def test_keys_that_others_check_may_have_been_meant():
    with pytest.raises(UserError, match=r"corpus\.rot is not a setting of corpus=mine; did you mean corpus\.root\?"):
        check(columns={}, rot="x")


def test_numbers_that_are_names_become_text():
    assert check(columns={"path": 1, "label": 2.5}).columns == Columns(path="1", label="2.5")
