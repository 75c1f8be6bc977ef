"""Sweeps of which a system call fails, or a file is damaged between two tries: the second comes to the same ledger."""

import errno
import random
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import pandas as pd

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.runs.attempt import ATTEMPT
from ser_lightning.runs.damage import find_damage
from ser_lightning.runs.ledger import BEST, LAST, METRICS, read_predictions, read_result
from ser_lightning.training.plan import plan_job
from tests.faults.campaign import Ending
from tests.faults.damage import DAMAGES
from tests.faults.processes import KILL, SHORT, Blow, Command, Outcome, Shell, can_strike, has_trace

# Two epochs and a half; few utterances, and a second of each, for speed
TINY = (
    *("corpus.utterances=100", "features.max_seconds=1", "batching.size=10", "trainer.max_steps=20", "seed=200"),
    *("trainer.check_every=4", "split.folds=[0]", "logger=csv", "trainer.workers=1", "study.name=faults"),
    # With the paper's figures a report takes twice as long
    "study.paper=null",
)
SWEEP = ("-m", "loss.lam=0,0.5")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ESTALE, errno.EACCES)
NAMES = {SHORT: "written in part", KILL: "killed", **{number: errno.errorcode[number] for number in ERRORS}}
CUT_OFF = (LAST, ATTEMPT, METRICS)


class Trainings:
    """A sweep of two jobs, on an output folder whose cache is shared; every fourth fault is a damaged file."""

    name = "system calls of a training"
    slice, every = 1, 12

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        plan_job(compose([*TINY, f"paths.output={folder / 'shared'}"]))
        self.cache = folder / "shared" / "cache"
        self.shell = Shell(folder / "process")
        output = self.make("undisturbed")
        ended = self.train(output, Blow(str(output)))
        assert ended.status == 0, ended
        self.ledger = read_ledger(output)
        self.calls = Counter(kind_of(call) for call in ended.struck.splitlines())

    @staticmethod
    def lacking() -> str | None:
        """What it needs and is not here."""
        return None if can_strike() else "a C compiler (cc) on Linux"

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        if draws.random() < 0.25:
            return self._damage(draws)
        output = self.make("struck")
        kind = draws.choice(sorted(self.calls))
        call, path = kind.split(" ", 1)
        number = draws.randrange(1, self.calls[kind] + 1)
        what = draws.choice([*errors_of(kind), SHORT if kind.startswith("write") else KILL, KILL])
        lasting = what not in (SHORT, KILL) and draws.random() < 0.3
        first = self.train(output, Blow(str(output), call, path, number, what, lasting))
        later = ", and all later calls" if lasting else ""
        missed = "" if first.struck else ", which was not come to"
        description = f"{kind}, {number} of {self.calls[kind]}: {NAMES[what]}{later}{missed}"
        ending, words = self._judge(output, first, killed=what == KILL)
        shutil.rmtree(output)
        return description, ending, words

    def make(self, name: str) -> Path:
        """An empty output folder with the shared cache."""
        output = self.folder / name
        output.mkdir()
        (output / "cache").symlink_to(self.cache)
        # The list of what is in it, which a training makes
        shutil.rmtree(self.cache / "contents", ignore_errors=True)
        return output

    def train(self, output: Path, blow: Blow | None = None, words: Sequence[str] = SWEEP) -> Outcome:
        """The sweep, or another command, on an output folder."""
        return self.shell.run(Command("train", [*words, *TINY, f"paths.output={output}"], blow=blow))

    def _judge(self, output: Path, first: Outcome, killed: bool = False) -> tuple[Ending, str]:
        """How a disturbed try ended, and the undisturbed one after it."""
        words = first.output + first.error
        if has_trace(words):
            return Ending.TRACEBACK, words
        if first.status == 0 and not (self._has_ledger(output) and page(output).is_file()):
            return Ending.LIED, words
        if first.status == 0:
            return Ending.NAMED if first.error else Ending.UNHARMED, words
        if not killed and not (first.status == 1 and "ser_lightning: " in first.error):
            return Ending.WRONG, f"status {first.status} and no error: {words}"
        second = self.train(output)
        again = f"{words}\nthe same command again, status {second.status}:\n{second.output}{second.error}"
        if has_trace(second.output + second.error):
            return Ending.TRACEBACK, again
        damages = [str(damage) for run in output.glob("runs/[!.]*") for damage in find_damage(run)]
        if second.status != 0 or not self._has_ledger(output) or damages or not page(output).is_file():
            return Ending.LOST, f"{again}\n{damages}"
        return (Ending.UNHARMED, again) if killed else (Ending.REFUSED, first.error)

    def _has_ledger(self, output: Path) -> bool:
        """Whether all runs are finished, with the undisturbed predictions bit for bit."""
        with suppress(UserError):
            return read_ledger(output).equals(self.ledger)
        return False

    @cached_property
    def cut_off(self) -> Path:
        """An output folder of a sweep that was killed at the end of its last run's training."""
        output = self.make("cut off")
        # It is written when the training is done, and before the result
        path = f"/runs/*/{BEST}.*.unfinished"
        self.train(output, Blow(str(output), "open", path, self.calls[f"open {path}"], KILL))
        assert list(output.glob(f"runs/*/{LAST}"))
        return output

    def _damage(self, draws: random.Random) -> tuple[str, Ending, str]:
        output = self.folder / "damaged"
        shutil.copytree(self.cut_off, output, symlinks=True)
        files = sorted(file for file in output.glob("runs/*/*") if file.name in CUT_OFF and file.is_file())
        file = draws.choice(files)
        description = f"{file.name} of a run that was cut off: {draws.choice(DAMAGES)(file, draws)}"
        first = self.train(output)
        if first.status != 0 and str(file) in first.output + first.error and not file.is_file():
            # What stands in its place was named
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
        ending, words = self._judge(output, first)
        shutil.rmtree(output)
        return description, ending, words


def kind_of(call: str) -> str:
    """A system call with a pattern of its file's path, whatever the run and process."""
    call = re.sub(r"(/figures|/tables)/[^/]*", r"\1/*", call)
    return re.sub(r"[0-9a-f]{8,}|(?<=\.)[^./]*-\d+(?=\.unfinished)|(?<=/)jobs/\d+", "*", call)


def errors_of(kind: str) -> list[int]:
    """What a system call can fail with; of a file that is only read, injector.c passes over a full disk."""
    if kind.startswith(("write", "fsync")):
        return [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE]
    if kind.startswith("unlink"):
        return [errno.EIO, errno.ESTALE, errno.EACCES]
    return [number for number in ERRORS if number != errno.EMFILE or kind.startswith("open")]


def page(output: Path) -> Path:
    """The sweep's report."""
    return output / "studies" / "faults" / "report.html"


def finished(output: Path) -> list[str]:
    """The runs that have a result."""
    return sorted(file.parent.name for file in output.glob("runs/*/result.json") if read_result(file.parent))


def read_ledger(output: Path) -> pd.DataFrame:
    """The predictions of all finished runs, in an order that does not depend on when they were trained."""
    names = finished(output)
    return read_predictions(output / "runs", names) if names else pd.DataFrame()
