"""The host in Python beside real ones: the official Go plugin under it, a real server's words of failure."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from factories import mount_config
from livebed.binaries import find_built
from livebed.factories import MakeServer
from livebed.plugins import CURRENT, JWT_LAUNCHER, go_peer, python_plugin
from livebed.processes import is_alive, wait_until
from livebed.tokens import AUDIENCE, ISSUER, SUBJECT, usual_issuer

from authkit.errors import LogicalError, PluginGoneError, PluginStartError
from authkit.host.store.plugins import HostedBackend
from authkit.host.supervisor.executable import file_sum, find_command
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.logical import (
    BackendConfig,
    BackendType,
    Connection,
    Operation,
    Request,
    Response,
    TokenType,
)
from authkit.plugin.security.certificates import encode_field, generate_identity
from authkit.rpc import ENGINES
from authkit.values import replace

# --- the official plugin and ours --------------------------------------------------------------


@pytest.fixture(
    params=[(plugin, engine) for plugin in ("authkit", "peer") for engine in ENGINES], ids="-".join
)
async def hosted(request: pytest.FixtureRequest, short_directory: Path) -> AsyncIterator[PluginProcess]:
    """The JWT plugin, ours or the Go one, under the host in Python on either engine."""
    kind, engine = request.param
    if kind == "authkit":
        plugin = python_plugin(short_directory, "jwt_auth", JWT_LAUNCHER)
    else:
        binary = find_built("jwt-peer")
        if binary is None:
            pytest.skip("the Go plugin is not built: run scripts/live/build jwt-peer")
        plugin = go_peer(short_directory, binary)
    path = find_command(short_directory, plugin.command)
    made = PluginProcess(PluginFile(path, sha256=plugin.sha256, engine=engine))
    yield made
    await made.close()


def jwt_config(uuid: str) -> BackendConfig:
    """What a host serves to a mount of the plugin."""
    return mount_config(uuid, plugin_name="jwt", plugin_type="auth", plugin_version="")


async def send(mount: HostedBackend, path: str, operation: Operation = Operation.UPDATE, **data: Any) -> Any:
    """Send a request as a server does, and return the response or the error."""
    request = Request(
        operation=operation,
        path=path,
        id="r-1",
        data=data,
        has_data=True,
        unauthenticated=path == "login",
        mount_point="auth/jwt/",
        mount_type="jwt",
        client_token="0123",
        connection=Connection(remote_addr="192.0.2.1"),
    )
    try:
        if operation is Operation.UPDATE and await mount.handle_existence_check(request) is False:
            request = replace(request, operation=Operation.CREATE)
        return await mount.handle_request(request)
    except LogicalError as error:
        return error


async def session(mount: HostedBackend) -> Response:
    """Configure a mount, write a role, and log in."""
    assert "login" in (await mount.special_paths()).unauthenticated
    key = usual_issuer().public_pem
    answer = await send(mount, "config", jwt_validation_pubkeys=[key], bound_issuer=ISSUER)
    assert answer is None or not answer.is_error, answer
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "token_ttl": "1h"}
    answer = await send(mount, "role/dev", **role, token_policies=["p"], groups_claim="groups")
    assert answer is None or not answer.is_error, answer
    token = usual_issuer().token(groups=["g"])
    response = await send(mount, "login", role="dev", jwt=token)
    assert isinstance(response, Response), response
    return response


async def test_a_session(hosted: PluginProcess) -> None:
    """Probe, config, role, list, login, resolve-role, renewal, a refused login, help: either plugin alike."""
    await hosted.probe()
    assert hosted.backend_type is BackendType.CREDENTIAL
    # The official plugin reports a version only when its build was given one.
    assert hosted.version in (CURRENT, "")
    mount = await hosted.set_up(jwt_config("u-1"))
    await mount.initialize()
    response = await session(mount)
    auth = response.auth
    assert auth is not None
    assert auth.alias is not None
    assert auth.alias.name == SUBJECT
    assert [alias.name for alias in auth.group_aliases] == ["g"]
    assert set(auth.policies) == {"p"}
    assert (auth.lease.ttl.total_seconds(), auth.lease.renewable) == (3600, True)
    assert auth.token_type in (TokenType.DEFAULT, TokenType.SERVICE)
    listed = await send(mount, "role/", Operation.LIST)
    assert listed.data["keys"] == ["dev"]
    resolved = await send(mount, "login", Operation.RESOLVE_ROLE, role="dev")
    assert resolved.data == {"role": "dev"}
    unknown = await send(mount, "login", Operation.RESOLVE_ROLE, role="nobody")
    assert unknown.is_error
    assert unknown.data == {"error": 'role "nobody" could not be found'}
    renewal = Request(operation=Operation.RENEW, path="login", auth=auth, mount_point="auth/jwt/")
    renewed = await mount.handle_request(renewal)
    assert renewed is not None
    assert renewed.auth is not None
    refused = await send(mount, "login", role="dev", jwt="not.a.token")
    assert refused.is_error
    page = await send(mount, "", Operation.HELP, requestResponsePrefix="jwt")
    assert "openapi" in page.data
    await mount.cleanup()


async def test_many_mounts_and_a_crash(hosted: PluginProcess) -> None:
    """Mounts share one process; after its end each is set up again with what it had stored."""
    mounts = [await hosted.set_up(jwt_config(f"u-{number}")) for number in range(2)]
    for mount in mounts:
        await mount.initialize()
        await session(mount)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    pids = [int(pid) for pid in children if hosted.file.path in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not is_alive(pids[0]), "its end", timeout=5)
    token = usual_issuer().token(groups=["g"])
    for mount in mounts:
        try:
            response = await send(mount, "login", role="dev", jwt=token)
        except PluginGoneError:  # the first may meet the corpse
            response = await send(mount, "login", role="dev", jwt=token)
        assert response.auth is not None


# --- the words of a real server ----------------------------------------------------------------

CERTIFICATE = encode_field(generate_identity().certificate)
BASE64 = "QUJD" * 20


def waiting(line: str) -> str:
    """A plugin that prints a line and waits."""
    return f"#!/bin/sh\necho '{line}'\nexec sleep 20\n"


BROKEN = {
    "prints-first": waiting("hello"),
    "prints-an-empty-line": waiting(""),
    "closes-its-output": "#!/bin/sh\nexec >&-\nexec sleep 20\n",
    "core-2": waiting("2|5|unix|/tmp/x|grpc|"),
    "core-x": waiting("x|5|unix|/tmp/x|grpc|"),
    "version-4": waiting("1|4|unix|/tmp/no-such.sock|grpc|"),
    "version-7": waiting("1|7|unix|/tmp/x|grpc|"),
    "version-x": waiting("1|x|unix|/tmp/x|grpc|"),
    "protocol-foo": waiting("1|5|unix|/tmp/x|foo|"),
    "padded": waiting(f"1|5|unix|/tmp/x|grpc|{BASE64}QUI="),
    "no-base64": waiting(f"1|5|unix|/tmp/x|grpc|{BASE64}!!"),
    "no-certificate": waiting(f"1|5|unix|/tmp/x|grpc|{BASE64}"),
    "nobody-listens": waiting(f"1|5|unix|/tmp/no-such.sock|grpc|{CERTIFICATE}"),
    "no-interpreter": "#!/no/such/interpreter\n",
    "no-program": "hello\n",
    "empty": "",
    "not-executable": "#!/bin/sh\nexit 0\n",
    "changed": "#!/bin/sh\nexit 0\n",
    "gone": "#!/bin/sh\nexit 0\n",
}


def same_order(text: str) -> str:
    """Undo what a server in Go leaves to chance: the order of its own versions."""
    return text.replace("Client versions: [4 3]", "Client versions: [3 4]")


async def test_failures_have_the_words_of_a_server(make_server: MakeServer) -> None:
    """Word for word, for every way in which a plugin fails to start."""
    server = make_server()
    if server.program.is_bao:
        pytest.skip("OpenBao has words of its own (go-plugin 1.8)")
    differences = {}
    for name, source in BROKEN.items():
        file = server.plugin_directory / name
        file.write_text(source)
        file.chmod(0o644 if name == "not-executable" else 0o755)
        checksum = hashlib.sha256(source.encode()).hexdigest()
        server.client.call("PUT", f"sys/plugins/catalog/auth/{name}", {"sha256": checksum, "command": name})
        if name == "changed":
            file.write_text(source + "# another\n")
        if name == "gone":
            file.unlink()
        answer = server.client.raw("POST", f"sys/auth/{name}", {"type": name})
        (theirs,) = answer.json()["errors"]
        plugin = PluginProcess(PluginFile(file, sha256=checksum))
        with pytest.raises(PluginStartError) as caught:
            await plugin.set_up(jwt_config("u"))
        assert caught.value.hint, name
        if same_order(theirs) != str(caught.value):
            differences[name] = (theirs, str(caught.value))
    assert differences == {}


async def test_commands_that_may_not_be_registered(make_server: MakeServer) -> None:
    """The same refusals of what lies outside of the plugin directory."""
    server = make_server()
    if server.program.is_bao:
        pytest.skip("OpenBao has words of its own")
    home = server.plugin_directory
    (home / "sub").mkdir()
    (home / "sub" / "x").touch()
    (home / "out").symlink_to(sys.executable)
    for command in ("none", "../x", "sub/x", "out"):
        body = {"sha256": "00" * 32, "command": command}
        answer = server.client.raw("PUT", "sys/plugins/catalog/auth/odd", body)
        with pytest.raises(PluginStartError) as caught:
            find_command(home, command)
        assert answer.json()["errors"] == [f"1 error occurred:\n\t* {caught.value}\n\n"]
    (home / "fine").write_text("#!/bin/sh\n")
    assert file_sum(find_command(home, "fine"))
