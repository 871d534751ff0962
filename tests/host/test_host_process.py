"""A plugin as a child process under a go-plugin host: everything that the process itself must get right."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import host_identity
from goplugin import PLUGINS, Host, Process, environment, gone, orphan, start

from authkit.errors import RPCError, StatusCode
from authkit.logical import Operation
from authkit.plugin.pb.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from authkit.plugin.pb.stdio_pb2 import StdioData
from authkit.wire.pb import backend_pb2 as pb

PROBE = PLUGINS / "probe.py"
LAUNCHER = "from authkit import serve; serve({!r})"


@pytest.fixture
async def host(short_directory: Path) -> AsyncIterator[Host]:
    """A host without plugin."""
    made = Host(short_directory)
    yield made
    await made.close()


# --- starting ----------------------------------------------------------------------------------


async def test_started_by_hand_it_says_what_it_is() -> None:
    """One helpful line on standard error, nothing on standard output, status 1."""
    process = await start(PROBE, variables={"PATH": os.environ["PATH"]})
    assert await process.ended() == 1
    assert process.lines == [line for line in process.lines if "probe.py is a plugin" in line]
    assert len(process.lines) == 1


async def test_the_probe_for_a_database_plugin_is_refused() -> None:
    """A server that looks for the type of an unknown plugin starts it with another cookie first."""
    database = {"VAULT_DATABASE_PLUGIN": "926a0820-aea2-be28-51d6-83cdf00e8edb", "VAULT_BACKEND_PLUGIN": None}
    process = await start(PROBE, variables=environment(host_identity(), **database))
    assert await process.ended() == 1


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"PLUGIN_CLIENT_CERT": None}, "PLUGIN_CLIENT_CERT"),
        ({"PLUGIN_CLIENT_CERT": "-----BEGIN nonsense"}, "PLUGIN_CLIENT_CERT"),
        ({"PLUGIN_PROTOCOL_VERSIONS": "7,8"}, "PLUGIN_PROTOCOL_VERSIONS"),
        ({"PLUGIN_PROTOCOL_VERSIONS": None}, "PLUGIN_PROTOCOL_VERSIONS"),
        ({"PLUGIN_UNIX_SOCKET_DIR": "/no/such/directory"}, "PLUGIN_UNIX_SOCKET_DIR"),
        ({"PLUGIN_UNIX_SOCKET_DIR": "/proc"}, "PLUGIN_UNIX_SOCKET_DIR"),
        ({"PLUGIN_UNIX_SOCKET_GROUP": "no-such-group"}, "PLUGIN_UNIX_SOCKET_GROUP"),
        ({"PLUGIN_MIN_PORT": "many"}, "PLUGIN_MIN_PORT"),
        ({"TMPDIR": "/no/such/directory"}, "TMPDIR"),
        ({"AUTHKIT_RPC": "carrier-pigeon"}, "AUTHKIT_RPC"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_an_environment_that_does_not_allow_a_start_is_named(
    changes: dict[str, str | None], variable: str
) -> None:
    """One log line at error that names the variable, no handshake line, status 1."""
    process = await start(PROBE, variables=environment(host_identity(), **changes))
    assert await process.first_line() is None
    assert await process.ended() == 1
    (record,) = process.records()
    assert record["@level"] == "error"
    assert variable in record["@message"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_here\n", "ModuleNotFoundError"),
        ("import sys; sys.exit(0)\n", "SystemExit"),
        ("x = 1\n", "has no attribute 'Method'"),
        ("class Method: pass\n", "has no attribute 'factory'"),
    ],
)
async def test_an_error_in_the_author_s_module_reaches_the_log(
    source: str, expected: str, short_directory: Path
) -> None:
    """With its traceback from the author's code on, at error, and the process ends with 1."""
    (short_directory / "faulty.py").write_text(source)
    code = f"import sys; sys.path.insert(0, {str(short_directory)!r})\n" + LAUNCHER.format("faulty:Method")
    process = await start("-c", code, variables=environment(host_identity()))
    assert await process.ended() == 1
    (record,) = process.records()
    assert record["@level"] == "error"
    assert expected in record["error"]
    assert expected in record["traceback"]
    assert not {"importlib", "serving.py"} & set(re.findall(r"[\w.]+", record["traceback"]))


async def test_output_before_the_handshake_does_not_corrupt_it(host: Host, short_directory: Path) -> None:
    """What a module prints while it is imported goes to the log; the first line is the handshake."""
    (short_directory / "chatty.py").write_text(
        "print('hello')\nimport sys, os\nos.write(1, b'raw\\n')\n"
        f"sys.path.insert(0, {str(PLUGINS)!r})\nfrom probe import Probe\n"
    )
    code = f"import sys; sys.path.insert(0, {str(short_directory)!r})\n" + LAUNCHER.format("chatty:Probe")
    await host.launch("-c", code)
    assert host.handshake.fields[:3] == ("1", "5", "unix")
    assert (await host.process.logged("hello"))["@level"] == "info"
    await host.process.logged("raw")


async def test_the_handshake_line_is_what_hosts_expect(host: Host) -> None:
    """Six fields, a private socket, our certificate; seven when multiplexing was asked for, declined."""
    await host.launch(PROBE)
    core, version, network, address, protocol, certificate = host.handshake.fields
    assert (core, version, network, protocol) == ("1", "5", "unix", "grpc")
    assert os.stat(os.path.dirname(address)).st_mode & 0o777 == 0o700
    assert len(certificate) > 50
    assert not certificate.endswith("=")
    other = await start(
        PROBE, variables=environment(host.identity, PLUGIN_MULTIPLEX_GRPC="true", TMPDIR=str(host.directory))
    )
    assert (await other.first_line() or "").split("|")[6] == "false"
    assert other.child is not None
    other.child.kill()
    await other.ended()


async def test_the_socket_is_where_the_host_wants_it(host: Host) -> None:
    """Directly in the directory named by the host, and reachable there."""
    await host.launch(
        PROBE, PLUGIN_UNIX_SOCKET_DIR=str(host.directory), PLUGIN_UNIX_SOCKET_GROUP=str(os.getgid())
    )
    assert Path(host.handshake.address.target).parent == host.directory
    assert await host.shut_down() == 0
    assert not Path(host.handshake.address.target).exists()


# --- serving -----------------------------------------------------------------------------------


async def test_a_mount_is_set_up_used_and_cleaned_up(host: Host) -> None:
    """Setup dials back for storage; requests use it; Cleanup ends it; the process ends with 0."""
    await host.launch(PROBE)
    mount = await host.mount()
    assert (await mount.request(Operation.UPDATE, "put", value="kept")).response.data == ""
    assert (await mount.response(Operation.READ, "get")).data == {"value": "kept"}
    assert pb.TypeReply.FromString(await mount.call("Type", pb.Empty())).type == 2
    paths = pb.SpecialPathsReply.FromString(await mount.call("SpecialPaths", pb.Empty())).paths
    assert list(paths.unauthenticated) == ["login"]
    await mount.call("Cleanup", pb.Empty())
    await host.process.logged("cleaned up")
    with pytest.raises(RPCError, match="no backend is set up"):
        await mount.request(Operation.READ, "get")
    assert await host.shut_down() == 0


async def test_one_process_serves_many_mounts(host: Host) -> None:
    """Each with its own storage, its own connection and its own end."""
    await host.launch(PROBE)
    mounts = [await host.mount(f"m{number}") for number in range(3)]
    for number, mount in enumerate(mounts):
        await mount.request(Operation.UPDATE, "put", value=str(number))
    await mounts[0].call("Cleanup", pb.Empty())
    pids = set()
    for number, mount in list(enumerate(mounts))[1:]:
        assert (await mount.response(Operation.READ, "get")).data == {"value": str(number)}
        info = (await mount.response(Operation.READ, "info")).data
        assert info is not None
        pids.add(info["pid"])
        assert info["uuid"] == f"uuid-m{number}"
    assert pids == {host.process.pid}


async def test_the_services_are_described(host: Host) -> None:
    """Health is served, and reflection lists and describes every service, also those of the backend."""
    await host.launch(PROBE)
    assert await host.channel.call("/grpc.health.v1.Health/Check", b"\x0a\x06plugin") == b"\x08\x01"

    async def questions() -> AsyncIterator[bytes]:
        yield ServerReflectionRequest(list_services="*").SerializeToString()
        yield ServerReflectionRequest(file_containing_symbol="pb.Backend").SerializeToString()

    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    answers = [ServerReflectionResponse.FromString(a) async for a in host.channel.stream(path, questions())]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {
        "pb.Backend",
        "logical.PluginVersion",
        "pluginutil.multiplexing.PluginMultiplexing",
        "plugin.GRPCBroker",
        "plugin.GRPCController",
        "plugin.GRPCStdio",
        "grpc.health.v1.Health",
    } <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto


async def test_strangers_are_refused_and_the_plugin_serves_on(host: Host) -> None:
    """A client with a certificate of its own gets no further than TLS; the log tells of it."""
    await host.launch(PROBE)
    mount = await host.mount()
    stranger = host.channel_as(host_identity(), host.plugin_identity)
    with pytest.raises(RPCError) as caught:
        await stranger.call("/pb.Backend/Type", b"", timeout=timedelta(seconds=5))
    assert caught.value.code is StatusCode.UNAVAILABLE
    record = await host.process.logged("connection refused")
    assert record["@level"] == "warn"
    assert (await mount.response(Operation.READ, "info")).data


async def test_a_host_server_with_another_certificate_is_refused(host: Host) -> None:
    """The plugin gives its storage calls to nobody but the announced host."""
    host.presented = host_identity()
    await host.launch(PROBE)
    _, error = await host.set_up("m1")
    assert "certificate is not the announced one" in error
    record = await host.process.logged("not the announced one")
    assert record["@level"] == "error"


async def test_a_failing_handler_harms_nobody(host: Host) -> None:
    """A raise, a sys.exit, a cancellation of its own: a neutral error with the id, the cause in the log."""
    await host.launch(PROBE)
    mount = await host.mount()
    for path, cause in (
        ("raise", "a detail of the inside"),
        ("exit", "SystemExit"),
        ("cancel", "CancelledError"),
    ):
        reply = await mount.request(Operation.READ, path)
        assert reply.err.err_type in (0, 2)
        assert "req-1" in reply.err.err_msg
        assert cause not in reply.err.err_msg
        record = await host.process.logged(cause)
        assert record["request_id"] == "req-1"
        assert "Traceback" in record["traceback"]
    assert (await mount.response(Operation.READ, "info")).data


async def test_a_task_that_was_left_behind_ends_nothing(host: Host) -> None:
    """A SystemExit in a task of the author's own is logged; every mount goes on."""
    await host.launch(PROBE)
    mount = await host.mount()
    await mount.request(Operation.READ, "stray-task")
    record = await host.process.logged("tried to end the process")
    assert record["error"].startswith("SystemExit")
    assert (await mount.response(Operation.READ, "info")).data
    assert await host.shut_down() == 0


async def test_what_code_prints_reaches_the_log(host: Host) -> None:
    """Prints, raw writes, long lines and children's output, each as a valid log line and on the stream."""
    await host.launch(PROBE)
    mount = await host.mount()
    await mount.request(Operation.READ, "print")
    for text, level in (
        ("printed to stdout", "info"),
        ("printed to stderr", "warn"),
        ("written to descriptor 1", "info"),
        ("from a child", "info"),
        ("a debug line of the plugin", "debug"),
    ):
        assert (await host.process.logged(text))["@level"] == level
    assert not any("a debug line of a library" in line for line in host.process.lines)
    assert max(len(line) for line in host.process.lines) < 64 * 1024
    for record in host.process.records():
        assert all(type(record[name]) is str for name in ("@level", "@message", "@timestamp"))
    for channel, data in ((1, b"printed to stdout\n"), (2, b"printed to stderr\n")):
        await host.received(StdioData(channel=channel, data=data).SerializeToString())


async def test_printed_secrets_are_masked(host: Host) -> None:
    """A private key over many lines and a token in a print or a log line do not arrive anywhere."""
    await host.launch(PROBE)
    mount = await host.mount()
    key = host.identity.private_key_pem.decode()
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    await mount.request(Operation.UPDATE, "print-secret", text=f"{key}and {token}\nthe end")
    await host.process.logged("the end")
    everything = "\n".join(host.process.lines) + "".join(map(repr, host.printed))
    assert token not in everything
    for line in key.splitlines()[1:-1]:
        assert line not in everything


async def test_an_exception_in_a_thread_reaches_the_log(host: Host) -> None:
    """At error, with its traceback; and a thread that does not end does not hold the process."""
    await host.launch(PROBE)
    mount = await host.mount()
    await mount.request(Operation.READ, "thread")
    record = await host.process.logged("in a thread")
    assert record["@level"] == "error"
    assert await host.shut_down() == 0


# --- ending ------------------------------------------------------------------------------------


async def test_a_stray_child_does_not_hold_the_host_s_pipes(host: Host) -> None:
    """A host waits for the end of both pipes: a child process must not keep them open."""
    await host.launch(PROBE)
    mount = await host.mount()
    data = (await mount.response(Operation.READ, "stray-child")).data
    assert data is not None
    try:
        assert await host.shut_down() == 0
    finally:
        os.kill(data["pid"], signal.SIGKILL)


async def test_interrupt_is_ignored_and_terminate_drains(host: Host) -> None:
    """Ctrl-C at the server's terminal is none of the plugin's business; SIGTERM ends it in order."""
    await host.launch(PROBE)
    mount = await host.mount()
    os.kill(host.process.pid, signal.SIGINT)
    assert (await mount.response(Operation.READ, "info")).data
    os.kill(host.process.pid, signal.SIGTERM)
    assert await host.process.ended() == 0
    assert any("cleaned up" in line for line in host.process.lines)


async def test_private_files_are_gone_at_the_end(host: Host, short_directory: Path) -> None:
    """Nothing is left in the temporary directory."""
    directory = short_directory / "t"
    directory.mkdir()
    await host.launch(PROBE, TMPDIR=str(directory))
    await host.mount()
    assert list(directory.iterdir())
    assert await host.shut_down() == 0
    assert list(directory.iterdir()) == []


async def test_it_ends_when_the_host_hangs_up(host: Host) -> None:
    """Without Shutdown, only the connection closed: the process ends by itself within five seconds."""
    await host.launch(PROBE)
    await host.mount()
    await host.channel.close()
    assert await host.process.ended(5) == 0


@pytest.mark.parametrize("path", ["info", "hang", "block"])
async def test_no_orphan_is_left_when_the_host_is_killed(path: str, short_directory: Path) -> None:
    """Within five seconds, also while a handler waits or blocks the whole event loop."""
    assert await gone(await orphan(short_directory, PROBE, path), 5)


async def test_many_processes_can_be_read(host: Host) -> None:
    """Every log line of a whole run is one that a host parses."""
    await host.launch(PROBE)
    await host.mount()
    await host.shut_down()
    process: Process = host.process
    assert process.lines
    for line in process.lines:
        assert isinstance(json.loads(line), dict)
