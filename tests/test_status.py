"""`status` as a user types it."""

import subprocess
import sys

import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.study import write_jobs
from ser_lightning.status import main
from tests.report.simulated import Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


@pytest.fixture
def simulation(tmp_path):
    simulation = Simulation(tmp_path)
    for number, alpha in enumerate((0.1, 0.5)):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha} seed=3 [x]", settings)
        simulation.finish(settings, 0, 1, RIGHT)
    return simulation


def test_all_studies_in_a_line_each(simulation, capsys):
    main(["--output", str(simulation.output)])
    assert capsys.readouterr().out == "simulated: 6 runs: 2 done, 4 missing\n"


def test_every_run_of_a_study(simulation, capsys):
    main([str(simulation.study), "--output", str(simulation.output)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "all: seed=3"
    assert len(lines) == 9
    assert lines[2].split()[:5] == ["missing", "loss.alpha=0.1", "[x]", "fold", "0"]
    assert lines[3].split()[:1] == ["done"]
    assert "dev UA 60.0 %, 60 s" in lines[3]


def test_a_run_that_two_jobs_share_counts_once(simulation, capsys):
    simulation.add_job(2, "the same", settings_of("logmel", 0.3, 0.5))
    main(["--output", str(simulation.output)])
    assert capsys.readouterr().out == "simulated: 6 runs: 2 done, 4 missing\n"


def test_of_a_study_without_a_run_nothing_is_verified(simulation, capsys):
    (simulation.runs / simulation.signature(settings_of("logmel", 0.3, 0.1), 0, 1) / "config.yaml").write_text(
        "altered"
    )
    write_jobs(simulation.output / "studies" / "begun", [Job("loss.lam=0", settings_of("logmel", 0.0, 0.5))])
    main(["begun", "--verify", "--output", str(simulation.output)])
    assert capsys.readouterr().out.splitlines()[-1] == "Verified: 0 runs"


def test_what_is_not_there(simulation, tmp_path):
    with pytest.raises(UserError, match=r"other is not a study; in .* there are simulated"):
        main(["other", "--output", str(simulation.output)])
    with pytest.raises(UserError, match=r"in .* there are none"):
        main(["--output", str(tmp_path / "nowhere")])


def test_it_needs_neither_torch_nor_pandas_nor_lightning(simulation):
    code = (
        "import sys; from ser_lightning.status import main; "
        f"main(['--output', {str(simulation.output)!r}]); "
        "print([name for name in ('torch', 'lightning', 'pandas', 'hydra') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
