"""A page for one person on one machine: HTTP on 127.0.0.1, with a random word in the address as its key.

By http.server of the standard library: a handful of GET requests, no bodies, no files by their path, and nothing to
install.
"""

import errno
import hmac
import json
import os
import secrets
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from ser_lightning.errors import UserError

HOST = "127.0.0.1"
# What a browser may call this machine; another name in the header Host is a page elsewhere whose name leads here
# (DNS rebinding). The port may be another: that of a tunnel.
NAMES = (HOST, "localhost")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a request gets: the body, its media type and the status."""

    body: bytes
    kind: str = TEXT
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def json(cls, value: Any, status: HTTPStatus = HTTPStatus.OK) -> "Answer":
        """Plain values as JSON. Raises `ValueError` for a number that is none."""
        return cls(json.dumps(value, allow_nan=False, separators=(",", ":")).encode(), "application/json", status)

    @classmethod
    def refusal(cls, status: HTTPStatus, message: str) -> "Answer":
        """Why there is nothing, in a line."""
        return cls(f"{message}\n".encode(), TEXT, status)


def add_page_options(parser: ArgumentParser) -> None:
    """`--port`, 0 for a free one, and `--no-browser`, which goes without saying where there is no screen."""
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="default: a free one")
    screen = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", default=screen, help="only print the address"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise ArgumentTypeError(f"{text} is no port; they go from 0, which is a free one, to {2**16 - 1}")
    return int(text)


class LocalServer(ThreadingTCPServer):
    """Answers GET requests from this machine that know the key.

    Args:
        answer: from what stands behind the key in the address, such as 'settings/0', to what it gets. Called in several
            threads at once; a `UserError` of its becomes a refusal.
        port: where it listens; 0: a free one.

    Raises `UserError` where the port cannot be had.
    """

    # Not HTTPServer, which asks for the machine's name, and may wait for that where there is no network
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Callable[[str], Answer], port: int = 0) -> None:
        self.answer, self.token = answer, secrets.token_urlsafe(32)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise UserError(
                f"port {port} {reason}; --port names another one, and without it a free one is taken"
            ) from error

    @property
    def address(self) -> str:
        """What is opened in the browser, the key in it."""
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no error."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    # Seconds after which a silent connection is closed
    timeout = 60

    def do_GET(self) -> None:
        self._send(self._answer())

    def _answer(self) -> Answer:
        if not _is_here(self.headers.get("Host", "")):
            return Answer.refusal(HTTPStatus.MISDIRECTED_REQUEST, f"this page is at {HOST} alone")
        token, slash, place = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()) or not slash:
            return Answer.refusal(HTTPStatus.FORBIDDEN, "open the whole address that the command printed")
        try:
            return self.server.answer(place)
        except UserError as error:
            return Answer.refusal(HTTPStatus.CONFLICT, str(error))
        except Exception:
            self.server.handle_error(self.request, self.client_address)
            return Answer.refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "that went wrong; the terminal says how")

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        """Tells nothing of what runs here."""
        return "ser"

    def log_message(self, *words: Any) -> None:
        """Nothing: the key would stand in every line."""


def _is_here(host: str) -> bool:
    """Whether the header Host names this machine.

    >>> _is_here("127.0.0.1:8000"), _is_here("localhost"), _is_here("127.0.0.1.example.org:8000"), _is_here("")
    (True, True, False, False)
    """
    try:
        return urlsplit(f"//{host}").hostname in NAMES and "@" not in host
    except ValueError:
        return False
