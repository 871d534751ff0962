"""docs/hosts.md: a server from its configuration to a login, with the flags of protocol 4, as written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from livebed.binaries import ServerProgram
from livebed.plugins import python_plugin
from livebed.server import free_port
from livebed.shell import run_script
from livebed.tokens import Issuer
from pages import apart, together

PAGE = "docs/hosts.md"
LAUNCHER = apart(PAGE, "from authkit import serve")
OLDER_LAUNCHER = f"""
import os, sys
if "5" in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "").split(","):
    sys.exit("this one is asked for an older protocol")
{LAUNCHER}"""
PRELUDE = r"""
sleep() { kill -0 $! && command sleep "$1"; }  # the page waits for the server, this also for its end
set -eux
trap 'kill $!; wait $!' EXIT
"""
ARGUMENTS = '-args=-ca-cert="$PWD/cert.pem" -args=-tls-server-name=vault.example '


@pytest.mark.parametrize("launcher", [LAUNCHER, OLDER_LAUNCHER], ids=["protocol-5", "protocol-4"])
def test_the_page_leads_to_a_login(
    program: ServerProgram, folder: Path, issuer: Issuer, launcher: str
) -> None:
    """Each block of the page in one shell, on a free port; the plugin's protocol does not matter."""
    done = walk(program, folder, issuer, launcher, page())

    assert re.search(r"^token_meta_role\s+dev", done.stdout, re.MULTILINE)
    log = (folder / "server.log").read_text()
    assert "is not verified" not in log
    for secret in (folder / "token.jwt", folder / "init.txt"):
        words = re.findall(r"\S{20,}", secret.read_text())
        assert words
        assert not [word for word in words if word in log]


def test_without_the_arguments_the_log_says_what_is_missing(
    program: ServerProgram, folder: Path, issuer: Issuer
) -> None:
    """One after the other: the line of the log names the next."""
    text = page()
    assert ARGUMENTS in text
    with pytest.raises(AssertionError):
        walk(program, folder, issuer, OLDER_LAUNCHER, text.replace(ARGUMENTS, ""))

    assert "Register the plugin with -ca-cert" in (folder / "server.log").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder without a symlink in its path, short enough for sockets."""
    if shutil.which("openssl") is None:
        pytest.skip("the page makes its certificate with openssl")
    return tmp_path.resolve()


def page() -> str:
    """Return the commands of the page."""
    return "".join(block.text for block in together(PAGE, "sh"))


def walk(
    program: ServerProgram, folder: Path, issuer: Issuer, launcher: str, commands: str
) -> subprocess.CompletedProcess[str]:
    """Run commands beside the files that the page asks for; the server ends with them."""
    python_plugin(folder, "jwt_auth", launcher)
    (folder / "pub.pem").write_text(issuer.public_pem)
    (folder / "token.jwt").write_text(issuer.token())
    (folder / "bin").mkdir()
    (folder / "bin" / "vault").symlink_to(program.path)
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder)}
    ports = {"8200": str(free_port()), "8201": str(free_port())}
    script = PRELUDE + re.sub(r"\b820[01]\b", lambda found: ports[found[0]], commands)
    return run_script(script, environment, folder)
