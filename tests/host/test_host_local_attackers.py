"""Who else is on the machine of a plugin: another user, and the same user without the host's key."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import host_identity
from goplugin import PLUGINS, Host, Mount

from authkit.errors import HandshakeError, PluginError, RPCError
from authkit.logical import Operation
from authkit.plugin.security.certificates import TLSIdentity
from authkit.rpc import Address
from authkit.wire.pb import backend_pb2 as pb

PROBE = PLUGINS / "probe.py"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

TRIES = """
import json, os, signal, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
pid, address, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def connect():
    socket.socket(socket.AF_UNIX).connect(address)

def replace():
    os.rename(folder, folder + "-mine")

tries = {
    "connect to the socket": connect,
    "list the private directory": lambda: os.listdir(os.path.dirname(address)),
    "replace the private directory": replace,
    "read the environment": lambda: open(f"/proc/{pid}/environ", "rb").read(),
    "read the memory": lambda: open(f"/proc/{pid}/mem", "rb"),
    "read the descriptors": lambda: os.listdir(f"/proc/{pid}/fd"),
    "end the process": lambda: os.kill(pid, signal.SIGTERM),
}
results = {}
for name, attempt in tries.items():
    try:
        attempt()
        results[name] = "done"
    except OSError as error:
        results[name] = type(error).__name__
print(json.dumps(results))
"""
"""What the user `nobody` tries; each attempt and what came of it."""


@pytest.fixture
async def host(short_directory: Path) -> AsyncIterator[Host]:
    """A host whose plugin serves a mount."""
    made = Host(short_directory)
    await made.launch(PROBE)
    yield made
    await made.close()


async def assert_served(mount: Mount) -> None:
    """Fail unless the plugin still serves its host."""
    reply = pb.TypeReply.FromString(await mount.call("Type", pb.Empty()))
    assert reply.type == 2


@needs_root
async def test_another_user_gets_nothing(host: Host, short_directory: Path) -> None:
    """No connection, no file, nothing of the process: its directory and itself are its user's alone."""
    short_directory.chmod(0o755)  # what is tested is the plugin's own directory
    mount = await host.mount()
    address = host.handshake.address.target
    arguments = (str(host.process.pid), address, str(Path(address).parent))
    stranger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", TRIES, *arguments),
        cwd="/",
        env={},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await stranger.communicate()
    results = json.loads(output)
    assert len(results) == 7
    assert set(results.values()) == {"PermissionError"}, results
    await assert_served(mount)


@pytest.mark.parametrize(
    "shown", ["its own certificate", "the plugin's certificate", "the host's certificate"]
)
async def test_the_same_user_without_the_hosts_key_is_served_nothing(host: Host, shown: str) -> None:
    """It reaches the socket and nothing more: certificates are public, the key is in the host's memory."""
    mount = await host.mount()
    own = host_identity()
    certificate = {
        "its own certificate": own.certificate,
        "the plugin's certificate": host.plugin_identity.certificate,
        "the host's certificate": host.identity.certificate,
    }[shown]
    if certificate != own.certificate:
        # OpenSSL takes no certificate with the key of another one.
        with pytest.raises(HandshakeError, match="KEY_VALUES_MISMATCH"):
            host.channel_as(TLSIdentity(certificate, own.private_key_pem), host.plugin_identity)
        return
    stranger = host.channel_as(own, host.plugin_identity)
    for path in (
        "/pb.Backend/HandleRequest",
        "/plugin.GRPCController/Shutdown",
        "/plugin.GRPCBroker/StartStream",
    ):
        with pytest.raises((RPCError, PluginError)):
            await stranger.call(path, b"", timeout=timedelta(seconds=5))
    await assert_served(mount)
    assert (await mount.request(Operation.READ, "nowhere")).err.err_msg


async def test_plaintext_gets_no_word(host: Host) -> None:
    """Not even the settings of HTTP/2."""
    mount = await host.mount()
    address: Address = host.handshake.address
    reader, writer = await asyncio.open_unix_connection(address.target)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert b"HTTP" not in answer
    assert len(answer) < 16  # at most a TLS alert
    writer.close()
    await assert_served(mount)


async def test_the_environment_of_the_process_holds_no_key(host: Host) -> None:
    """The same user can read it. What is in there is shown to everybody who begins a handshake."""
    environment = Path(f"/proc/{host.process.pid}/environ").read_bytes()
    assert b"BEGIN CERTIFICATE" in environment
    assert b"PRIVATE KEY" not in environment
    folder = Path(host.handshake.address.target).parent
    assert [path.name for path in folder.iterdir() if path.is_file()] == []
