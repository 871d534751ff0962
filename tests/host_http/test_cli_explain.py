"""`authkit explain`: what it asks a server, what it prints, and its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dev_process import ROOT_TOKEN, SECONDS, dev_process
from http_fakes import FakeCore, served
from rich.console import Console

from authkit.cli import explain as explain_module
from authkit.host.messages import Failure, HostResponse

JWT_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "jwt_auth"
CHECKS = [
    {"name": "form", "passed": True, "expected": "a token", "had": "3 parts", "error": ""},
    {"name": "exp", "passed": False, "expected": "later", "had": "\x1b[31m\n5", "error": "token is expired"},
]


async def run(
    *arguments: str, address: str, token: str = ROOT_TOKEN, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as somebody at a terminal does, with a home of their own."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "VAULT_ADDR": address}
    environment |= ({"VAULT_TOKEN": token} if token else {}) | variables
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "authkit", "explain", *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def answer(**data: Any) -> HostResponse:
    """What a server answers."""
    return HostResponse(status=200, body={"data": data})


async def test_a_denied_login_and_one_that_is_not_made(tmp_path: Path) -> None:
    """With the JWT example on a server: by reference, and with a token from a file."""
    token = tmp_path / "token.jwt"
    token.write_text("no.token\n")
    pem = ec.generate_private_key(ec.SECP256R1()).public_key()
    keys = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    async with dev_process("--no-ui", f"jwt={JWT_EXAMPLE}") as dev:
        await dev.call("POST", "auth/jwt/config", jwt_validation_pubkeys=keys)
        role = {"role_type": "jwt", "user_claim": "sub", "bound_subject": "ann"}
        await dev.call("POST", "auth/jwt/role/dev", **role)
        denied = await dev.call("POST", "auth/jwt/login", role="dev", jwt="no.token")
        reference = re.search(r"\(reference (.*)\)", denied.json()["errors"][0])
        assert reference is not None

        told = await run(reference[1], address=dev.address)
        asked = await run("--role", "dev", "--jwt", str(token), "--json", address=dev.address)
        missing = await run("abcdefgh", address=dev.address)

    assert told.returncode == 1, told.stderr
    assert "role: dev\nremote addr: 127.0.0.1\nerror: error validating token: " in told.stdout
    assert "\nfailed form: expected a signed JWT in compact form, three parts, " in told.stdout
    assert ", had 2 parts, 8 characters, error " in told.stdout
    assert told.stdout.endswith("The login is denied.\n")
    assert asked.returncode == 1
    assert [check["name"] for check in json.loads(asked.stdout)["checks"]] == ["role type", "form"]
    assert "no.token" not in told.stdout + asked.stdout
    assert missing.returncode == 1
    assert missing.stderr.startswith("authkit: HTTP 404 for auth/jwt/explain/abcdefgh: ")
    assert "no denial is known under this reference" in missing.stderr


@pytest.mark.parametrize("mount", ["jwt", "jwt/", "/jwt", "auth/jwt", "auth/jwt/", "/auth/jwt/"])
async def test_a_mount_with_and_without_auth(mount: str) -> None:
    """As the lists and errors of a server show paths, and as commands take them."""
    async with served(FakeCore(answer(allowed=True))) as server:
        done = await run("abcd", f"--mount={mount}", address=f"http://127.0.0.1:{server.port}")
    assert done.returncode == 0, done.stderr
    assert server.core.last.path == "auth/jwt/explain/abcd"


async def test_what_is_asked() -> None:
    """The mount's own path, with the token and namespace of whoever asks; the status is that of the login."""
    async with served(FakeCore(answer(allowed=True, error="", checks=CHECKS[:1]))) as server:
        address = f"http://127.0.0.1:{server.port}/"
        done = await run(
            "--mount=/eu/jwt/", "--role=dev", "--jwt=-", address=address, stdin="a.b.c\n", VAULT_NAMESPACE="n"
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "passed form: expected a token, had 3 parts\nThe login is allowed.\n"
    asked = server.core.last
    assert (asked.method, asked.path, asked.token, asked.namespace) == (
        "POST",
        "auth/eu/jwt/explain",
        ROOT_TOKEN,
        "n",
    )
    assert asked.body == {"role": "dev", "jwt": "a.b.c"}


async def test_what_a_token_says_moves_no_cursor() -> None:
    """A stranger's control characters reach no terminal."""
    async with served(FakeCore(answer(allowed=False, error="x\x1b[2J", checks=CHECKS))) as server:
        done = await run("--role=dev", "--jwt=-", address=f"http://127.0.0.1:{server.port}", stdin="a")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\nfailed exp: expected later, had \\u001b[31m\\n5, error token is expired\n" in done.stdout


async def test_the_token_that_vault_login_has_kept(tmp_path: Path) -> None:
    """It is used where no variable has one; without either nothing is asked."""
    (tmp_path / ".vault-token").write_text("hvs.kept\n")
    async with served(FakeCore(answer(allowed=True))) as server:
        address = f"http://127.0.0.1:{server.port}"
        await run("--role=dev", "--jwt=-", address=address, token="", stdin="a", HOME=str(tmp_path))
        assert server.core.last.token == "hvs.kept"
        none = await run("x", address=address, token="")
        assert len(server.core.asked) == 1
    assert none.returncode == 1
    assert none.stderr == (
        "authkit: no token to ask with: set VAULT_TOKEN or BAO_TOKEN, or log in with vault login\n"
    )


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (
            Failure(403, "permission denied").response(),
            "HTTP 403 for auth/jwt/explain/x: permission denied (the token needs",
        ),
        (Failure(404).response(), "HTTP 404 for auth/jwt/explain/x: nothing is explained there"),
        (HostResponse(status=200, body={}), "HTTP 200 for auth/jwt/explain/x: nothing is explained there"),
    ],
)
async def test_refusals_are_one_line(response: HostResponse, text: str) -> None:
    """With what a server said, and what the token lacks."""
    async with served(FakeCore(response)) as server:
        done = await run("x", address=f"http://127.0.0.1:{server.port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"authkit: {text}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "text"),
    [
        ([], {}, "give a reference, or --role and --jwt"),
        (["x", "--role=dev", "--jwt=-"], {}, "give a reference, or --role and --jwt"),
        (["--role=dev"], {}, "give a reference, or --role and --jwt"),
        (["--role=dev", "--jwt=/nonexistent"], {}, "the token in /nonexistent cannot be read: No such file"),
        (["--role=dev", "--jwt=/dev/zero"], {}, "/dev/zero is too long for a token"),
        (
            ["x"],
            {},
            "cannot ask http://127.0.0.1:1: Connection refused. Check that the server runs, and that",
        ),
        (["x"], {"BAO_ADDR": "http://127.0.0.1:2"}, "cannot ask http://127.0.0.1:2: "),
        (["x"], {"VAULT_ADDR": "nonsense"}, "cannot ask nonsense: "),
        (
            ["x"],
            {"VAULT_CACERT": "/nonexistent"},
            "the certificates of VAULT_CACERT or VAULT_CAPATH cannot be read",
        ),
    ],
    ids=str,
)
async def test_operators_mistakes(arguments: list[str], variables: dict[str, str], text: str) -> None:
    """Each is one line that says what to do."""
    variables = {"VAULT_ADDR": "http://127.0.0.1:1", **variables}
    done = await run(*arguments, address=variables.pop("VAULT_ADDR"), **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"authkit: {text}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours only there."""
    out = Console(force_terminal=True, width=80, record=True, markup=False)
    with out.capture() as captured:
        explain_module._print({"allowed": False, "error": "no", "checks": CHECKS}, out)
    for shown in ("expected", "had", "3 parts", "error", "token is expired"):
        assert shown in captured.get()
    assert "\x1b[1;31mfailed" in captured.get()
