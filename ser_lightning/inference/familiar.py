"""Which recordings the networks of a study know: by the content of their samples, whatever the file is called."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path

from ser_lightning.runs.ledger import FEATURES, RunResult, damaged, read_sealed

TABLE = "sound.parquet"


@dataclass(frozen=True)
class Familiar:
    """The recordings of a corpus, and which networks were trained on them.

    Attributes:
        trained: content of a recording -> the numbers of the networks in whose train or dev part it was: dev chose
            their parameters.
        networks: how many there are.
        reason: why nothing is known of the recordings; '' where they are.
    """

    trained: Mapping[str, Collection[int]]
    networks: int
    reason: str = ""

    def strangers(self, content: str) -> list[int] | None:
        """Which networks were never trained on a recording; None where it is not of the corpus: then all."""
        if content not in self.trained:
            return None
        return [number for number in range(self.networks) if number not in self.trained[content]]


def read_familiar(runs: Path, results: Sequence[RunResult], cache: Path) -> Familiar:
    """What the runs of a study know, by what `cache` has measured of their corpora.

    Raises `UserError` where a run's table of utterances is damaged.
    """
    tables = remember(_contents)  # the runs of a study are of one
    trained: dict[str, set[int]] = {}
    for number, result in enumerate(results):
        try:
            parts = dict(_columns(read_sealed(runs / result.signature, FEATURES), "id", "part"))
        except (OSError, ValueError) as error:
            raise damaged(runs / result.signature, FEATURES, error) from error
        own = cache / "sound" / result.sound / TABLE
        # What was measured anew has another name, and an earlier version did not say
        files = [own] if result.sound and own.exists() else cache.glob(f"sound/{result.corpus}-*/{TABLE}")
        fitting = [table for table in map(tables, sorted(files)) if parts.keys() <= table.keys()]
        if not fitting:
            reason = f"{cache / 'sound'} has no table of {result.corpus} with the recordings of run {result.signature}"
            return Familiar({}, len(results), reason)
        for table in fitting:
            for name, content in table.items():
                numbers = trained.setdefault(content, set())
                if parts.get(name, "test") != "test":
                    numbers.add(number)
    return Familiar(trained, len(results))


def _contents(file: Path) -> dict[str, str]:
    """Utterance -> content of its recording."""
    return dict(_columns(file.read_bytes(), "id", "content"))


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
