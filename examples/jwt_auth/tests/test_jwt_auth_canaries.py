"""Canaries: secrets of every kind in every input, and a search through everything that is written then."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth_keys import make_token, public_pem
from jwt_auth_mounts import GOOD_ROLE, JWTMount

from authkit.logical import Operation, Request
from authkit.plugin.logs import HCLogFormatter
from authkit.wire.guards import answer, check_existence
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb

KEY_BODY = "MIGHAgEAMBMGByqGSM49AgEGCanaryCanaryCanary0123456789"
CANARIES = {
    "text": "canary-7Qx4vTz0pLw9sKd2",
    "quoted": "canary'8\"{{\\n}}-Yh3mNb6vCx1z",
    "lines": "canary-first-line-4kd92\ncanary-second-line-8sh31",
    "vault token": "hvs.CAESICanaryCanaryCanaryCanary0123456789abcd",
    "jwt": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnktY2FuYXJ5In0.Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5",
    "private key": f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}\n-----END PRIVATE KEY-----\n",
    "long": "canary-" + "a7F3kQ9z" * 300,
}
PIECES = {
    *(line for secret in CANARIES.values() for line in secret.splitlines() if "-----" not in line),
    CANARIES["jwt"].split(".")[1],
    CANARIES["jwt"].split(".")[2],
}
"""What must be found nowhere."""


def _paths() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Return every field that takes a secret, and a request in which everything else is right."""
    for path, model, good in (
        ("config", JWTConfig, {"jwt_validation_pubkeys": public_pem()}),
        ("issuer/x", JWTIssuer, {"jwt_validation_pubkeys": public_pem(), "bound_issuer": "x"}),
    ):
        for name, schema in model.schema.items():
            if schema.sensitive:
                yield path, name, good
    for path, names in {
        "login": ("jwt", "distributed_claim_access_token"),
        "explain": ("jwt",),
        "oidc/callback": ("code", "id_token", "client_nonce", "state"),
        "oidc/poll": ("client_nonce", "state"),
        "oidc/auth_url": ("client_nonce",),
    }.items():
        for name in names:
            yield path, name, {"role": "dev"}
    yield "config", "provider_config", {"jwt_validation_pubkeys": public_pem()}
    yield "role/dev", "token_policies", GOOD_ROLE | {"user_claim": 5}


def _shapes(name: str, secret: str) -> Iterator[Any]:
    if name in ("provider_config", "token_policies"):
        for key in ("client_secret", "api_token", "gsuite_service_account"):
            yield {"provider": "okta", key: secret}
        return
    yield secret
    yield f" {secret} "
    yield [secret]
    yield {"a": secret}


INPUTS = list(_paths())


class Written(logging.Handler):
    """Keeps each record as a server reads it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(HCLogFormatter().format(record))


@pytest.fixture
def written() -> Iterator[Written]:
    """Everything that is logged, at the lowest level."""
    handler, root = Written(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def _found_in(texts: Iterator[str] | list[str]) -> list[str]:
    return [text[:500] for text in texts if any(piece in text for piece in PIECES)]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def _told(mount: JWTMount, request: Request) -> Iterator[str]:
    """Return what a client reads of errors, and what is shown of the objects."""
    message = encode_request(request)
    check = pb.HandleExistenceCheckReply.FromString(await check_existence(mount.backend, message))
    reply = pb.HandleRequestReply.FromString(await answer(mount.backend, message))
    # Data of a success may repeat a state or a name; an error may repeat nothing.
    error = reply.response.data if '"error"' in reply.response.data else ""
    warnings = list(reply.response.warnings)
    return iter([check.err.err_msg, reply.err.err_msg, error, *warnings, repr(mount.backend)])


@pytest.mark.parametrize("kind", CANARIES)
@pytest.mark.parametrize(("path", "name", "good"), INPUTS, ids=[f"{each[0]} {each[1]}" for each in INPUTS])
async def test_no_secret_is_repeated(
    mount: JWTMount,
    written: Written,
    path: str,
    name: str,
    good: Mapping[str, Any],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in an error, a log line, a traceback or a temporary file; right, wrong, or when storage fails."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for shape in _shapes(name, CANARIES[kind]):
        for failure in (None, RuntimeError("storage failed")):
            mount.storage.failure = failure
            data = {**good, name: shape}
            for operation in (Operation.UPDATE, Operation.READ):
                request = Request(id="r", operation=operation, path=path, data=data, has_data=True)
                assert not _found_in(await _told(mount, request))
    mount.storage.failure = None
    assert not _found_in(written.lines)
    assert not _files(tmp_path)


async def test_a_fault_shows_nothing_of_its_request(
    mount: JWTMount, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody foresaw, with the whole request in its text: the traceback is masked."""
    token = make_token(name="canary")

    async def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError(f"broken by {args} {options} and {token}")

    monkeypatch.setattr("jwt_auth.method.admit", fail)
    request = Request(
        id="r", operation=Operation.UPDATE, path="login", data={"role": "dev", "jwt": token}, has_data=True
    )
    texts = list(await _told(mount, request))
    assert any("broken by" in line for line in written.lines)
    for piece in token.split("."):
        assert not [text for text in (*texts, *written.lines) if piece in text]
    assert not re.search("broken", " ".join(texts))
