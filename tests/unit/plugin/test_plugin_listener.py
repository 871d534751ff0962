"""Where the plugin listens, how long it lives, and the services beside its own."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from authkit.errors import HandshakeError, RPCError, StatusCode
from authkit.plugin import lifetime, listener
from authkit.plugin.environment import HostEnvironment
from authkit.plugin.lifetime import wait_for_host_to_leave
from authkit.plugin.listener import listen
from authkit.plugin.pb.health_pb2 import HealthCheckRequest, HealthCheckResponse
from authkit.plugin.pb.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from authkit.plugin.security.private_directory import PrivateDirectory
from authkit.plugin.services.broker import Broker
from authkit.plugin.services.controller import Controller, Health
from authkit.plugin.services.open_calls import OpenCalls
from authkit.plugin.services.reflection import Reflection
from authkit.rpc import CallContext


def mode(path: str | Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def private(short_directory: Path) -> Iterator[PrivateDirectory]:
    """The directory of the process."""
    with closing(PrivateDirectory(str(short_directory), prefix="authkit-", variable="TMPDIR")) as made:
        yield made


def test_the_socket_accepts_its_owner_alone(private: PrivateDirectory) -> None:
    """Without a group nobody else may connect; closing removes the file."""
    made = listen(HostEnvironment(), private)
    assert mode(made.address.target) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(made.address.target)
    made.close()
    assert list(Path(private.path).iterdir()) == []


def test_the_socket_is_where_the_host_wants_it(short_directory: Path, private: PrivateDirectory) -> None:
    """Directly in PLUGIN_UNIX_SOCKET_DIR, and open for the group."""
    group = str(os.getgid())
    environment = HostEnvironment(socket_directory=str(short_directory), socket_group=group)
    made = listen(environment, private)
    path = Path(made.address.target)
    assert path.parent == short_directory
    assert path.name.startswith("plugin")
    assert mode(path) == 0o660
    assert path.stat().st_gid == os.getgid()
    assert {path.name, Path(private.path).name} == {each.name for each in short_directory.iterdir()}
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    made.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("wish", "variable"),
    [
        ({"socket_directory": "{dir}/missing"}, "PLUGIN_UNIX_SOCKET_DIR is not a directory"),
        ({"socket_directory": "{dir}/" + "x" * 100}, "PLUGIN_UNIX_SOCKET_DIR"),
        ({"socket_group": "no-such-group-here"}, "PLUGIN_UNIX_SOCKET_GROUP"),
        ({"socket_group": "²"}, "PLUGIN_UNIX_SOCKET_GROUP"),
        ({"socket_group": "9" * 30}, "PLUGIN_UNIX_SOCKET_GROUP"),
    ],
)
def test_a_wish_that_cannot_be_met_names_its_variable(
    wish: dict[str, str], variable: str, short_directory: Path, private: PrivateDirectory
) -> None:
    """And leaves no file behind."""
    wish = {key: value.format(dir=short_directory) for key, value in wish.items()}
    if "x" * 100 in str(wish):
        os.mkdir(wish["socket_directory"])
    with pytest.raises(HandshakeError, match=variable):
        listen(HostEnvironment(**wish), private)  # type: ignore[arg-type]
    private.close()
    assert not [path for path in short_directory.rglob("*") if path.is_socket()]


def test_a_path_too_long_for_a_socket_names_tmpdir(short_directory: Path) -> None:
    """Linux takes 107 bytes."""
    deep = short_directory / ("x" * 100)
    deep.mkdir()
    with (
        closing(PrivateDirectory(str(deep), prefix="authkit-", variable="TMPDIR")) as private,
        pytest.raises(HandshakeError, match="TMPDIR is too long"),
    ):
        listen(HostEnvironment(), private)


def test_tcp_is_used_where_there_are_no_unix_sockets(
    monkeypatch: pytest.MonkeyPatch, private: PrivateDirectory
) -> None:
    """On loopback, within the host's range, skipping ports in use."""
    monkeypatch.delattr(listener.socket, "AF_UNIX")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        made = listen(HostEnvironment(min_port=port, max_port=min(port + 50, 65535)), private)
        host, _, chosen = made.address.target.partition(":")
        assert (made.address.network, host) == ("tcp", "127.0.0.1")
        assert port < int(chosen) <= port + 50
        made.close()
        with pytest.raises(HandshakeError, match="PLUGIN_MIN_PORT"):
            listen(HostEnvironment(min_port=port, max_port=port), private)


async def test_a_host_that_leaves_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its stream is the end, unless it comes back within the grace."""
    monkeypatch.setattr(lifetime, "SHUTDOWN_GRACE_SECONDS", 0.01)
    broker = Broker(None, OpenCalls())  # type: ignore[arg-type]
    broker.host_came.set()
    broker.host_left.set()
    assert "closed its connection" in await wait_for_host_to_leave(broker)


async def test_a_host_that_never_comes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin whose host gave up does not wait for ever."""
    monkeypatch.setattr(lifetime, "HOST_MUST_CONNECT_SECONDS", 0.01)
    assert "no host connected" in await wait_for_host_to_leave(Broker(None, OpenCalls()))  # type: ignore[arg-type]


def test_shutdown_stops_and_answers() -> None:
    """The answer is an empty message; stopping is somebody else's work."""
    stopped: list[bool] = []
    (method,) = Controller(lambda: stopped.append(True)).methods()
    assert method.handler(b"", CallContext(method.path)) == b""  # type: ignore[arg-type]
    assert stopped == [True]


async def once(message: bytes) -> AsyncIterator[bytes]:
    """A stream of one message."""
    yield message


async def test_health_answers_for_the_plugin() -> None:
    """`plugin` and the whole server serve; another name is unknown."""
    check, watch = Health(OpenCalls()).methods()
    assert (
        check.handler(HealthCheckRequest(service="plugin").SerializeToString(), CallContext(""))
        == b"\x08\x01"
    )  # type: ignore[arg-type]
    with pytest.raises(RPCError) as caught:
        check.handler(HealthCheckRequest(service="x").SerializeToString(), CallContext(""))  # type: ignore[arg-type]
    assert caught.value.code is StatusCode.NOT_FOUND
    replies = watch.handler(once(b""), CallContext(""))  # type: ignore[arg-type]
    assert HealthCheckResponse.FromString(await anext(replies)).status == HealthCheckResponse.SERVING  # type: ignore[arg-type]
    await replies.aclose()  # type: ignore[union-attr]


async def ask(reflection: Reflection, **question: str) -> ServerReflectionResponse:
    """One question to the reflection service."""
    method = reflection.methods()[0]
    request = ServerReflectionRequest(**question).SerializeToString()
    async for reply in method.handler(once(request), CallContext(method.path)):  # type: ignore[arg-type]
        return ServerReflectionResponse.FromString(reply)
    raise AssertionError


async def test_reflection_describes_the_services() -> None:
    """A tool can list the services and fetch the files that describe them, imports included."""
    from google.protobuf import descriptor_pb2

    from authkit.plugin.pb import _pool, stdio_pb2

    del stdio_pb2
    reflection = Reflection(["plugin.GRPCStdio"], lambda: [_pool.POOL])
    listed = await ask(reflection, list_services="*")
    assert [item.name for item in listed.list_services_response.service] == [
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "plugin.GRPCStdio",
    ]
    found = await ask(reflection, file_containing_symbol="plugin.GRPCStdio")
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in found.file_descriptor_response.file_descriptor_proto
    ]
    assert any(service.name == "GRPCStdio" for file in files for service in file.service)
    assert files[0].package == "google.protobuf"
    again = await ask(reflection, file_by_filename=files[-1].name)
    assert again.file_descriptor_response == found.file_descriptor_response
    missing = await ask(reflection, file_containing_symbol="no.Such")
    assert missing.error_response.error_code == StatusCode.NOT_FOUND
    odd = await ask(reflection, all_extension_numbers_of_type="x")
    assert odd.error_response.error_code == StatusCode.UNIMPLEMENTED


def test_waiting_is_cancellable() -> None:
    """`wait_for_host_to_leave` is a plain coroutine: cancelling it ends it."""

    async def main() -> None:
        task = asyncio.ensure_future(wait_for_host_to_leave(Broker(None, OpenCalls())))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
