"""A W&B server for tests: says yes to every request, remembers what it gets, can fall silent and answer nonsense."""

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from threading import Event, Thread
from typing import Any

import pytest
import wandb
from joblib.externals.loky import get_reusable_executor

from ser_lightning.training.tracking import TROUBLE

# What stands in the way of servers says: HTTP status, type of content, content
NONSENSE = {
    "html": (200, "text/html", b"<html><body>Sign in to the network</body></html>"),
    "403": (403, "text/plain", b"Forbidden"),
    "null": (200, "application/json", b"null"),
}

VIEWER = {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}


class WandbServer:
    """A context in which a server listens at `address`; after `fall_silent` it takes requests and never answers.

    With `nonsense` it takes the login, and answers all else by one of `NONSENSE`; "reset" ends the connection.

    `history` has the rows of history that it got, by run; `begun` the variables of each run's first request; `views`
    the workspaces that it got, by id.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.begun: dict[str, dict[str, Any]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.logged_in = 0
        self.nonsense = ""
        self.silent, self._end = Event(), Event()

    def __enter__(self) -> "WandbServer":
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if server.silent.is_set():
                    server._end.wait(60)
                    return
                answer = json.dumps(server.answer(self.path, body)).encode()
                status, kind = 200, "application/json"
                if server.nonsense and b"Viewer" not in body:
                    if server.nonsense == "reset":
                        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                        self.connection.close()
                        return
                    status, kind, answer = NONSENSE[server.nonsense]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._http.shutdown()
        self._http.server_close()

    def fall_silent(self) -> None:
        self.silent.set()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        stream = re.fullmatch(r"/files/me/[^/]+/([^/]+)/file_stream", path)
        if stream:
            content = json.loads(body).get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
            self.history.setdefault(stream.group(1), []).extend(json.loads(line) for line in content)
            return {}
        if path != "/graphql":
            return {}
        request = json.loads(body)
        (name,) = re.findall(r"(?:query|mutation)\s+(\w+)", request["query"])[:1]
        return {"data": getattr(self, f"_{name}", lambda variables: {})(request.get("variables") or {})}

    def _Viewer(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.logged_in += 1
        return {"viewer": VIEWER}

    _GetDefaultEntity = _Viewer

    def _Runs(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = json.loads(variables["filters"])["name"]["$in"]
        runs = {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        count = len(self.begun.keys() & set(asked))
        return {"project": {"internalId": "1", "runCount": count, "readOnly": False, "runs": runs}}

    def _View(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [{"node": view} for view in self.views.values() if view["name"] == variables["viewName"]]
        return {"project": {"allViews": {"edges": found}}}

    def _UpsertView2(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        view = {**variables, "id": variables.get("id") or f"view {len(self.views)}"}
        self.views[view["id"]] = view
        return {"upsertView": {"view": {"id": view["id"], "name": view["name"]}, "inserted": True}}

    def _UpsertBucket(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = variables["name"]
        self.begun.setdefault(name, variables)
        project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
        bucket = {"id": name, "name": name, "displayName": name, "project": project, "historyLineCount": 0}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _CreateRunFiles(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"name": name, "uploadUrl": f"{self.address}/upload"} for name in variables["files"]]
        return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}


@contextmanager
def reachable_server(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[WandbServer]:
    """A server that W&B's client asks in place of its own, in this context and without any key that it may have."""
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("NETRC", str(folder / "netrc"))
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setenv(TROUBLE, str(folder / "told"))
        _end_services()
        yield server
    _end_services()


def _end_services() -> None:
    """End W&B's own process, and the workers that were started to talk to it, which earlier tests may have left."""
    get_reusable_executor().shutdown()
    wandb.teardown()
