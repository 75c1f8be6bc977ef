"""Values checked by pydantic, and what it finds wrong in one line that says what, where and how to mend it."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ser_lightning.errors import UserError

# True is no number and 2.0 no whole one; what is not known, or not a number, is refused.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=False)

# Words that may look like a number on the command line
Text = Annotated[str, Field(strict=False, coerce_numbers_to_str=True)]

Model = TypeVar("Model", bound=BaseModel)

KINDS = {
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list, e.g. {path}=[0]",
    "dict_type": "must be a mapping, e.g. {path}={{key: value}}",
    "finite_number": "must be finite",
    "greater_than_equal": "must be at least {ge:.10g}",
    "greater_than": "must be above {gt:.10g}",
    "less_than_equal": "must be at most {le:.10g}",
    "less_than": "must be below {lt:.10g}",
}


def validate(
    model: type[Model], values: Mapping[str, Any], group: str = "", chosen: str = "", known: Sequence[str] = ()
) -> Model:
    """The values as a `model`; those that are "???" are missing.

    For messages, `group` is what stands before the keys, `chosen` the choice in that group, and `known` further keys
    that an unknown one may mean. Raises `UserError` for the first key that is unknown, missing, of the wrong type or
    out of range.
    """
    present = {name: value for name, value in values.items() if not _missing(value)}
    try:
        return model.model_validate(present)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(_explain(model, first, f"{group}." if group else "", chosen, known)) from error


def _missing(value: Any) -> bool:
    return isinstance(value, str) and value == "???"


def _explain(model: type[BaseModel], error: Mapping[str, Any], prefix: str, chosen: str, known: Sequence[str]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx") or {}
    keys, inner = _walk(model, error["loc"])
    path = prefix + ".".join(keys)
    field = inner.model_fields.get(keys[-1])
    meaning = (field.description or "") if field else ""
    if kind == "missing" or _missing(value):
        return f"{path} is not set" + (f": {meaning}" if meaning else "")
    if kind == "extra_forbidden":
        above = path.removesuffix(keys[-1])
        beside = known if len(keys) == 1 else ()
        return unknown_key(path, chosen, [above + name for name in (*inner.model_fields, *beside)])
    if kind == "too_short" and not value:
        return f"{path} is empty: name at least one" + (f" ({meaning})" if meaning else "")
    if kind == "string_too_short":
        return f"{path} is empty: give it a name"
    if kind == "literal_error":
        reason = f"must be one of {context['expected'].replace(' or ', ', ').replace(chr(39), '')}"
    else:
        reason = KINDS.get(kind, error["msg"]).format(path=path, **context)
    return f"{path}={value}: {reason}" + (f" ({meaning})" if meaning else "")


def _walk(model: type[BaseModel], location: Sequence[Any]) -> tuple[list[str], type[BaseModel]]:
    """The keys that lead to a place, and the model that the last of them is of; places in a list name no key."""
    keys = [str(location[0])]
    for step in location[1:]:
        field = model.model_fields.get(keys[-1])
        nested = field.annotation if field else None
        if any(get_origin(kind) is dict for kind in (nested, *get_args(nested))):
            return [*keys, str(step)], model
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            break
        model = nested
        keys.append(str(step))
    return keys, model


def unknown_key(path: str, chosen: str, known: Sequence[str]) -> str:
    """That a key is none, with the one that was probably meant.

    >>> unknown_key("loss.alhpa", "loss=center", ["loss.alpha", "loss.lam"])
    'loss.alhpa is not a setting of loss=center; did you mean loss.alpha?'
    """
    close = difflib.get_close_matches(path, sorted(known), n=1, cutoff=0.6)
    return (
        f"{path} is not a setting"
        + (f" of {chosen}" if chosen else "")
        + (f"; did you mean {close[0]}?" if close else "")
    )
