"""Files of a finished study, damaged: its report must be the right one, say what is wrong, or be refused."""

import random
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt

from ser_lightning.report.document import Report
from ser_lightning.report.material import read_material
from ser_lightning.report.study import compile_report
from ser_lightning.runs.damage import find_damage
from ser_lightning.runs.ledger import BEST, read_result
from ser_lightning.runs.seal import write_with_seal
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import UTTERANCES, read_jobs, write_jobs
from tests.faults.campaign import Ending, described, listening
from tests.faults.damage import DAMAGES, damaged, mistake
from tests.report.simulated import Simulation, simulate_paper_study

NOTE = "my notes.txt"


class StudyFiles:
    """A study of two settings and three folds, sealed as training seals it, with a note of the user's in each run."""

    name = "files of a finished study"
    slice = 8

    def __init__(self, folder: Path) -> None:
        simulation = Simulation(folder)
        simulate_paper_study(simulation, [("loss.lam=0", "logmel", 0.0, 0.5), ("loss.lam=0.3", "logmel", 0.3, 0.5)])
        self.study, self.runs = simulation.study, simulation.runs
        write_jobs(self.study, read_jobs(self.study))
        write_with_seal(self.study / UTTERANCES, (self.study / UTTERANCES).read_bytes())
        for run in self.runs.iterdir():
            (run / BEST).write_bytes(run.name.encode() * 50)
            result = read_result(run)
            assert result is not None
            result.sealed(run).write(run)
            (run / NOTE).write_text("mine")
        self.files = sorted(
            file for file in folder.rglob("*") if file.is_file() and file.name != NOTE and file.suffix != ".lock"
        )
        self.whole = self._content()
        self.right = self._report()

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        file = draws.choice(self.files)
        others = [other for other in self.files if other.name == file.name and other != file]
        damage = draws.choice([*DAMAGES, *[mistake(other) for other in others[:1]]])
        with damaged(file, damage, draws) as done:
            description = f"{file.parent.name}/{file.name}: {done}"
            before = self._content()
            with described(description):
                ending, words = self._look(file)
            if self._content() != before:
                return description, Ending.LOST, "reading has changed files"
        if self._content() != self.whole:
            return description, Ending.LOST, "a file has gone"
        return description, ending, words

    def _look(self, file: Path) -> tuple[Ending, str]:
        """What report, status and its --verify make of the folder."""
        with listening() as words:
            states = [entry for entry in study_status(self.study, self.runs) if entry.state != "done"]
            damages = [str(damage) for run in self.runs.iterdir() for damage in find_damage(run)]
            report = self._report()
        told = [str(words), *(entry.details for entry in states), *damages, *report.warnings]
        told = [line for line in told if line and line not in self.right.warnings]
        if content(report) != content(self.right):
            return (Ending.NAMED if told else Ending.WRONG), "\n".join(told)
        return (Ending.NAMED if told else Ending.UNHARMED), "\n".join(told)

    def _report(self) -> Report:
        report = compile_report(read_material(self.study, self.runs))
        plt.close("all")
        return report

    def _content(self) -> dict[str, bytes]:
        return dict(self._read())

    def _read(self) -> Iterator[tuple[str, bytes]]:
        for place in (self.study, self.runs):
            for file in sorted(place.rglob("*")):
                if file.is_file() and file.suffix != ".lock":
                    yield str(file), file.read_bytes()


def content(report: Report) -> tuple[object, ...]:
    """All that a report says in numbers and sentences."""
    tables = {table.name: table.numbers.to_csv() for table in report.tables}
    records = {name: record.to_csv() for name, record in report.records.items()}
    return report.title, report.claim, tuple(report.answer), report.caption, tables, records, str(report.facts)
