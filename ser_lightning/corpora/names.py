"""Names of people, classes and whatever else a corpus describes in words: tidied, and doubtful ones named."""

import re
import unicodedata
from collections.abc import Collection, Iterable

import pandas as pd

from ser_lightning.errors import listing

# What programs write where nothing is known, casefolded
MISSING = {"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"}


def tidy(name: str) -> str:
    """The name without blanks around it, in the one form in which Unicode composes it (NFC).

    >>> tidy(" zoe\\u0308 ") == "zo\\u00eb"
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def tidied(names: pd.Series) -> pd.Series:
    """Every name tidied."""
    return names.map({name: tidy(name) for name in names.unique()})


def likeness(name: str) -> str:
    """Equal for names that differ by capitals, blanks, invisible characters, leading zeros or a final ".0" alone.

    >>> likeness(" Anna") == likeness("anna"), likeness("s03") == likeness("S3"), likeness("10.0") == likeness("10")
    (True, True, True)
    >>> likeness("anna") == likeness("anne"), likeness("30") == likeness("3")
    (False, False)
    """
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    folded = " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold()).split())
    return re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", folded))


def doubts(column: str, written: Iterable[str]) -> list[str]:
    """What may be meant otherwise in a column of names, as they are written, a sentence each.

    That are several spellings that are read as one name, and names so alike that they may be meant as one.
    """
    spellings: dict[str, set[str]] = {}
    for name in set(written):
        spellings.setdefault(tidy(name), set()).add(name)
    merged = sorted(f"'{name}'" for name, forms in spellings.items() if len(forms) > 1 and name)
    sentences = []
    if merged:
        sentences.append(
            f"{column} {listing(merged)}: spellings that differ in blanks around them or in Unicode's form alone are "
            "read as one"
        )
    if alike := near_equal(name for name in spellings if name):
        pairs = [" and ".join(f"'{name}'" for name in names) for names in alike]
        sentences.append(
            f"{column} {listing(pairs, '; ')}: taken for different ones, though they differ in capitals, blanks or "
            "leading zeros alone; spell them alike if they are one"
        )
    return sentences


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Groups of different names of the same likeness, sorted.

    >>> near_equal(["anna", "bob", "Anna", "3", "03"])
    [['03', '3'], ['Anna', 'anna']]
    """
    alike: dict[str, set[str]] = {}
    for name in names:
        alike.setdefault(likeness(name), set()).add(name)
    return sorted(sorted(group) for group in alike.values() if len(group) > 1)


def kept_words(columns: dict[str, Collection[str]]) -> list[str]:
    """A sentence on the words that often stand for nothing and are kept as names; none where there are none.

    Args:
        columns: name of a column -> its cells.
    """
    names = []
    for column, cells in columns.items():
        counts = pd.Series(list(cells), dtype=object).value_counts()
        names += [f"{column} '{name}' ({count})" for name, count in counts.items() if str(name).casefold() in MISSING]
    return [f"kept as names: {listing(names)}; leave a cell blank where nothing is known"] if names else []
