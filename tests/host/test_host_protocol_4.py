"""Protocol 4: the plaintext probe, and the certificate that is unwrapped from the host's API."""

from __future__ import annotations

import base64
import http.server
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import host_identity
from cryptography.hazmat.primitives import serialization
from factories import mount_config
from goplugin import PLUGINS, Host, environment, start

from authkit.errors import RPCError
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.host.supervisor.security import Metadata, SharedIdentity
from authkit.logical import Operation, Request
from authkit.plugin.security.certificates import TLSIdentity
from authkit.wire.pb import backend_pb2 as pb

PROBE = PLUGINS / "probe.py"
NAME = "1b0e7bd0-23f5-4e16-9a54-5a0f4c1c2d3e"
OLDER: dict[str, str | None] = {"PLUGIN_PROTOCOL_VERSIONS": "4,3", "PLUGIN_CLIENT_CERT": None}


@pytest.fixture
async def host(short_directory: Path) -> AsyncIterator[Host]:
    """A host without plugin."""
    made = Host(short_directory)
    yield made
    await made.close()


def wrapping_token(address: Any, **claims: Any) -> str:
    """A token as the host makes them, as far as a plugin looks."""
    parts = ({"alg": "ES512"}, {"addr": address, "type": "wrapping", **claims})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def wrapped(identity: TLSIdentity) -> dict[str, str]:
    """Certificate and key as the host wraps them: DER and SEC1, in padded base64."""
    key = serialization.load_pem_private_key(identity.private_key_pem, None).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return {
        "ServerCert": base64.b64encode(identity.certificate).decode(),
        "ServerKey": base64.b64encode(key).decode(),
    }


@contextmanager
def api(status: int, answer: bytes | list[bytes]) -> Iterator[tuple[str, list[tuple[str, str, str, bytes]]]]:
    """The host's HTTP API, and the requests it has seen: method, path, token, body.

    Of a list of answers it gives the last one that is there when it is asked.
    """
    seen: list[tuple[str, str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.command, self.path, self.headers["X-Vault-Token"], body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else answer[-1])

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


async def test_the_probe_describes_itself_in_plaintext_and_does_nothing_else(host: Host) -> None:
    """Type and special paths are answered; requests, initialization and invalidation are refused."""
    host.security = Metadata()
    await host.launch(PROBE, PLUGIN_CLIENT_CERT=None)
    assert host.handshake.fields[1] == "4"
    assert host.handshake.fields[5:] == ("",)
    mount, error = await host.set_up("m1")
    assert error == ""
    assert pb.TypeReply.FromString(await mount.call("Type", pb.Empty())).type == 2
    for method, message in (
        ("Initialize", pb.InitializeArgs()),
        ("InvalidateKey", pb.InvalidateKeyArgs(key="x")),
        ("HandleRequest", pb.HandleRequestArgs()),
        ("HandleExistenceCheck", pb.HandleExistenceCheckArgs()),
    ):
        with pytest.raises(RPCError, match="metadata mode"):
            await mount.call(method, message)
    assert await host.shut_down() == 0


async def test_the_unwrapped_certificate_secures_both_directions(host: Host) -> None:
    """The token is exchanged once, for one identity that both sides are and trust, under its own name."""
    identity = host_identity(NAME)
    answer = json.dumps({"data": wrapped(identity)}).encode()
    with api(200, answer) as (address, seen):
        token = wrapping_token(address)
        host.security = SharedIdentity(identity, token)
        await host.launch(PROBE, PLUGIN_CLIENT_CERT=None)
        mount = await host.mount()
        assert (await mount.response(Operation.READ, "info")).data
        assert seen == [("PUT", "/v1/sys/wrapping/unwrap", token, b"null")]
    stranger = host.channel_as(host_identity(NAME), identity, NAME)
    with pytest.raises(RPCError):
        await stranger.call("/pb.Backend/Type", b"")
    assert host.handshake.fields[5:] == ("",)


async def test_the_name_of_openbao_s_variable_comes_first(host: Host) -> None:
    """OpenBao sets both spellings; its own counts, even when it is empty."""
    variables = environment(None, **OLDER, VAULT_UNWRAP_TOKEN=wrapping_token("http://x"), BAO_UNWRAP_TOKEN="")
    process = await start(PROBE, variables=variables)
    assert await process.ended() == 1
    (record,) = process.records()
    assert "UNWRAP_TOKEN is empty" in record["@message"]


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (400, b"{}", "its token is not valid (HTTP 400)"),
        (403, b"{}", "its token is not valid (HTTP 403)"),
        (307, b"{}", "it redirects (HTTP 307)"),
        (500, b"{}", "HTTP 500"),
        (503, b"{}", "it is sealed"),
        (200, b"not json", "not that of a Vault server"),
        (200, b'{"data": null}', "not that of a Vault server"),
        (200, b'{"data": {"ServerCert": "QUJD", "ServerKey": "QUJD"}}', "unusable"),
        (200, b'{"data": {"ServerCert": 5, "ServerKey": 5}}', "unusable"),
        (200, b"x" * 100_000, "the answer is too long"),
    ],
)
async def test_an_answer_that_is_no_certificate_ends_the_start(
    status: int, answer: bytes, expected: str
) -> None:
    """One log line that says what failed, and status 1; nothing is served without TLS."""
    with api(status, answer) as (address, _):
        variables = environment(None, **OLDER, VAULT_UNWRAP_TOKEN=wrapping_token(address))
        process = await start(PROBE, variables=variables)
        assert await process.ended() == 1
    (record,) = process.records()
    assert record["@level"] == "error"
    assert expected in record["@message"]


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "a.b.c",
        wrapping_token(""),
        wrapping_token(5),
        wrapping_token(None),
        wrapping_token("127.0.0.1:8200"),
        wrapping_token("unix:///run/vault"),
        wrapping_token("http://[::1"),
    ],
)
async def test_a_token_without_address_ends_the_start(token: str) -> None:
    """A server without api_addr makes such tokens; the operator reads what to set."""
    process = await start(PROBE, variables=environment(None, **OLDER, VAULT_UNWRAP_TOKEN=token))
    assert await process.ended() == 1
    (record,) = process.records()
    assert "api_addr" in record["@message"] or "not a wrapping token" in record["@message"]
    assert token not in "".join(process.lines)


async def test_an_expired_token_is_called_so() -> None:
    """The server refuses it as it does a used one; the token itself says until when it was good."""
    with api(400, b"{}") as (address, _):
        variables = environment(None, **OLDER, VAULT_UNWRAP_TOKEN=wrapping_token(address, exp=1))
        process = await start(PROBE, variables=variables)
        assert await process.ended() == 1
    (record,) = process.records()
    assert "its token has expired (HTTP 400)" in record["@message"]


@pytest.mark.parametrize("variables", [OLDER, {}, {"VAULT_PLUGIN_METADATA_MODE": "true", **OLDER}])
async def test_unknown_arguments_end_the_start_on_every_protocol(variables: dict[str, str | None]) -> None:
    """As they do in Go, so that an operator meets the mistake when it is made."""
    process = await start(PROBE, "-ca-cer=/a", variables=environment(host_identity(NAME), **variables))
    assert await process.ended() == 1
    (record,) = process.records()
    assert "no flag -ca-cer" in record["@message"]


async def test_a_catalog_entry_of_protocol_4_is_mounted(short_directory: Path) -> None:
    """Protocol 5 is tried first, then the probe in plaintext, then the wrapped identity serves."""
    path = short_directory / "old"
    source = PROBE.read_text().replace(
        'if __name__ == "__main__":',
        'import authkit.serving\nauthkit.serving.PROTOCOL_VERSIONS = (4,)\nif __name__ == "__main__":',
    )
    path.write_text(f"#!{sys.executable} -I\n{source}")
    path.chmod(0o755)
    answers: list[bytes] = []

    async def wrap(identity: TLSIdentity) -> str:
        answers.append(json.dumps({"data": wrapped(identity)}).encode())
        return wrapping_token(address)

    with api(200, answers) as (address, seen):
        plugin = PluginProcess(PluginFile(path, sha256=file_sum(path)), wrap=wrap)
        mounts = [await plugin.set_up(mount_config(f"u-{number}")) for number in range(2)]
        pids = set()
        for mount in mounts:
            response = await mount.handle_request(Request(operation=Operation.READ, path="info"))
            assert response is not None
            assert response.data is not None
            pids.add(response.data["pid"])
        assert len(pids) == len(seen) == 2
        await plugin.close()
