"""Odd command lines: what is typed is what is configured, or is refused in a line or two that name what is odd."""

import contextlib
import io
import random
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra import compose as hydra_compose
from hydra import initialize
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from ser_lightning import command, status
from ser_lightning.components.groups import register
from ser_lightning.config import choices, compose, known_keys
from ser_lightning.invocation import end_clearly
from ser_lightning.report import __main__ as report
from ser_lightning.report.sweep import SweepReport
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import read_jobs, study_folder
from tests.faults.campaign import LINES, Ending, described
from tests.faults.processes import Command, Shell, has_trace

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# As wide as a terminal may be, so often as a message may have lines
LONGEST = 1200
ALWAYS_WRONG = (
    "x",
    "''",
    "{a: 1}",
    "[a]",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "[",
    "}",
    "\u0661",
    "\u00bd",
    "0.1.2",
    "0x10",
)
# What each key takes, as typed and as meant, and what it does not
VALUES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "loss.lam": ({"0": 0.0, "0.25": 0.25, "1e-3": 1e-3, "+7": 7.0}, ("-1", "null", "true", "", "-0.1")),
    "loss.alpha": ({"1": 1.0, "0.5": 0.5}, ("1.5", "-0.1", "null", "false", "")),
    "optimizer.learning_rate": ({"1e-4": 1e-4}, ("0", "-1e-4", "null")),
    "features.max_seconds": ({"2": 2.0, "1.5": 1.5}, ("0.5", "0", "null")),
    "corpus.max_bad_share": ({"0": 0.0, "1": 1.0}, ("1.1", "-0.1", "50%", "null")),
    "trainer.epochs": ({"1.5": 1.5}, ("0", "-1", "null")),
    "trainer.max_steps": ({"10": 10, "null": None}, ("0", "1.5", "1e3", "true", "10.0")),
    "seed": ({"0": 0, "1_000": 1000}, ("-1", "1.0", "007", "1e3", "null", "true", "99999999999999999999999")),
    "batching.size": ({"8": 8}, ("0", "8.0", "null", "")),
    "split.folds": (
        {"[0]": [0], "[1,2]": [1, 2], "null": None},
        ("0", "[0,0]", "[]", "[-1]", "[0.5]", "[null]", "[[0]]"),
    ),
    "split.repeats": ({"[0,1]": [0, 1]}, ("null", "[]", "1", "[1,1]", "[true]")),
    "rerun": ({"true": True, "False": False}, ("1", "yes", "null", "'true'", "on")),
    "model.tied": ({"true": True}, ("0", "null", "no")),
    "loss.rule": ({"wen": "wen", "'ema'": "ema"}, ("EMA", "' ema'", "null", "emma", "[ema]")),
    "trainer.precision": ({"32": "32", "bf16": "bf16"}, ("16", "32.0", "null", "fp32")),
}
TEXTS = (
    *("a b", "a,b", "a=b", "[x]", "{x}", "it's", 'say "x"', "a: b", "\u00fc\u00df", "\u65e5\u672c", "a\\b", "#x", "%s"),
    *(
        "null",
        "true",
        "1",
        "1e5",
        "$HOME",
        "$(id)",
        "~",
        "@",
        "+",
        "a\\",
        "\\'",
        "-m",
        "--cfg",
        "[/b]",
        ":smile:",
        "''",
    ),
    *("\x1b[2J", "a\nb", "\t", "\u202e", "\u200b", "\x07", "x" * 10_000),
)
FREE = ("logger.project", "logger.entity", "corpus.training.note")


@dataclass(frozen=True)
class Line:
    """A command line.

    Attributes:
        words: behind the command.
        meant: of each job the keys that are set and their values; None: it means nothing.
        either: whether it may be refused as well.
        subjects: of these a refusal has to name one.
        proposals: of these too, if there are any.
        name: the command.
        whole: whether it has to be a process of its own.
    """

    words: list[str]
    meant: list[dict[str, Any]] | None = None
    either: bool = False
    subjects: tuple[str, ...] = ()
    proposals: frozenset[str] = field(default_factory=frozenset)
    name: str = "train"
    whole: bool = False


class CommandLines:
    """Commands on an empty output folder that compose and check, and stop there; a few in processes of their own."""

    name = "command lines"
    slice = 14

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.output = folder, folder / "output"
        (folder / "file").write_text("a file")
        (folder / "loop").symlink_to("loop")
        register()
        self.known = known_keys()
        default = flat(compose([f"paths.output={self.output}"]).described)
        self.keys = sorted(key for key in default if key in self.known)
        self.groups = sorted(group for group in choices() if not group.startswith("hydra"))
        self.shell: Shell | None = None

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        line = draws.choice(KINDS)(self, draws)
        description = f"{line.name} {' '.join(ascii(word) for word in line.words)}"
        shown = description if len(description) < 300 else f"{description[:200]}... ({len(description)})"
        try:
            with described(shown):
                ending, words = self._whole(line) if line.whole else self._judge(line)
            return shown, ending, words
        finally:
            shutil.rmtree(self.output, ignore_errors=True)

    def _judge(self, line: Line) -> tuple[Ending, str]:
        jobs, ended, words = self._do(line)
        if ended:
            return self._refused(line, ended, words)
        if line.meant is None:
            return (Ending.UNHARMED if line.either else Ending.WRONG), f"taken, as {jobs and jobs[0]}"[:500]
        for meant, job in zip(line.meant, jobs, strict=True):
            if other := {key: job.get(key) for key in meant if not _equal(job.get(key), meant[key])}:
                return Ending.WRONG, f"taken, but for {other}"
        return Ending.UNHARMED, words

    def _refused(self, line: Line, ended: int, words: str) -> tuple[Ending, str]:
        if has_trace(words):
            return Ending.TRACEBACK, words
        if ended not in (1, 2):
            return Ending.LIED, f"status {ended}: {words}"
        lines = words.splitlines()
        if (
            len(lines) > LINES
            or len(words) > LONGEST
            or re.search(r"[^\n -\x7e\xa0-\uffff\U00010000-\U0010ffff]", words)
        ):
            return Ending.TRACEBACK, f"{len(lines)} lines, {len(words)} characters: {words[:300]!r}"
        # Before values are looked at Hydra has made the folder of a job, with its log
        logs = ("jobs", "doctor")
        written = [str(file) for file in self.output.rglob("*") if file.is_file() and not {*logs} & {*file.parts}]
        if written:
            return Ending.WRONG, f"refused, and wrote {written}"
        if line.meant is not None and not line.either:
            return Ending.WRONG, f"refused without need: {words}"
        for needed in (line.subjects, line.proposals):
            if needed and not any(one in words for one in needed):
                return Ending.WRONG, f"none of {[one[:80] for one in needed]} is named: {words}"
        return Ending.REFUSED, words

    def _do(self, line: Line) -> tuple[list[dict[str, Any]], int, str]:
        """What a command line came to in this process: the jobs' settings, the exit status, what was printed."""
        jobs: list[dict[str, Any]] = []
        words = [*line.words]
        if line.name in ("train", "doctor"):
            words += [f"paths.output={self.output}"] * ("paths.output" not in "".join(words))
        errors, printed, ended = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [line.name, *words])
            patch.setattr(hydra, "main", composing(jobs))
            patch.setattr(command, "register", lambda swept=None: None)
            patch.setenv("SER_OUTPUT", str(self.output))
            for name in ("HYDRA_FULL_ERROR", "PYTHONSAFEPATH"):
                patch.setenv(name, "")
                patch.delenv(name)
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(printed):
                try:
                    if line.name == "status":
                        end_clearly(lambda: status.main(words))
                    elif line.name == "report":
                        end_clearly(lambda: report.main(words))
                    else:
                        command.run_command(lambda config: jobs.append(flat(config.described)), line.name)
                except SystemExit as end:
                    ended = end.code if isinstance(end.code, int) else 1
        return jobs, ended, errors.getvalue()

    def _whole(self, line: Line) -> tuple[Ending, str]:
        """The same of a process of its own, which may begin what it is asked for."""
        self.shell = self.shell or Shell(self.folder / "process")
        outcome = self.shell.run(Command(line.name, line.words, {"SER_OUTPUT": str(self.output)}))
        words = outcome.output + outcome.error
        if has_trace(words):
            return Ending.TRACEBACK, words
        if outcome.status == 0:
            return (Ending.UNHARMED if line.meant is not None or line.either else Ending.LIED), outcome.output[:300]
        return self._refused(line, outcome.status, outcome.error)


def composing(jobs: list[dict[str, Any]]) -> Callable[..., Any]:
    """In the place of `hydra.main`: all that it does before it makes a folder or calls a launcher."""

    def main(version_base: str, config_path: None, config_name: str) -> Callable[..., Any]:
        def decorate(job: Callable[[Any], Any]) -> Callable[[], None]:
            def begin() -> None:
                options = get_args_parser().parse_args(sys.argv[1:])
                with initialize(config_path=None, version_base=version_base):
                    if options.multirun:
                        jobs.extend(sweep(config_name, options.overrides))
                    else:
                        composed = hydra_compose(config_name, options.overrides, return_hydra_config=True)
                        HydraConfig.instance().set_config(composed)
                        with open_dict(composed):
                            del composed["hydra"]
                        job(composed)

            return begin

        return decorate

    return main


def sweep(config_name: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """The settings of a sweep's jobs, by what is noted of them before the first is launched."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
    composed = hydra_compose(config_name, fixed)
    sweeper = {"sweeper": {"_target_": "hydra._internal.BasicSweeper"}, "job": {"config_name": config_name}}
    OmegaConf.set_struct(composed, False)
    composed.hydra = {**sweeper, "overrides": {"task": list(overrides)}}
    SweepReport().on_multirun_start(composed)
    study = study_folder(composed.paths.output, composed.study.name)
    return [flat(job.settings) for job in read_jobs(study)]


Kind = Callable[[CommandLines, random.Random], Line]


def misspelt(word: str, draws: random.Random) -> str:
    """A word with one letter other, more or less."""
    place, letter = draws.randrange(1, len(word)), draws.choice(LETTERS)
    kind = draws.choice(["other", "more", "less"])
    wrong = word[:place] + (letter if kind != "less" else "") + word[place + (kind != "more") :]
    return wrong if wrong != word else misspelt(word, draws)


def misspelt_key(scene: CommandLines, draws: random.Random) -> Line:
    key = draws.choice(scene.keys)
    wrong = misspelt(key, draws)
    if wrong in scene.known or wrong.partition(".")[0] == "hydra":
        return misspelt_key(scene, draws)
    group = wrong.partition(".")[0]
    proposals = {one for one in scene.known if _is_near(one, wrong)}
    proposals |= {one for one in scene.groups if _is_near(one, group)}
    # Of what is added only the keys beside it are known
    sign = draws.choice(["", "", "", "+", "++"] if wrong.count(".") == key.count(".") else [""])
    typed = f"{sign}{wrong}={draws.choice(['0', 'x', 'null', '[0]'])}"
    # Where an inner part is misspelt, the key is named up to there
    parts = wrong.split(".")
    inner = [".".join(parts[:end]) + " is not" for end in range(1, len(parts))]
    return Line([typed], None, False, (wrong, *inner), frozenset(proposals))


def misspelt_choice(scene: CommandLines, draws: random.Random) -> Line:
    group = draws.choice(scene.groups)
    name = draws.choice(choices()[group])
    wrong = misspelt(name, draws)
    if wrong in choices()[group]:
        return misspelt_choice(scene, draws)
    return Line([f"{group}={wrong}"], None, False, (f"{group}={wrong}",), frozenset([name]))


def misspelt_group(scene: CommandLines, draws: random.Random) -> Line:
    group = draws.choice(scene.groups)
    wrong = misspelt(group, draws)
    if wrong in (*scene.groups, "hydra"):
        return misspelt_group(scene, draws)
    return Line([f"{wrong}={draws.choice(choices()[group])}"], None, False, (wrong,), frozenset([group]))


def choice_of_nothing(scene: CommandLines, draws: random.Random) -> Line:
    group = draws.choice(["corpus", "loss", "model", "features", "split"])
    name = draws.choice(choices()[group])
    value = draws.choice(
        [
            "",
            "null",
            "[]",
            "''",
            "{}",
            f"[{name}]",
            f"../{name}",
            f"/{name}",
            f"{name}.yaml",
            f"{name}/",
            "true",
            "x" * 5000,
        ]
    )
    meant = [{f"{group}.name": name}] if name in value and ".." not in value else None
    return Line([f"{group}={value}"], meant, meant is not None, (group, name))


def value(scene: CommandLines, draws: random.Random) -> Line:
    key = draws.choice(list(VALUES))
    right, wrong = VALUES[key]
    if draws.random() < 0.3:
        typed = draws.choice(list(right))
        return Line([f"{key}={typed}"], [{key: right[typed]}])
    return Line([f"{key}={draws.choice([*wrong, *ALWAYS_WRONG, 'x' * 5000])}"], None, False, (key,))


def text(scene: CommandLines, draws: random.Random) -> Line:
    key, meant = draws.choice(FREE), draws.choice(TEXTS)
    quoted = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", meant)
    trailing = len(quoted) - len(quoted.rstrip("\\"))
    return Line([f"{key}='{quoted}{chr(92) * trailing}'"], [{key: meant}], not meant.isprintable(), (key,))


def bare_text(scene: CommandLines, draws: random.Random) -> Line:
    key, typed = draws.choice(FREE), draws.choice([one for one in TEXTS if one not in ("null", "1e5", "''")])
    # Blanks around a value that is not quoted are none of it
    return Line([f"{key}={typed}"], [{key: typed.strip()}], True, (key,))


def interpolation(scene: CommandLines, draws: random.Random) -> Line:
    key = draws.choice(["loss.alpha", "logger.project", "study.name", "corpus.root"])
    number = {"loss.alpha": 0.3}.get(key, "0.3")
    known = {"${loss.lam}": number, "${nope}": None, "${": None, "${oc.env:NOPE_NOT_SET}": None, "${.}": None}
    cycles = {f"${{{key}}}": None, "${loss}": None, "${nope:1}": None, "${oc.env}": None, "${" * 300: None, "${}": None}
    typed, meant = draws.choice(list({**known, **cycles}.items()))
    return Line([f"{key}={typed}"], None if meant is None else [{key: meant}], False, (key,))


def repeated(scene: CommandLines, draws: random.Random) -> Line:
    key = draws.choice([key for key in VALUES if len(VALUES[key][0]) > 1])
    first, last = draws.sample(list(VALUES[key][0]), 2)
    return Line([f"{key}={first}", f"{key}={last}"], [{key: VALUES[key][0][last]}], True, (key,))


def repeated_choice(scene: CommandLines, draws: random.Random) -> Line:
    group = draws.choice(["corpus", "loss", "features"])
    first, last = draws.choices(choices()[group], k=2)
    # Said twice it is the same
    meant = [{f"{group}.name": first}] if first == last else None
    return Line([f"{group}={first}", f"{group}={last}"], meant, True, (group, "corpus.root", "corpus.table"))


def swept(scene: CommandLines, draws: random.Random) -> Line:
    """A sweep, also with one value twice, which is one job."""
    key = draws.choice(["loss.lam", "seed", "split.folds", "split.repeats", "loss.rule"])
    right, _ = VALUES[key]
    typed = draws.choices(list(right), k=draws.choice([1, 2, 2, 3]))
    if len({str(right[one]) for one in typed}) < 2 or draws.random() < 0.3:
        # A single value is no sweep
        return Line(["-m", f"{key}={','.join(typed)}"], None, True, (key,))
    meant = [{key: right[one]} for one in dict.fromkeys(typed)]
    if key in ("seed", "split.folds", "split.repeats"):
        return Line(["-m", f"{key}={','.join(typed)}"], None, True, (key,))
    return Line([f"{key}={','.join(typed)}", draws.choice(["-m", "--multirun"])], meant)


def bad_sweep(scene: CommandLines, draws: random.Random) -> Line:
    key = draws.choice(["loss.lam", "seed", "split.folds", "loss.alpha"])
    right, wrong = VALUES[key]
    good, bad = draws.choice(list(right)), draws.choice([one for one in wrong if one not in ("", "null")])
    if draws.random() < 0.4:
        return Line([f"{key}={good},{draws.choice(list(right))}"], None, False, (key,))
    return Line(
        ["-m", f"{key}={draws.choice([f'{good},{bad}', f'{bad},{good}', f'{good},,{good}'])}"], None, False, (key,)
    )


def odd_override(scene: CommandLines, draws: random.Random) -> Line:
    """Words that mean nothing, and Hydra's grammar where it does not belong."""
    word = draws.choice(
        [
            *(
                "=",
                "=x",
                "loss.lam",
                "+",
                "~",
                "++",
                "loss.lam==1",
                "loss..lam=1",
                ".loss.lam=1",
                "loss.lam.x=1",
                "loss.=1",
            ),
            *(
                "LOSS.LAM=1",
                "loss[lam]=1",
                "loss.lam:0.1",
                "loss.lam=0.1,",
                ",",
                "loss/lam=1",
                "loss.lam=0.1 loss.alpha=1",
            ),
            *(
                "~loss",
                "~corpus",
                "~loss.lam",
                "~paths.output",
                "~study",
                "~nothing",
                "~loss=x",
                "paths=null",
                "trainer=3",
            ),
            *(
                "loss@head=center",
                "loss@x=center",
                "corpus@=demo",
                "loss@=x",
                "+loss=center",
                "++loss=center",
                "+corpus=demo",
            ),
            *(
                "+loss._code_=x",
                "loss._target_=os.system",
                "corpus._target_=x",
                "+_target_=x",
                "+a.b.c=1",
                "+loss.lam=1",
            ),
            *(
                "loss={lam: 0.1}",
                "loss={}",
                "study.settings=3",
                "study.settings=[1]",
                "study.baseline=x",
                "+x={a: {b: c}}",
            ),
            *(
                "readout=x",
                "readout=[svm,svm]",
                "readout=[svm,null]",
                "readout.svm.C=1",
                "readout={svm: 1}",
                "+readout.svm=1",
            ),
            *(
                "study.name=null",
                "study.name=''",
                "study.name=[a]",
                "paths.output=null",
                "paths.output=[a]",
                "paths.output={a: b}",
            ),
            *(
                "\x1b[2J=1",
                "l\u00f6ss.lam=1",
                "loss.lam\n=1",
                "loss.lam=\n",
                "\u200bloss.lam=1",
                "x" * 5000,
                "x" * 5000 + "=1",
            ),
        ]
    )
    known = {"+loss.lam=1": [{"loss.lam": 1.0}]}
    pieces = tuple(piece[:20] for piece in re.split(r"[=@~+\s\x1b\u200b{}]+", word) if piece)
    return Line(
        [word],
        known.get(word),
        word in ("loss={}", "readout=[svm,svm]", *known),
        (*pieces, word[:20], f"{word.strip('+').partition('.')[0]} is not"),
    )


def path(scene: CommandLines, draws: random.Random) -> Line:
    """The output, or a corpus, where there is none."""
    file, loop = scene.folder / "file", scene.folder / "loop"
    name = draws.choice(["train", "doctor"])
    if draws.random() < 0.5:
        place = draws.choice([loop, loop / "below", "~nobody-has-this-name/x", "''"])
        return Line([f"paths.output={place}"], None, False, (str(place), "paths.output"), name=name)
    place = draws.choice([file, loop, scene.folder / "nothing", "''", "x" * 300, "/" + "x/" * 3000])
    words = ["corpus=table", f"corpus.root={place}", "corpus.table=t.csv"]
    return Line(words, None, False, (str(place)[:40], "corpus.root"), name="doctor", whole=True)


def flags(scene: CommandLines, draws: random.Random) -> Line:
    """Flags that are none, or stand alone, or in odd places."""
    words, subject = draws.choice(
        [
            (["-x"], "-x"),
            (["--lam", "3"], "--lam"),
            (["--cfg"], "cfg"),
            (["--cfg", "jobs"], "jobs"),
            (["loss.lam=1", "--cfg", "nonsense"], "nonsense"),
            (["--info", "nonsense"], "nonsense"),
            (["--multirn", "loss.lam=0,1"], "--multirn"),
            (["--nonsense"], "--nonsense"),
            (["-m", "loss.lam=x,y", "-m"], "loss.lam"),
            (["loss.lam=x", "--resolve"], "loss.lam"),
        ]
    )
    return Line(words, None, False, (subject,))


def whole_flags(scene: CommandLines, draws: random.Random) -> Line:
    """Flags that only the whole command knows what to do with."""
    words, means = draws.choice(
        [
            (["--cfg", "job"], True),
            (["loss.lam=0.1", "--cfg", "job", "--resolve"], True),
            (["--cfg", "job", "loss.lamb=0.1"], False),
            (["-m", "--cfg", "job", "loss.lam=0,1"], False),
            (["--info", "defaults"], True),
            (["--help"], True),
            (["--config-name", "nonsense"], False),
            (["--config-dir", "/nowhere"], False),
            (["--package", "nonsense", "--cfg", "job"], False),
            (["--experimental-rerun", "/nowhere"], False),
            (["loss.lam=x"], False),
            (["study.name=../../away", "loss.lam=x"], False),
            (["study.baseline=[loss.lamb=0]"], False),
        ]
    )
    return Line(words, [] if means else None, False, whole=True)


def other_commands(scene: CommandLines, draws: random.Random) -> Line:
    """Status and report, which know studies and flags alone."""
    name, odd = (
        draws.choice(["status", "report"]),
        draws.choice(["nonsense", "../x", "", "\x1b[2J", "x" * 5000, "loss.lam=1"]),
    )
    file, loop = str(scene.folder / "file"), str(scene.folder / "loop")
    words, subject = draws.choice(
        [
            ([odd], odd[:40].replace("\x1b", "")),
            (["--verfy"], "--verfy"),
            (["--output"], "--output"),
            (["--output", file, "x"], file),
            (["--output", loop, "x"], loop),
            (["-m", "x"], "-m"),
            (["--output", "~nobody-has-this-name", "x"], "nobody"),
            *([(["compare"], "compare"), (["power", "x", "--effect", "y"], "effect")] * (name == "report")),
            *([(["--metrics", "nope", "x"], "nope"), (["--effect", "nan", "x"], "effect")] * (name == "report")),
        ]
    )
    return Line(words, None, False, (subject, "there are none"), name=name)


KINDS: tuple[Kind, ...] = (
    *(
        misspelt_key,
        misspelt_key,
        misspelt_choice,
        misspelt_group,
        choice_of_nothing,
        value,
        value,
        value,
        text,
        bare_text,
    ),
    *(
        interpolation,
        repeated,
        repeated_choice,
        swept,
        bad_sweep,
        odd_override,
        odd_override,
        odd_override,
        path,
        flags,
    ),
    *(whole_flags, other_commands, other_commands),
)


def _is_near(one: str, other: str) -> bool:
    """Whether they differ in one letter, other, more or less."""
    short, long = sorted([one, other], key=len)
    start = next((place for place, letter in enumerate(short) if letter != long[place]), len(short))
    return len(long) - len(short) < 2 and long[start + 1 :] == short[start + (len(long) == len(short)) :]


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, of the same kind."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
