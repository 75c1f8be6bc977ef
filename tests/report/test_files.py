"""Commands that report one study at a time do not take each other's files away."""

import errno
import multiprocessing
import threading
from multiprocessing.context import ForkProcess

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ser_lightning.report import files
from ser_lightning.report.document import Picture, Report, Section, Table, Text


def small_report(title):
    table = Table("scores", "Scores", pd.DataFrame({"ua": [50.0]}), pd.DataFrame({"UA (%)": ["50.0"]}))
    return Report(title, "A claim.", ["An answer."], [], "demo", {}, [Section("Scores", [Text("words"), table])], {})


def test_a_second_command_writes_when_the_first_has(tmp_path, monkeypatch):
    write_whole, written, seconds = files.write_whole, [], []

    def write_and_let_another_in(path, content):
        if not seconds:
            seconds.append(threading.Thread(target=files.write_report, args=(small_report("second"), tmp_path)))
            seconds[0].start()
            seconds[0].join(0.5)
        written.append((threading.current_thread().name, path.name))
        write_whole(path, content)

    monkeypatch.setattr(files, "write_whole", write_and_let_another_in)
    files.write_report(small_report("first"), tmp_path)
    seconds[0].join(60)
    half = len(written) // 2
    assert {name for name, _ in written[:half]} == {"MainThread"}
    assert [name for _, name in written[:half]] == [name for _, name in written[half:]]
    assert (tmp_path / "report.md").read_text().startswith("# second")


def test_who_reports_reads_no_earlier_than_the_other_has_written(tmp_path):
    order = []

    def other():
        with files.report_lock(tmp_path):
            order.append("other reads")

    thread = threading.Thread(target=other)
    with files.report_lock(tmp_path):
        thread.start()
        thread.join(0.3)
        order.append("first read")
        files.write_report(small_report("first"), tmp_path)
        order.append("first wrote")
    thread.join(60)
    assert order == ["first read", "first wrote", "other reads"]


def test_where_a_second_process_cannot_be_started_the_first_is_not_left_waiting(tmp_path, monkeypatch):
    start, started = ForkProcess.start, []

    def start_one(self):
        if started:
            raise OSError(errno.EMFILE, "Too many open files")
        started.append(self)
        start(self)

    monkeypatch.setattr(ForkProcess, "start", start_one)
    picture = Picture("a", "A picture", Figure)
    with pytest.raises(OSError, match="Too many open files"):
        files._draw([picture], tmp_path, workers=2)
    assert started
    assert not {*started} & {*multiprocessing.active_children()}
