"""Names by content: what is equal gets the same name on every machine."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def digest(content: Any) -> str:
    """Twelve hexadecimal digits that name `content`, any nesting of plain types; equal content, equal name."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest_rows(rows: Iterable[tuple[Any, ...]]) -> str:
    """The digest of a table given as rows of plain types, in their order."""
    return digest([list(row) for row in rows])
