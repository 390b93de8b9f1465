"""The server over HTTP as its clients meet it: eras, addresses, refusals, limits, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import httpx
import pytest

from dm_memory.errors import ConfigurationError
from dm_memory_server.http.serve import _listen, parse_address
from dm_memory_server.http.tokens import TokenFile
from tests.http.serving import ERAS, LEGACY, MODERN, Served, answer, ask, call, headers, message, served, text_of, token
from tests.server.server_homes import COMMAND, many


def refused(home: Path, *arguments: str, **environment: str) -> str:
    """Start a server that must not start; return what it says."""
    done = subprocess.run(
        [*COMMAND, "serve", "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "", "HOME": str(home.parent)} | environment,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_two_people_see_each_others_learnings_at_once(home: Path, client: httpx.Client) -> None:
    with served(home) as server:
        for era, other in (ERAS, ERAS[::-1]):
            learned = f"Posters with faces work better, says {era}."
            stored = call(client, server.url, "sync_memory", era=era, session_learnings=[learned])
            assert "Memory now has" in text_of(stored), stored.text
            found = call(client, server.url, "search_memory", era=other, query=learned)
            assert learned in text_of(found)


@pytest.mark.parametrize("era", ERAS)
def test_an_address_with_a_brand_is_that_brand_alone(home: Path, client: httpx.Client, era: str) -> None:
    with served(home) as server:
        for path in ("", "/acme", "/bolt"):
            status = text_of(call(client, server.url + path, "get_memory_status", era=era))
            assert ("Bolt" in status) == (path == "/bolt")
            other = answer(call(client, server.url + path, "get_memory_status", era=era, brand="bolt"))["result"]
            assert bool(other.get("isError")) == (path == "/acme")
        assert call(client, f"{server.url}/nobody", "get_memory_status", era=era).status_code == 404


def test_a_server_that_is_locked_to_a_brand_stays_so(home: Path, client: httpx.Client) -> None:
    secrets = {name: token(home, name, name) for name in ("acme", "bolt")}
    with served(home, "--require-token", "--only-brand", "acme") as server:
        assert not answer(call(client, server.url, "get_memory_status", secret=secrets["acme"]))["result"].get(
            "isError"
        )
        assert answer(call(client, server.url, "get_memory_status", secret=secrets["bolt"]))["result"]["isError"]


# Who is let in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_an_address_that_others_reach_needs_a_token_first(home: Path, client: httpx.Client, address: str) -> None:
    said = refused(home, "--http", address)
    assert "Others can reach this address, and there is no token yet." in said
    assert "dm-memory token add" in said
    secret = token(home, "ada", "acme")
    with served(home, address=address) as server:
        url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}" if address[0] == "0" else server.url
        assert call(client, url, "get_memory_status").status_code == 401
        assert call(client, url, "get_memory_status", secret=secret).status_code == 200


def test_this_computer_can_be_asked_for_a_token_as_well(home: Path, client: httpx.Client) -> None:
    assert "A token is required, and there is no token yet." in refused(home, "--http", "0", "--require-token")
    secret = token(home, "ada", "acme")
    with served(home, "--require-token") as server:
        for bad in ("", "x", secret[:-1], secret + "x"):
            response = ask(client, server.url, "tools/list", secret=bad)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith('Bearer realm="dm-memory"')
        assert ask(client, server.url, "tools/list", secret=secret).status_code == 200


def test_a_damaged_file_of_tokens_lets_nobody_in_and_one_put_back_does(home: Path, client: httpx.Client) -> None:
    secret = token(home, "ada", "acme")
    path = TokenFile(home).path
    good = path.read_bytes()
    with served(home, "--require-token") as server:
        path.write_bytes(b"{")
        assert ask(client, server.url, "tools/list", secret=secret).status_code == 503
        path.write_bytes(good)
        assert ask(client, server.url, "tools/list", secret=secret).status_code == 200
    path.write_bytes(b"{")
    assert "can't be read" in refused(home, "--http", "0", "--require-token")


def test_other_hosts_and_other_pages_are_refused(home: Path, client: httpx.Client) -> None:
    with served(home, DM_MEMORY_HTTP_HOSTS="memory.example", DM_MEMORY_HTTP_ORIGINS="https://app.example") as server:
        host, port = server.address
        ours = f"{host}:{port}"
        for name, value, status in (
            ("host", "evil.example", 421),
            ("host", f"evil.example:{port}", 421),
            ("host", "192.0.2.1", 421),
            ("host", "127.0.0.1.evil.example", 421),
            ("host", "localhost", 200),
            ("host", f"[::1]:{port}", 200),
            ("host", "memory.example", 200),
            ("origin", "https://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "http://[", 403),
            ("origin", f"ftp://{ours}", 403),
            ("origin", f"http://{ours}", 200),
            ("origin", "https://app.example", 200),
            ("x-forwarded-for", "192.0.2.1", 403),
            ("x-forwarded-proto", "https", 403),
            ("via", "1.1 proxy.example", 403),
        ):
            sent = headers(MODERN, "", "tools/list") | {name: value}
            assert client.post(server.url, json=message(MODERN, "tools/list"), headers=sent).status_code == status, (
                value
            )
        evil = client.get(server.url.replace("/mcp", "/healthz"), headers={"host": "anything"})
        assert (evil.status_code, evil.text) == (200, "ok\n")


def raw(server: Served, sent: bytes) -> str:
    """Send bytes over one connection and return all that comes back until the server closes it."""
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received.decode()


def post(path: str, secret: str, *more: str) -> bytes:
    """Return a request for the list of brands as bytes."""
    body = json.dumps(message(LEGACY, "resources/read", {"uri": "dm-memory://brands"})).encode()
    sent = headers(LEGACY, secret) | {"host": "127.0.0.1", "content-type": "application/json"}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), *more]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def test_requests_of_several_tokens_over_one_connection_have_each_their_own_access(home: Path) -> None:
    ada, everybody = token(home, "ada", "acme"), token(home, "everybody")
    with served(home, "--require-token") as server:
        behind = [("/mcp", ada), ("/mcp/bolt", everybody), ("/mcp/bolt", ada), ("/mcp", everybody)]
        sent = b"".join(post(*each) for each in behind)
        received = raw(server, sent + post("/mcp/acme", everybody, "connection: close"))
    assert re.findall(r"HTTP/1.1 (\d+)", received) == ["200", "200", "404", "200", "200"]
    assert re.findall(r'"text":"(.*?\])"', received) == [
        each.replace('"', '\\"') for each in ('["acme"]', '["bolt"]', '["acme","bolt"]', '["acme"]')
    ]


def test_a_request_that_two_servers_may_read_differently_is_refused(home: Path) -> None:
    secret, other = token(home, "ada", "acme"), token(home, "everybody")
    hidden = b"0\r\n\r\n" + post("/mcp", secret)
    both = f"POST /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(hidden)}\r\n"
    with served(home, "--require-token") as server:
        received = raw(server, f"{both}transfer-encoding: chunked\r\n\r\n".encode() + hidden)
        assert re.findall(r"HTTP/1.1 (\d+)", received) == ["400"]
        for first, second in ((secret, other), (other, secret)):
            received = raw(server, post("/mcp", first, f"authorization: Bearer {second}", "connection: close"))
            assert received.startswith("HTTP/1.1 401")


def test_what_is_refused_counts_as_a_request_of_the_token(home: Path, client: httpx.Client) -> None:
    secret = token(home, "ada", "acme")
    with served(home, "--require-token", DM_MEMORY_HTTP_RATE="1") as server:
        url = server.url + "/bolt"
        codes = [call(client, url, "get_memory_status", secret=secret).status_code for _ in range(25)]
    assert codes == [404] * 20 + [429] * 5


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "\0"])
def test_a_host_that_can_not_be_a_name_is_said(host: str) -> None:
    with pytest.raises(ConfigurationError, match="can't listen"):
        _listen(host, 0)


def test_the_second_part_of_an_answer_does_not_wait_for_the_first_to_be_acknowledged() -> None:
    async def act() -> int:
        met: asyncio.Queue[int] = asyncio.Queue()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            met.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            writer.close()
            return await asyncio.wait_for(met.get(), 60)

    assert asyncio.run(act())


@pytest.mark.parametrize("address", ["", "x", "70000", "::1:80", "[::1:80", "1.2.3.4", "127.0.0.1:-1", "127.0.0.1:٣"])
def test_an_address_that_can_not_be_read_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_address(address)


def test_addresses_are_read_as_people_write_them() -> None:
    assert parse_address("8000") == ("127.0.0.1", 8000)
    assert parse_address("192.0.2.1:80") == ("192.0.2.1", 80)
    assert parse_address("[::1]:8000") == ("::1", 8000)
    assert parse_address("localhost:0") == ("localhost", 0)


def test_a_port_that_is_taken_and_a_setting_that_is_wrong_are_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "can't listen at 127.0.0.1 port" in refused(home, "--http", str(taken.getsockname()[1]))
    assert "DM_MEMORY_HTTP_RATE" in refused(home, "--http", "0", DM_MEMORY_HTTP_RATE="-42")
    assert "DM_MEMORY_OAUTH_AUDIENCE" in refused(home, "--http", "0", DM_MEMORY_OAUTH_ISSUER="https://login.example")


# What a request may cost ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("era", ERAS)
def test_a_body_that_is_too_large_is_refused(home: Path, client: httpx.Client, era: str, chunked: bool) -> None:
    with served(home) as server:
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"x" * 5_000_000 + b'"}'
        sent = headers(era, "", "x") | {"content-type": "application/json"}
        content = (body[at : at + 65536] for at in range(0, len(body), 65536)) if chunked else body
        assert client.post(server.url, content=content, headers=sent).status_code == 413
        assert ask(client, server.url, "tools/list", era=era).status_code == 200


def test_a_token_that_asks_too_often_waits_and_others_do_not(home: Path, client: httpx.Client) -> None:
    greedy, modest = token(home, "greedy", "acme"), token(home, "modest", "acme")
    with served(home, "--require-token", DM_MEMORY_HTTP_RATE="1") as server:
        answers = [ask(client, server.url, "tools/list", secret=greedy) for _ in range(21)]
        assert [each.status_code for each in answers] == [200] * 20 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert ask(client, server.url, "tools/list", secret=modest).status_code == 200


@pytest.mark.slow
def test_ten_thousand_bad_tokens_cost_little_and_keep_nobody_out(home: Path, client: httpx.Client) -> None:
    secret = token(home, "ada", "acme")

    def attack(number: int) -> list[int]:
        with httpx.Client(timeout=60, trust_env=False) as attacker:
            sent = message(MODERN, "tools/list")
            return [
                attacker.post(
                    server.url, json=sent, headers=headers(MODERN, f"dmm_{number}_{n}", "tools/list")
                ).status_code
                for n in range(1250)
            ]

    with served(home, "--require-token") as server, ThreadPoolExecutor(8) as pool:
        before = ask(client, server.url, "tools/list", secret=secret)
        running = [pool.submit(attack, number) for number in range(8)]
        during = [ask(client, server.url, "tools/list", secret=secret).status_code for _ in range(20)]
        codes = [code for each in running for code in each.result()]
        assert before.status_code == 200
        assert during == [200] * 20
        assert len(codes) == 10_000
        assert set(codes) == {401, 429}
        # The bucket of an address has 20, and gets one every two seconds.
        assert codes.count(401) < 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_client_that_is_slow_on_purpose_is_cut(quick: Served, sent: bytes) -> None:
    with socket.create_connection(quick.address, timeout=60) as connection:
        connection.sendall(sent)
        received = b"x"
        deadline = time.monotonic() + 45  # without the cut it would drip for ever
        try:
            while received:  # it drips as long as somebody listens
                assert time.monotonic() < deadline
                connection.settimeout(0.2)
                try:
                    received = connection.recv(4096)
                except TimeoutError:
                    connection.sendall(b"X" if sent else b"")
        except OSError:
            pass


def test_a_body_without_end_is_cut_soon_after_the_answer(home: Path, tmp_path: Path) -> None:
    program = "from dm_memory_server.http.limits import DeadlineProtocol as P\nP.LINGER_SECONDS = 0.5\n"
    head = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    token(home, "ada")
    with (
        served(home, "--require-token", PYTHONPATH=patched(tmp_path, program)) as server,
        socket.create_connection(server.address, timeout=60) as connection,
    ):
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        deadline = time.monotonic() + 30  # without the cut it would be read for a minute
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                connection.sendall(b"4\r\nabcd\r\n")
                time.sleep(0.01)
        assert time.monotonic() < deadline


def test_a_body_that_follows_its_answer_costs_the_client_no_connection(home: Path, tmp_path: Path) -> None:
    program = (
        "from dm_memory_server.http.limits import DeadlineProtocol as P\nP.LINGER_SECONDS = P.BODY_SECONDS = 1.0\n"
    )
    whole = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nabcd"
    token(home, "ada")
    with (
        served(home, "--require-token", PYTHONPATH=patched(tmp_path, program)) as server,
        socket.create_connection(server.address, timeout=60) as connection,
    ):
        connection.sendall(whole[:-4])
        assert refusal(connection).startswith(b"HTTP/1.1 401")
        connection.sendall(whole[-4:])
        time.sleep(1.5)  # longer than its body may take
        connection.sendall(whole)
        assert refusal(connection).startswith(b"HTTP/1.1 401")


def refusal(connection: socket.socket) -> bytes:
    """Return one refusal, whole."""
    received = b""
    while not received.endswith(b"}}"):
        part = connection.recv(65536)
        assert part, "the connection was cut"
        received += part
    return received


def test_half_a_body_that_came_with_the_request_before_is_cut_as_well(quick: Served) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with contextlib.suppress(ConnectionResetError):
        raw(quick, whole + post("/mcp", "")[:-1])  # ends as soon as the connection does


def test_slow_clients_keep_nobody_out(quick: Served, client: httpx.Client) -> None:
    slow = [socket.create_connection(quick.address, timeout=60) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(b"POST /mcp HTTP/1.1\r\n")
        assert call(client, quick.url, "search_memory", query="reels").status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_connections_that_ask_nothing_give_way_to_those_that_do(home: Path, client: httpx.Client) -> None:
    with served(home, DM_MEMORY_HTTP_CONNECTIONS="5") as server:
        idle = [socket.create_connection(server.address, timeout=60) for _ in range(130)]
        try:
            assert ask(client, server.url, "tools/list").status_code == 200
        finally:
            for connection in idle:
                connection.close()


def test_connections_beyond_the_limit_are_refused_if_all_are_in_use_and_nothing_breaks(
    home: Path, client: httpx.Client
) -> None:
    begun = post("/mcp", "")[:-1]  # it is read, as long as the rest is on its way
    with served(home, DM_MEMORY_HTTP_CONNECTIONS="5") as server:
        busy = [socket.create_connection(server.address, timeout=60) for _ in range(4)]
        for connection in busy:
            connection.sendall(begun)
        time.sleep(1)  # until their heads are read they count as idle
        waiting_until(lambda: ask(client, server.url, "tools/list").status_code == 503)
        for connection in busy:
            connection.close()
        waiting_until(lambda: ask(client, server.url, "tools/list").status_code == 200)


@pytest.fixture
def quick(home: Path, tmp_path: Path) -> Iterator[Served]:
    """A server whose patience is a second."""
    program = "from dm_memory_server.http.limits import DeadlineProtocol as P\nP.HEAD_SECONDS = P.BODY_SECONDS = 1.0\n"
    with served(home, PYTHONPATH=patched(tmp_path, program)) as server:
        yield server


def patched(folder: Path, program: str) -> str:
    """Return a folder from which Python takes a program that runs before any other."""
    (folder / "patch").mkdir()
    (folder / "patch" / "sitecustomize.py").write_text(program)
    return str(folder / "patch")


# Its end -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
@pytest.mark.parametrize("era", ERAS)
def test_a_running_call_is_answered_before_the_server_ends(home: Path, era: str, number: int) -> None:
    many(home, 1500)
    with served(home) as server, ThreadPoolExecutor(1) as pool, httpx.Client(timeout=60, trust_env=False) as other:
        running = pool.submit(call, other, server.url, "sync_memory", era=era)
        waiting_until((home / "brands" / "acme" / "memory").is_dir)
        server.process.send_signal(number)
        response = running.result()
        assert "Memory now has 1,500 new entries" in text_of(response), response.text[:500]
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_takes_too_long_is_cut_and_what_was_handed_in_stays(home: Path, tmp_path: Path, era: str) -> None:
    memory = home / "brands" / "acme" / "memory"
    memory.mkdir(mode=0o700)
    learned = ["Kites sell in March."]
    patience = patched(tmp_path, "import dm_memory_server.http.serve as s\ns.GRACE = 1\n")
    with (
        filelock.FileLock(memory / ".sync.lock"),  # the call waits for it
        served(home, PYTHONPATH=patience) as server,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(timeout=60, trust_env=False) as other,
    ):
        running = pool.submit(call, other, server.url, "sync_memory", era=era, session_learnings=learned)
        waiting_until((memory / "journal.jsonl").is_file)
        server.process.terminate()
        assert server.process.wait(30) == 0
        with contextlib.suppress(httpx.TransportError):
            assert "Memory now has" not in running.result().text
        assert "Traceback" not in server.log()
    with served(home) as server, httpx.Client(timeout=60, trust_env=False) as other:
        assert "Kites sell in March." in text_of(call(other, server.url, "sync_memory", era=era))


def test_an_idle_server_ends_at_once(home: Path) -> None:
    with served(home) as server:
        server.process.terminate()
        assert server.process.wait(30) == 0


def waiting_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_only_posts_are_answered_and_nothing_else_is_there(home: Path, client: httpx.Client) -> None:
    with served(home) as server:
        for method in ("GET", "DELETE", "PUT"):
            response = client.request(method, server.url, headers=headers(LEGACY))
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        for path in ("/", "/mcp/acme/x", "/.well-known/oauth-protected-resource", "/docs", "/healthz/x"):
            assert client.get(server.url.replace("/mcp", path)).status_code == 404
