"""Which recordings the networks of a study know: by the content of their samples, whatever the file is called."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ser_lightning.runs.ledger import FEATURES, RunResult, damaged, read_sealed

TABLE = "sound.parquet"


@dataclass(frozen=True)
class Familiar:
    """The recordings of a corpus, and which network was trained on which.

    Attributes:
        ids: content of a recording -> the utterances that it is.
        trained: for each network the utterances of its train and dev parts: dev chose its parameters.
        reason: why nothing is known of the recordings; '' where they are.
    """

    ids: dict[str, list[str]]
    trained: list[set[str]] = field(default_factory=list)
    reason: str = ""

    def strangers(self, content: str) -> list[int] | None:
        """Which networks were never trained on a recording; None where it is not of the corpus: then all."""
        if content not in self.ids:
            return None
        own = self.ids[content]
        return [number for number, ids in enumerate(self.trained) if ids.isdisjoint(own)]


def read_familiar(runs: Path, results: Sequence[RunResult], cache: Path) -> Familiar:
    """What the runs of a study know, by what `cache` has measured of their corpora.

    Raises `UserError` where a run's table of utterances is damaged.
    """
    corpora = {result.corpus for result in results}
    tables = [file for corpus in sorted(corpora) for file in sorted(cache.glob(f"sound/{corpus}-*/{TABLE}"))]
    if not tables:
        names = ", ".join(sorted(corpora))
        return Familiar({}, reason=f"{cache / 'sound'} has no table of the recordings of {names}")
    ids: dict[str, list[str]] = {}
    for file in tables:
        for name, content in _columns(file.read_bytes(), "id", "content"):
            ids.setdefault(content, []).append(name)
    trained = []
    for result in results:
        try:
            rows = _columns(read_sealed(runs / result.signature, FEATURES), "id", "part")
        except (OSError, ValueError) as error:
            raise damaged(runs / result.signature, FEATURES, error) from error
        trained.append({name for name, part in rows if part != "test"})
    return Familiar(ids, trained)


def _columns(content: bytes, *names: str) -> list[tuple[str, str]]:
    """Two columns of a parquet file. Raises `ValueError` where it is none."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(pa.BufferReader(content)).read(columns=list(names))
        first, second = (table[name].to_pylist() for name in names)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error
    return list(zip(first, second, strict=True))
