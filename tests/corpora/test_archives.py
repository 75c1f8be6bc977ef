"""Fetching a corpus from a server on this machine, which is cut off, lies and attacks as well as serving."""

import errno
import hashlib
import io
import json
import random
import re
import socket
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ser_lightning.corpora import archives
from ser_lightning.corpora.archives import Fetched, fetch, read_checksums
from ser_lightning.errors import UserError

random_bytes = random.Random(1).randbytes
FILES = {f"wav/{number:02}.wav": random_bytes(50_000) for number in range(20)}
CHECKSUMS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


class Server:
    """Serves one archive under `/corpus.zip` and keeps a log of what was asked and how much was sent."""

    def __init__(self):
        self.content, self.tag, self.status = b"", '"one"', 200
        self.ranges, self.cut_after = True, None
        self.asked, self.sent = [], []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/corpus.zip"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(server):  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                server.asked.append(wanted)
                if server.status != 200:
                    self.send_error(server.status)
                    return
                whole, begin = len(server.content), 0
                if wanted and server.ranges and self.headers.get("If-Range") in (None, server.tag):
                    begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
                else:
                    self.send_response(200)
                self.send_header("ETag", server.tag)
                self.send_header("Content-Length", str(whole - begin))
                self.end_headers()
                body = server.content[begin:][: server.cut_after]
                server.cut_after = None
                self.wfile.write(body)
                server.sent.append(len(body))
                self.close_connection = True

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "disk" / "emo"


def zip_of(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def on_disk(target):
    """All files and folders beside and below the target."""
    return {path.relative_to(target.parent).as_posix() for path in target.parent.rglob("*")}


def refused(server, target, checksums=CHECKSUMS):
    with pytest.raises(UserError) as error:
        fetch("emo", server.url, target, checksums)
    assert "\n" not in str(error.value)
    return str(error.value)


def interrupt(server, target, after=600_000):
    server.cut_after = after
    message = refused(server, target)
    assert "the connection broke off after" in message
    assert message.endswith("the same command goes on from there")
    assert on_disk(target) == {"emo.part", "emo.part/archive.zip", "emo.part/archive.json"}
    return (target.parent / "emo.part" / "archive.zip").stat().st_size


def holds_exactly(target, files):
    there = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    return there == files and [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_corpus_arrives_whole_and_nothing_else_stays(server, target):
    server.content = zip_of(FILES)
    assert fetch("emo", server.url, target, CHECKSUMS) == Fetched(listed=20, unlisted=0, downloaded=True)
    assert holds_exactly(target, FILES)


def test_a_complete_corpus_is_not_asked_for_again(server, target):
    server.content = zip_of(FILES)
    fetch("emo", server.url, target, CHECKSUMS)
    assert fetch("emo", server.url, target, CHECKSUMS) == Fetched(listed=20, unlisted=0, downloaded=False)
    assert len(server.asked) == 1


def test_a_cut_download_goes_on_from_where_it_broke(server, target):
    server.content = zip_of(FILES)
    have = interrupt(server, target)
    assert 500_000 < have <= 600_000
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.asked == [None, f"bytes={have}-"]
    assert server.sent == [600_000, len(server.content) - have]
    assert holds_exactly(target, FILES)


def test_a_download_that_is_cut_twice(server, target):
    server.content = zip_of(FILES)
    first = interrupt(server, target, after=300_000)
    second = interrupt(server, target, after=300_000)
    assert first < second
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.asked == [None, f"bytes={first}-", f"bytes={second}-"]
    assert holds_exactly(target, FILES)


def test_a_server_that_knows_no_ranges_sends_all_again(server, target):
    server.content, server.ranges = zip_of(FILES), False
    interrupt(server, target)
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.sent == [600_000, len(server.content)]
    assert holds_exactly(target, FILES)


def test_an_archive_that_changed_meanwhile_is_not_mixed_with_the_old_one(server, target):
    server.content = zip_of(dict.fromkeys(FILES, bytes(50_000)))
    interrupt(server, target)
    server.content, server.tag = zip_of(FILES), '"two"'
    have = interrupt(server, target, after=200_000)
    assert have <= 200_000
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.sent == [600_000, 200_000, len(server.content) - have]
    assert holds_exactly(target, FILES)


def test_an_answer_with_other_bytes_than_asked_for_is_not_taken(server, target):
    server.content = zip_of(FILES)
    have = interrupt(server, target)
    (target.parent / "emo.part" / "archive.zip").write_bytes(bytes(10))
    server._server.RequestHandlerClass.send_header = answer_another_range
    fetch("emo", server.url, target, CHECKSUMS)
    assert have > 10
    assert server.asked == [None, "bytes=10-", None]
    assert holds_exactly(target, FILES)


def answer_another_range(handler, key, value):
    value = value.replace("bytes 10-", "bytes 11-") if key == "Content-Range" else value
    BaseHTTPRequestHandler.send_header(handler, key, value)


@pytest.mark.parametrize("tag", ["", 'W/"weak"'], ids=["no version", "weak version"])
def test_without_a_version_to_compare_a_download_starts_anew(server, target, tag):
    server.content, server.tag = zip_of(FILES), tag
    interrupt(server, target)
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.asked == [None, None]
    assert holds_exactly(target, FILES)


def test_a_part_from_another_address_is_not_gone_on_with(server, target):
    server.content = zip_of(FILES)
    interrupt(server, target)
    fetch("emo", f"{server.url}?mirror", target, CHECKSUMS)
    assert server.asked == [None, None]
    assert holds_exactly(target, FILES)


def test_a_run_that_was_killed_while_unpacking_asks_for_nothing_again(server, target):
    server.content = zip_of(FILES)
    work = target.parent / "emo.part"
    (work / "unpacked" / "wav").mkdir(parents=True)
    (work / "unpacked" / "wav" / "00.wav").write_bytes(b"half")
    (work / "archive.zip").write_bytes(server.content)
    said = {"url": server.url, "version": server.tag, "size": len(server.content)}
    (work / "archive.json").write_text(json.dumps(said))
    fetch("emo", server.url, target, CHECKSUMS)
    assert server.asked == []
    assert holds_exactly(target, FILES)


def test_a_changed_file_is_named_and_nothing_is_kept(server, target):
    server.content = zip_of({**FILES, "wav/07.wav": FILES["wav/07.wav"][:-1] + b"?"})
    message = refused(server, target)
    assert "1 file with another SHA-256 than listed (wav/07.wav); nothing was kept" in message
    assert on_disk(target) == set()


def test_missing_files_are_counted_and_the_first_named(server, target):
    server.content = zip_of(dict(list(FILES.items())[5:]))
    message = refused(server, target)
    assert "5 files missing (wav/00.wav, wav/01.wav, wav/02.wav, ...); nothing was kept" in message
    assert on_disk(target) == set()


def test_files_beyond_the_list_are_counted(server, target):
    server.content = zip_of({**FILES, "wav/a.wav": b"", "b.wav": b"", "wav/._00.wav": b"", "info.txt": b""})
    assert fetch("emo", server.url, target, CHECKSUMS).unlisted == 2


@pytest.mark.parametrize("top", ["download", "release/speech"])
def test_a_corpus_wrapped_in_folders_is_unwrapped(server, target, top):
    server.content = zip_of({"README": b"", **{f"{top}/{name}": content for name, content in FILES.items()}})
    fetch("emo", server.url, target, CHECKSUMS)
    assert holds_exactly(target, FILES)


@pytest.mark.parametrize("name", ["../evil.wav", "wav/../../evil.wav", "..\\evil.wav", "/tmp/evil.wav", "C:\\evil.wav"])
def test_a_member_that_would_leave_the_folder_is_refused(server, target, name):
    server.content = zip_of({**FILES, name: b"evil"})
    assert f"its member {name!r} would leave its folder; nothing was kept" in refused(server, target)
    assert on_disk(target) == set()
    assert not list(target.parent.parent.rglob("*evil*"))


def test_a_link_is_refused(server, target):
    link = zipfile.ZipInfo("wav/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    server.content = zip_of({link: b"/etc", **FILES})
    assert "its member 'wav/link' is a link or device; nothing was kept" in refused(server, target)
    assert on_disk(target) == set()


def test_a_bomb_is_refused_before_it_is_unpacked(server, target, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_UNPACKED", 900_000)
    server.content = zip_of(FILES)
    assert "is refused: unpacked it would take" in refused(server, target)
    assert on_disk(target) == set()


@pytest.mark.parametrize(
    "content",
    [b"<html>moved</html>", zip_of(FILES)[:-500], zip_of({"wav": b"", **FILES})],
    ids=["a web page", "no directory", "a file that is a folder"],
)
def test_what_is_no_archive_is_not_kept(server, target, content):
    server.content = content
    message = refused(server, target)
    assert "is not a zip archive that can be read" in message
    assert message.endswith("with --from")
    assert on_disk(target) == set()


def test_a_damaged_member_is_not_kept(server, target):
    packed = bytearray(zip_of(FILES))
    packed[packed.index(FILES["wav/03.wav"])] ^= 1
    server.content = bytes(packed)
    assert "Bad CRC-32 for file 'wav/03.wav'" in refused(server, target)
    assert on_disk(target) == set()


def test_a_full_disk_keeps_the_archive_only(server, target, monkeypatch):
    def full(packed, file):
        file.write(packed.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device", file.name)

    server.content = zip_of(FILES)
    with monkeypatch.context() as patched:
        patched.setattr(archives.shutil, "copyfileobj", full)
        assert refused(server, target).endswith("No space left on device")
    assert on_disk(target) == {"emo.part", "emo.part/archive.zip", "emo.part/archive.json"}
    fetch("emo", server.url, target, CHECKSUMS)
    assert len(server.asked) == 1
    assert holds_exactly(target, FILES)


@pytest.mark.parametrize("status, reason", [(404, "Not Found"), (503, "Service Unavailable")])
def test_a_server_that_refuses(server, target, status, reason):
    server.status = status
    message = refused(server, target)
    assert message == (
        f"{server.url}: the server answers {status} {reason}; name another address of the archive with --from"
    )
    assert on_disk(target) == set()


def test_a_server_that_refuses_to_go_on_leaves_the_part(server, target):
    server.content = zip_of(FILES)
    have = interrupt(server, target)
    server.status = 503
    refused(server, target)
    assert (target.parent / "emo.part" / "archive.zip").stat().st_size == have


def test_a_server_that_is_not_there(server, target):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.url = f"http://127.0.0.1:{taken.getsockname()[1]}/x.zip"
    message = refused(server, target)
    assert "cannot be reached (" in message
    assert "refused" in message
    assert message.endswith("name another address of the archive with --from")
    assert on_disk(target) == set()


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/x.zip", "http://"])
def test_an_address_that_is_none(server, target, url):
    server.url = url
    assert refused(server, target).startswith(f"{url} cannot be reached (")


def test_a_folder_with_something_else_in_it_stays_as_it_is(server, target):
    (target / "mine").mkdir(parents=True)
    message = refused(server, target)
    assert message.startswith(f"{target} is there but not the whole of emo: 20 files missing")
    assert on_disk(target) == {"emo", "emo/mine"}
    assert server.asked == []


def test_an_empty_folder_is_filled(server, target):
    target.mkdir(parents=True)
    server.content = zip_of(FILES)
    fetch("emo", server.url, target, CHECKSUMS)
    assert holds_exactly(target, FILES)


def test_a_folder_that_cannot_be_made(server, target):
    target.parent.write_text("a file")
    assert str(target.parent) in refused(server, target)


def hashes(root, names):
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}


def test_the_list_of_emodb_is_all_of_emodb(emodb_root):
    names = [path.relative_to(emodb_root).as_posix() for path in emodb_root.rglob("*.wav")]
    assert len(names) == 535
    assert read_checksums("emodb") == hashes(emodb_root, names)


def test_the_list_of_ravdess_is_six_actors(ravdess_root):
    listed = read_checksums("ravdess")
    assert {name.split("/")[0] for name in listed} == {
        f"Actor_{actor}" for actor in ("01", "02", "05", "07", "08", "20")
    }
    assert len(listed) == 360
    assert listed == hashes(ravdess_root, listed)
