"""`python -m ser_lightning.download` as a user types it, with real EmoDB from a server on this machine."""

import functools
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ser_lightning.corpora.archives import Fetched
from ser_lightning.download import describe


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(emodb_root, tmp_path_factory):
    """The address of an archive of EmoDB; the server ends with the test."""
    folder = tmp_path_factory.mktemp("mirror")
    with zipfile.ZipFile(folder / "emodb.zip", "w") as archive:
        for path in [emodb_root / "erkennung.txt", *(emodb_root / "wav").glob("*.wav")]:
            archive.write(path, path.relative_to(emodb_root))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/emodb.zip"
    server.shutdown()
    server.server_close()


def test_emodb_from_a_mirror_and_again_without_a_network(mirror, run_module, tmp_path):
    environment = {"SER_OUTPUT": "out", "NO_PROXY": "127.0.0.1"}
    first = run_module("download", "emodb", "--from", mirror, **environment)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        f"emodb, licence CC0 1.0, from {mirror}",
        "out/corpora/emodb: all 535 listed files are there with the right SHA-256",
        "Next: python -m ser_lightning.train corpus=emodb corpus.root=out/corpora/emodb",
    ]
    assert [path.name for path in (tmp_path / "out" / "corpora").iterdir()] == ["emodb"]
    assert (tmp_path / "out" / "corpora" / "emodb" / "erkennung.txt").is_file()

    again = run_module("download", "emodb", **environment)
    assert (again.returncode, again.stderr) == (0, "")
    assert "out/corpora/emodb is complete already, nothing was downloaded: 535 files as listed" in again.stdout


def test_an_error_is_one_line(run_module, tmp_path):
    done = run_module("download", "emodb", "--to", str(tmp_path / "here"), "--from", "http://127.0.0.1:9/x.zip")
    assert done.returncode == 1
    assert done.stderr.startswith("ser_lightning: http://127.0.0.1:9/x.zip cannot be reached (")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_corpus(run_module):
    done = run_module("download", "iemocap")
    assert done.returncode == 1
    assert done.stderr == (
        "ser_lightning: iemocap is not a corpus that can be downloaded; choose one of emodb, ravdess\n"
    )


def test_files_beyond_the_list_are_told(tmp_path):
    told = describe("ravdess", tmp_path / "my corpora", Fetched(listed=360, unlisted=1080, downloaded=True))
    assert "1080 more wav files are not covered by the list and were not checked" in told
    assert told.endswith(f"corpus=ravdess 'corpus.root={tmp_path}/my corpora'")
