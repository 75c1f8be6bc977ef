"""`explore` as a user types it."""

import http.client
import os
import signal
import socket
import subprocess
from urllib.parse import urlsplit

import pytest

from ser_lightning.errors import UserError
from ser_lightning.explore import explore, find_setting, main
from ser_lightning.report.material import read_material
from tests.commands import interruptible
from tests.inference.explored import simulate
from tests.report.simulated import settings_of


@pytest.fixture
def simulation(tmp_path):
    return simulate(tmp_path)


def test_the_page_is_served_until_ctrl_c(simulation):
    words = ["simulated", "--output", str(simulation.output), "--no-browser"]
    environment = {**os.environ, "DISPLAY": ""}
    with interruptible("explore", words, stderr=subprocess.PIPE, env=environment) as process:
        line = process.stdout.readline()
        assert line.startswith("Explore simulated: http://127.0.0.1:")
        address = urlsplit(line.split()[-1])
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        connection.request("GET", address.path)
        assert b"<title>Explore</title>" in connection.getresponse().read()
        connection.request("GET", f"{address.path}recordings/0/sound")
        assert connection.getresponse().read()[:4] == b"RIFF"
        connection.request("GET", f"{address.path}../../recordings/0/sound")
        assert connection.getresponse().status == 404
        process.send_signal(signal.SIGINT)
        output, error = process.stdout.read(), process.stderr.read()
    assert output == "Ctrl-C ends it\nEnded\n"
    assert error == "Setting: loss.lam=0, the best of 2 by mean dev UA; the page has all\n"
    assert process.returncode == 0


def test_a_port_that_is_taken_or_none(simulation, capsys):
    words = [str(simulation.study), "--no-browser", "--port"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(UserError, match=f"port {port} is taken"):
            main([*words, port])
    for port in ("70000", "-1", "http"):
        with pytest.raises(SystemExit, match="2"):
            main([*words, port])
        assert f"{port} is no port" in capsys.readouterr().err


def test_a_setting_is_found_by_its_name_or_by_settings(simulation):
    simulation.add_job(2, "loss.lam=1", settings_of("logmel", 1.0, 0.5))
    material = read_material(simulation.study, simulation.runs)
    assert find_setting(material, "loss.lam=0.3") == 1
    assert find_setting(material, "loss.lam=0.3 features=logmel") == 1
    # Of both, which have the same UA on dev, the first
    assert find_setting(material, "features=logmel") == 0
    with pytest.raises(UserError, match=r"simulated has no setting 'loss.lam=7'; it has: loss.lam=0; loss.lam=0.3"):
        find_setting(material, "loss.lam=7")
    with pytest.raises(UserError, match=r"loss\.lam=1: no run of this setting has finished yet"):
        find_setting(material, "loss.lam=1")


def test_one_setting_or_two(simulation, capsys):
    assert explore(simulation.study, ["loss.lam=0.3", "loss.lam=0"]).chosen == [1, 0]
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="two settings stand side by side"):
        explore(simulation.study, ["loss.lam=0.3", "loss.lam=0", "loss.lam=0"])


def test_a_corpus_that_is_not_there_is_told_in_a_line(simulation, tmp_path, capsys):
    (tmp_path / "corpus").rename(tmp_path / "moved")
    exploration = explore(simulation.study, ["loss.lam=0"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Recordings cannot be heard: table: there is no folder")
    assert line.endswith("(--root says where the corpus lies if it has moved)")
    assert isinstance(exploration.recordings, str)
    assert len(explore(simulation.study, roots=[str(tmp_path / "moved")]).recordings.paths) == 48
    with pytest.raises(UserError, match=r"there is no folder .* must name the corpus's folder$"):
        explore(simulation.study, roots=[str(tmp_path / "nowhere")])


def test_what_is_no_study(tmp_path):
    with pytest.raises(UserError, match="other is not a study"):
        main(["other", "--output", str(tmp_path)])
