"""What becomes of what is printed: where nobody reads, where it cannot be written, and of names that mean something."""

import io
import logging
import os
import sys
from pathlib import Path

import pytest
from rich.table import Table

from ser_lightning.errors import stop
from ser_lightning.invocation import end_clearly
from ser_lightning.report.__main__ import main as report
from ser_lightning.status import main as status
from ser_lightning.terminal import LogFile, console, lasting_output, tracked, visible
from ser_lightning.training.progress import StudyProgress
from tests.report.simulated import Simulation, settings_of
from tests.report.test_sweep_callback import RIGHT


def closed_pipe():
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", encoding="utf-8")


def full():
    return Path("/dev/full").open("w", encoding="utf-8")


def closed():
    """As Python finds a closed descriptor; without one, so that pytest keeps its own."""
    return


@pytest.fixture
def study(tmp_path):
    simulation = Simulation(tmp_path)
    settings = settings_of("logmel", 0.3, 0.1)
    simulation.add_job(0, "loss.alpha=0.1", settings, folds=[0])
    simulation.finish(settings, 0, 0, RIGHT)
    return simulation


def say_much():
    for _ in range(3):
        print("a line" * 2000)
        console().print("another" * 2000)
    with StudyProgress([]) as progress:
        progress.console.print("3/3")
    for _ in tracked([1], "a bar", 1):
        pass


@pytest.mark.parametrize("place, reason", [(full, "No space left on device"), (closed, "Bad file descriptor")])
def test_what_cannot_be_printed_ends_no_work_and_is_an_error_of_one_line(monkeypatch, capfd, place, reason):
    done = []
    monkeypatch.setattr("ser_lightning.terminal._to_nowhere", lambda number: None)
    monkeypatch.setattr(sys, "stdout", place())
    with pytest.raises(SystemExit) as end:
        end_clearly(lambda: (say_much(), done.append(True)))
    assert (done, end.value.code) == ([True], 1)
    assert capfd.readouterr().err == (
        f"ser_lightning: what was printed or logged could not all be written: stdout ({reason})\n"
    )


def test_a_table_alone_that_could_not_be_printed_is_an_error(monkeypatch, capfd):
    monkeypatch.setattr("ser_lightning.terminal._to_nowhere", lambda number: None)
    monkeypatch.setattr(sys, "stdout", full())
    with pytest.raises(SystemExit):
        end_clearly(lambda: console().print(Table("a heading")))
    assert "stdout (No space left on device)" in capfd.readouterr().err


def test_who_reads_one_line_and_goes_harms_nobody(monkeypatch, capfd):
    done = []
    stdout = closed_pipe()
    monkeypatch.setattr(sys, "stdout", stdout)
    end_clearly(lambda: (say_much(), done.append(True)))
    assert done
    # as at the end of the program
    stdout.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("command, words", [(status, []), (report, ["simulated"])])
def test_a_command_whose_reader_has_gone_ends_well(study, monkeypatch, capfd, command, words):
    monkeypatch.setattr(sys, "stdout", closed_pipe())
    end_clearly(lambda: command(["--output", str(study.output), *words]))
    assert capfd.readouterr().err == ""


def test_an_error_is_told_and_keeps_its_status_though_stdout_is_full(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", full())
    with pytest.raises(SystemExit) as end:
        end_clearly(lambda: (say_much(), stop("interrupted", status=130)))
    assert end.value.code == 130
    assert capfd.readouterr().err == "ser_lightning: interrupted\n"


def test_what_an_encoding_lacks_is_written_in_its_letters(monkeypatch):
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with lasting_output():
        print("63 ± 2")
        table = Table("zoë")
        table.add_row("–")
        console().print(table)
    shown = content.getvalue().decode()
    assert r"63 \xb1 2" in shown
    assert r"zo\xeb" in shown
    assert stream.errors == "strict"


@pytest.mark.parametrize(
    "place, reason",
    [("/dev/full", "No space left on device"), ("/proc/none/a.log", "No such file or directory")],
)
def test_a_log_that_cannot_be_written_is_told_once_at_the_end(capfd, place, reason):
    log = logging.getLogger("a log of a test")
    handler = LogFile(place)
    log.addHandler(handler)
    with pytest.raises(SystemExit):
        end_clearly(lambda: [log.warning("something") for _ in range(3)])
    log.removeHandler(handler)
    handler.close()
    assert capfd.readouterr().err == (
        f"ser_lightning: what was printed or logged could not all be written: {place} ({reason})\n"
    )


EVIL = "a\x1b]0;title\x07b\x9b2J\rc\u202ed"


@pytest.mark.parametrize("name", ["[/b]", "[red]", "y [bad].wav", ":smile:", "[link=file:///etc]x"])
def test_brackets_and_colons_in_names_are_shown_as_they_are(capsys, name):
    with lasting_output():
        terminal = console()
        terminal.print(name)
        table = Table(name, title=name)
        table.add_row(name)
        terminal.print(table)
        for _ in tracked([1], name, 1):
            pass
    assert capsys.readouterr().out.count(name) == 5


@pytest.mark.parametrize("terminal", [False, True])
def test_no_escape_sequence_of_a_name_reaches_a_terminal(capsys, monkeypatch, terminal):
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    monkeypatch.setenv("TERM", "xterm-256color")
    with lasting_output():
        print(EVIL)
        console().print(EVIL, style="bold")
        table = Table(EVIL)
        table.add_row(EVIL)
        console().print(table)
        print(EVIL, file=sys.stderr)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count(visible(EVIL)) == 5
    assert not {"\x07", "\x9b", "\r", "\u202e"} & set(shown.out + shown.err)
    assert "\x1b]" not in shown.out
    # its own remain
    assert ("\x1b[1m" in shown.out) == terminal
