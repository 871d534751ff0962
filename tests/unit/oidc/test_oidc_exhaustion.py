"""What strangers can use up: threads that look names up, and connections to a provider."""

from __future__ import annotations

import asyncio
import socket
import threading

import httpx
import pytest
from oidc_login_provider import CODE, REQUEST, FakeProvider
from oidc_provider import Fetcher, http_answer, serve

from authkit import threads
from authkit.errors import TooManyRequestsError
from authkit.oidc.http import client as api
from authkit.oidc.http import network, resolver, transport
from authkit.oidc.http.client import MAX_SESSIONS
from authkit.oidc.http.errors import FetchError
from authkit.oidc.http.network import Network
from authkit.oidc.http.resolver import MAX_NAMES_AT_ONCE, Resolver
from authkit.threads import Threads, ThreadsBusyError


def entry(address, family=socket.AF_INET, *scope):
    """What `getaddrinfo` returns of one address."""
    return family, socket.SOCK_STREAM, 6, "", (address, 0, *scope)


@pytest.fixture
async def names(monkeypatch):
    """Names that are looked up; those that begin with `slow` come once the test ends or `go` is set."""

    class Names:
        asked = []
        go = threading.Event()
        found = [entry("127.0.0.1")]
        failure = None

    names = Names()
    names.asked, names.go = [], threading.Event()

    def look_up(host, port, **options):
        host = host.decode() if isinstance(host, bytes) else host
        names.asked.append(host)
        if host.startswith("slow"):
            names.go.wait()
        if names.failure is not None:
            raise names.failure
        return names.found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield names
    names.go.set()


# --- names -------------------------------------------------------------------------------------


async def test_many_who_wait_for_one_name_have_one_thread(names):
    """Whoever comes while it is looked up waits for the same look-up, and gets its answer."""
    resolver = Resolver()
    waiting = [asyncio.create_task(resolver.resolve("slow.example")) for _ in range(40)]
    assert await resolver.resolve("quick.example") == ["127.0.0.1"]
    names.go.set()
    assert await asyncio.gather(*waiting) == [["127.0.0.1"]] * 40
    assert sorted(names.asked) == ["quick.example", "slow.example"]


async def test_a_name_that_does_not_come_is_refused_in_time_and_then_at_once(names, monkeypatch):
    """The thread cannot be cancelled; nobody else waits for it, and no other is started for the name."""
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", 0.01)
    names_of = Resolver()
    for _ in range(3):
        with pytest.raises(OSError, match=r"looking up the name of the host takes longer than 0\.01 s"):
            await names_of.resolve("slow.example")
    assert names.asked == ["slow.example"]


async def test_the_names_of_one_provider_have_few_threads(names, monkeypatch):
    """A provider that names ever new hosts in its documents blocks itself, and no other provider."""
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", 0.01)
    bad, good = Resolver(), Resolver()
    for number in range(MAX_NAMES_AT_ONCE):
        with pytest.raises(OSError, match="takes longer"):
            await bad.resolve(f"slow-{number}.example")
    with pytest.raises(OSError, match="too many names of this provider are being looked up"):
        await bad.resolve("quick.example")
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", 10)
    assert await good.resolve("quick.example") == ["127.0.0.1"]
    assert len(names.asked) == MAX_NAMES_AT_ONCE + 1


async def test_a_found_address_is_used_again_for_a_while(names):
    """A failure is not remembered: the next login asks again."""
    resolver = Resolver()
    names.failure = socket.gaierror(-2, "Name or service not known")
    for _ in range(2):
        with pytest.raises(OSError, match="Name or service not known"):
            await resolver.resolve("quick.example")
    names.failure = None
    for _ in range(3):
        assert await resolver.resolve("quick.example") == ["127.0.0.1"]
    assert len(names.asked) == 3


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(names, address):
    """It needs no thread."""
    assert await Resolver().resolve(address) == [address]
    assert names.asked == []


async def test_the_families_take_turns(names):
    """Addresses of a link are left out, duplicates too (RFC 8305 section 4)."""
    names.found = [
        entry("2001:db8::1", socket.AF_INET6, 0, 0),
        entry("2001:db8::2", socket.AF_INET6, 0, 0),
        entry("fe80::1", socket.AF_INET6, 0, 2),
        entry("192.0.2.1"),
        entry("192.0.2.1"),
    ]
    assert await Resolver().resolve("quick.example") == ["2001:db8::1", "192.0.2.1", "2001:db8::2"]


@pytest.mark.parametrize("failure", [UnicodeError("label too long"), None])
async def test_what_is_not_a_name_is_a_failure(names, failure):
    """As is a name without an address."""
    names.failure, names.found = failure, []
    with pytest.raises(OSError, match="the name of the host"):
        await Resolver().resolve("quick.example")


async def test_the_next_address_is_tried_beside_one_that_is_silent(names, monkeypatch):
    """A login does not wait until the first address has timed out (RFC 8305 section 5)."""
    monkeypatch.setattr(transport, "NEXT_ADDRESS_AFTER", 0.01)
    names.found = [entry("192.0.2.1"), entry("127.0.0.1")]
    real, tried = transport.httpcore.AnyIOBackend.connect_tcp, []

    async def connect(self, host, port, **options):
        tried.append(host)
        if host == "192.0.2.1":
            await asyncio.Event().wait()
        return await real(self, host, port, **options)

    monkeypatch.setattr(transport.httpcore.AnyIOBackend, "connect_tcp", connect)
    async with serve(http_answer(b"body")) as (port, requests):
        fetcher = Fetcher(f"http://quick.example:{port}/", max_bytes=9, network=Network())
        assert (await fetcher.fetch()).body == b"body"
    assert tried == ["192.0.2.1", "127.0.0.1"]
    assert b"Host: quick.example:" in requests[0]


async def test_no_address_of_several_is_a_failure(names):
    """The last one's reason is told."""
    names.found = [entry("127.0.0.2"), entry("127.0.0.3")]
    async with serve(b"") as (port, _):
        pass
    with pytest.raises(FetchError, match="no usable answer: ConnectError: "):
        await Fetcher(f"http://quick.example:{port}/", max_bytes=9, network=Network()).fetch()


async def test_requests_leave_the_threads_of_the_event_loop_alone(names, monkeypatch):
    """Neither names, nor clients, nor key sets use them."""

    def refuse(*arguments):
        raise AssertionError("the default executor is used")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
    async with serve(http_answer(b"body")) as (port, _):
        for host in ("quick.example", "127.0.0.1"):
            fetcher = Fetcher(f"http://{host}:{port}/", max_bytes=9, network=Network())
            assert (await fetcher.fetch()).body == b"body"


# --- threads -----------------------------------------------------------------------------------


async def test_threads_are_counted_until_their_call_ends():
    """Whoever stops waiting does not make room: the call goes on, and the next one waits for its end."""
    go, mine = threading.Event(), Threads(1)
    given_up = asyncio.create_task(mine.run(go.wait))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    with pytest.raises(ThreadsBusyError):
        mine.start(int)
    waiting = [asyncio.create_task(mine.run(lambda: 5)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    go.set()
    assert await asyncio.gather(*waiting) == [5, 5, 5]


async def test_threads_of_all_providers_are_bounded_together(monkeypatch):
    """However many mounts there are."""
    monkeypatch.setattr(threads, "_process", threading.BoundedSemaphore(2))
    go = threading.Event()
    running = [Threads(1).start(go.wait) for _ in range(2)]
    with pytest.raises(ThreadsBusyError):
        Threads(1).start(int)
    go.set()
    assert await asyncio.gather(*running) == [True, True]
    assert await Threads(1).run(lambda: 5) == 5


async def test_what_a_call_raises_is_raised():
    """Where it is waited for."""

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Threads(1).run(fail)


# --- connections -------------------------------------------------------------------------------


class Slow:
    """An endpoint that answers when the test says so, and counts how many wait for it."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.waiting = self.most = 0

    async def answer(self, request):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.gate.wait()
        self.waiting -= 1
        return httpx.Response(400, json={"error": "invalid_grant"})


async def test_strangers_open_few_connections(monkeypatch):
    """Of three hundred at once a few are asked for at the provider; the others are told to come again."""
    monkeypatch.setattr(api, "BUSY_SECONDS", 0.05)
    provider, slow = FakeProvider(), Slow()
    provider.answers["/token"] = slow.answer
    client = provider.client()
    await client.authorization_url(REQUEST)
    strangers = [asyncio.create_task(client.exchange(CODE, REQUEST)) for _ in range(300)]
    refused, _ = await asyncio.wait(strangers, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(next(iter(refused)).exception(), TooManyRequestsError)
    slow.gate.set()
    await asyncio.wait(strangers)
    assert slow.most == MAX_SESSIONS
    kinds = [type(each.exception()).__name__ for each in strangers]
    assert kinds.count("OAuthError") + kinds.count("TooManyRequestsError") == 300
    assert kinds.count("OAuthError") >= MAX_SESSIONS
    slow.most = 0
    with pytest.raises(Exception, match="invalid_grant"):
        await client.exchange(CODE, REQUEST)
    assert slow.most == 1


async def test_a_lookup_that_was_given_up_makes_room():
    """Whoever hangs up does not keep a place."""
    slow = Slow()
    network = Network(transport=httpx.MockTransport(slow.answer))
    endpoint = api.HTTPClient(network)

    async def ask():
        async with endpoint.session("https://a.example/") as session:
            await session.get("https://a.example/")

    for _ in range(2):
        asking = [asyncio.create_task(ask()) for _ in range(MAX_SESSIONS)]
        while slow.waiting < MAX_SESSIONS:
            await asyncio.sleep(0)
        for each in asking:
            each.cancel()
        await asyncio.wait(asking)
        slow.waiting = 0


async def test_roots_are_loaded_once_for_all_providers(monkeypatch):
    """After a start all providers are asked at once; if each loaded the roots, logins would wait."""
    made, second, build = [], threading.Event(), network.build_context

    def build_slowly(ca_pem):
        made.append(ca_pem)
        if len(made) > 1:
            second.set()
        second.wait(0.2)
        return build(ca_pem)

    monkeypatch.setattr(network, "build_context", build_slowly)
    network._system_context.cache_clear()
    clients = await asyncio.gather(*(Network().open("https://idp.example/", {}) for _ in range(8)))
    for client in clients:
        await client.aclose()
    assert made == [None]
