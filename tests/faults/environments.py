"""Commands in odd surroundings: environment variables, streams, limits, folders; the exit status must be true."""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ser_lightning.config import compose
from ser_lightning.training.plan import plan_job
from tests.faults.campaign import LINES, Ending
from tests.faults.processes import Command, Outcome, Shell, has_trace
from tests.faults.trainings import TINY, page, read_ledger

DATA = TINY[:2]
ASKED = {
    "status": (),
    "status of a study": ("faults",),
    "report": ("faults",),
    "doctor": DATA,
    "train --cfg job": ("--cfg", "job"),
    "train": TINY,
    "train with W&B": tuple("logger=wandb" if word == "logger=csv" else word for word in TINY),
}


@dataclass(frozen=True)
class Oddity:
    """What is odd.

    Attributes:
        name: in words.
        environment, streams, limits, gone: as of a `Command`.
        hinders: whether a command may be refused for it.
        loses: whether what is printed is lost, so that none may end with 0.
        fresh: whether Python itself has to begin with it, not only the command.
        away: whether the output folder is another than where the study lies.
    """

    name: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    gone: bool = False
    hinders: bool = False
    loses: bool = False
    fresh: bool = False
    away: bool = False


class Environments:
    """A finished run on an output folder, and commands on it, or on an empty one, in surroundings of all kinds."""

    name = "environments and endings"
    slice, every = 2, 6

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / "home" / "whole"
        self.output.mkdir(parents=True)
        plan_job(compose([*TINY, f"paths.output={self.output}"]))
        self.shell = Shell(folder / "process")
        ended = self.shell.run(Command("train", TINY, {"SER_OUTPUT": str(self.output)}))
        assert ended.status == 0, ended
        self.ledger = read_ledger(self.output)
        (folder / "file").write_text("a file")
        (folder / "loop").symlink_to(folder / "loop")
        self.oddities = self._oddities()

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        oddity, asked = draws.choice(self.oddities), draws.choice(list(ASKED))
        output = self.output
        if asked.startswith("train"):
            output = self.folder / "home" / "begun"
            output.mkdir()
            (output / "cache").symlink_to(self.output / "cache")
        elif asked == "report":
            page(output).unlink(missing_ok=True)
        environment = {"SER_OUTPUT": str(output), "HOME": str(self.folder / "home"), **oddity.environment}
        if environment["SER_OUTPUT"] == "~":
            environment["SER_OUTPUT"] = f"~/{output.name}"
        command = Command(
            asked.partition(" ")[0], ASKED[asked], environment, oddity.streams, oddity.limits, oddity.gone
        )
        outcome = self.shell.run(command, oddity.fresh)
        ending, words = self._judge(oddity, asked, outcome, output)
        shutil.rmtree(self.folder / "home" / "begun", ignore_errors=True)
        return f"{asked}, {oddity.name}", ending, words

    def _judge(self, oddity: Oddity, asked: str, outcome: Outcome, output: Path) -> tuple[Ending, str]:
        words = f"status {outcome.status}\n{outcome.output}{outcome.error}"
        if has_trace(words) or outcome.status not in (0, 1, 2):
            return Ending.TRACEBACK, words
        # W&B says things of its own
        errors = [line for line in outcome.error.splitlines() if not line.startswith("wandb: ")]
        if outcome.status == 0:
            if oddity.loses or not self._is_done(oddity, asked, outcome, output):
                return Ending.LIED, words
            return Ending.NAMED if errors else Ending.UNHARMED, words
        if len(errors) > LINES:
            return Ending.TRACEBACK, words
        told = errors or "2" in oddity.streams
        if not told or not (oddity.hinders or oddity.loses or (oddity.away and asked != "train --cfg job")):
            return Ending.WRONG, f"refused without need or word: {words}"
        return Ending.REFUSED, words

    def _is_done(self, oddity: Oddity, asked: str, outcome: Outcome, output: Path) -> bool:
        """Whether what was asked has been done."""
        printed = "1" not in oddity.streams
        done: dict[str, Callable[[], bool]] = {
            "status": lambda: not printed or "faults: 1 runs: 1 done" in outcome.output,
            "status of a study": lambda: not printed or "faults: 1 runs: 1 done" in outcome.output,
            "report": lambda: page(output).is_file(),
            "doctor": lambda: bool(list(output.glob("splits/*.csv"))),
            "train --cfg job": lambda: not printed or "\nloss:\n" in outcome.output,
        }
        if asked == "train --cfg job":
            return done[asked]()
        return not oddity.away and done.get(asked, lambda: read_ledger(output).equals(self.ledger))()

    def _oddities(self) -> list[Oddity]:
        def at(name: str, place: object) -> Oddity:
            return Oddity(name, {"SER_OUTPUT": str(place)}, hinders=True, away=True)

        def variable(name: str, value: str | None, fresh: bool = False) -> Oddity:
            described = f"{name} not set" if value is None else f"{name}={value[:40]}"
            return Oddity(described, {name: value}, fresh=fresh)

        return [
            at("output is a file", self.folder / "file"),
            at("output is below a file", self.folder / "file" / "below"),
            at("output cannot be made", "/proc/self/outputs"),
            at("output is where nobody may write", "/sys/kernel"),
            at("output is a link to itself", self.folder / "loop"),
            at("output is below a link to itself", self.folder / "loop" / "below"),
            at("output's name is too long", self.folder / ("x" * 300)),
            at("output's path is too long", "/".join([str(self.folder), *["x" * 200] * 25])),
            at("output is an unknown user's", "~nobody-has-this-name/outputs"),
            Oddity("output is in the home folder", {"SER_OUTPUT": "~"}),
            variable("PYTHONIOENCODING", "ascii"),
            variable("PYTHONIOENCODING", "latin-1:strict"),
            Oddity("LANG=C", {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, fresh=True),
            *(variable("WANDB_MODE", value) for value in ("", "nonsense", "disabled", "offline")),
            *(variable("WANDB_BASE_URL", value) for value in ("", "nonsense", "http://127.0.0.1:9")),
            *(variable("WANDB_API_KEY", value) for value in ("", "wrong", "x" * 40)),
            variable("HOME", None, fresh=True),
            *(variable("HOME", value, fresh=True) for value in ("/proc/none", str(self.folder / "file"), "")),
            variable("TMPDIR", "/nowhere"),
            *(variable("COLUMNS", value) for value in ("1", "0", "-3", "wide", "99999")),
            *(variable("TERM", value) for value in ("", "dumb", "nonsense")),
            variable("TZ", "nonsense"),
            variable("OMP_NUM_THREADS", "many"),
            variable("MPLBACKEND", "TkAgg"),
            variable("HYDRA_FULL_ERROR", "0"),
            Oddity("stdout closed", streams={"1": "closed"}, loses=True),
            Oddity("stderr closed", streams={"2": "closed"}),
            Oddity("both closed", streams={"1": "closed", "2": "closed"}, loses=True),
            Oddity("nobody reads stdout", streams={"1": "unread"}),
            Oddity("nobody reads either", streams={"1": "unread", "2": "unread"}),
            Oddity("stdout is full", streams={"1": "/dev/full"}, loses=True),
            Oddity("stderr is full", streams={"2": "/dev/full"}),
            *(Oddity(f"{count} files", limits={"RLIMIT_NOFILE": count}, hinders=True) for count in (6, 10, 16, 24)),
            *(
                Oddity(f"files of {size} bytes", limits={"RLIMIT_FSIZE": size}, hinders=True)
                for size in (10_000, 100_000, 1_000_000)
            ),
            Oddity("the working folder is gone", gone=True, hinders=True),
        ]
