"""The local server: who is refused, and that nothing is without its headers."""

import http.client
import socket
import threading

import pytest

from ser_lightning.errors import UserError
from ser_lightning.inference.server import HEADERS, Answer, LocalServer


@pytest.fixture
def asked():
    return []


@pytest.fixture
def server(asked):
    def answer(place):
        asked.append(place)
        if place == "fault":
            raise UserError("there is a fault")
        if place == "crash":
            raise ZeroDivisionError
        return Answer.json({"place": place})

    server = LocalServer(answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def request(server, path, method="GET", **headers):
    """Status, headers and body of what a request gets; `path` is sent as it is."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), body


def send(server, content):
    """What these bytes get."""
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(content)
        return connection.makefile("rb").read()


def test_it_listens_on_this_machine_alone(server):
    host, port = server.server_address
    assert host == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{port}/{server.token}/"
    assert len(server.token) == 43


def test_who_knows_the_key_gets_an_answer(server, asked):
    status, headers, body = request(server, f"/{server.token}/some/place?query")
    assert (status, body) == (200, b'{"place":"some/place"}')
    assert headers["Content-Type"] == "application/json"
    assert asked == ["some/place"]


def test_who_does_not_is_refused(server, asked):
    wrong = ["/", "//", "/study", f"/{server.token}", f"/{server.token[:-1]}/study", f"/{server.token}x/study"]
    wrong += [f"/x/{server.token}/study", f"/{server.token.swapcase()}/study", "*"]
    assert {request(server, path)[0] for path in wrong} == {403}
    assert send(server, b"GET /\xe9\xff/study HTTP/1.0\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    assert asked == []


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "a@127.0.0.1", "", "127.0.0.2", "[::1", "0"])
def test_a_page_elsewhere_whose_name_leads_here_is_refused(server, asked, host):
    assert request(server, f"/{server.token}/study", Host=host)[0] == 421
    assert asked == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "localhost:9000", "LOCALHOST:80"])
def test_the_end_of_a_tunnel_is_taken(server, host):
    assert request(server, f"/{server.token}/study", Host=host)[0] == 200


def test_nothing_but_get(server, asked):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert request(server, f"/{server.token}/study", method)[0] == 501
    assert asked == []


def test_all_answers_have_the_headers_that_forbid(server):
    for path, host in ((f"/{server.token}/a", "localhost"), ("/no", "localhost"), (f"/{server.token}/a", "no")):
        headers = request(server, path, Host=host)[1]
        assert HEADERS.items() <= headers.items()
        assert headers["Server"] == "ser"
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")


def test_what_can_be_mended_is_told_and_what_cannot_is_not(server, capfd):
    assert request(server, f"/{server.token}/fault")[::2] == (409, b"there is a fault\n")
    status, _, body = request(server, f"/{server.token}/crash")
    assert (status, b"Zero" in body) == (500, False)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_who_hangs_up_is_no_error(server, capfd):
    for _ in range(3):
        with socket.create_connection(server.server_address) as connection:
            connection.sendall(f"GET /{server.token}/".encode())
    assert request(server, f"/{server.token}/study")[0] == 200
    assert capfd.readouterr().err == ""


def test_the_key_is_in_no_log(server, capfd):
    request(server, f"/{server.token}/study")
    send(server, f"GET /{server.token}/ a b HTTP/1.0\r\n\r\n".encode())
    assert server.token not in "".join(capfd.readouterr())


def test_a_port_that_is_taken(server):
    port = server.server_address[1]
    with pytest.raises(UserError, match=f"port {port} is taken; --port names another one"):
        LocalServer(lambda place: Answer(b""), port)


def test_a_number_that_is_none_is_not_sent():
    with pytest.raises(ValueError, match="JSON"):
        Answer.json({"loss": float("nan")})
