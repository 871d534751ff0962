"""What `authkit doctor` finds of plugins, good and broken, made on the fly."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from goplugin import PLUGINS

from authkit.doctor import Finding, Verdict, inspect_plugin
from authkit.doctor.backend import inspect_mount
from authkit.doctor.ending import _judge_output
from authkit.doctor.starts import Watched
from authkit.doctor.trust import inspect_certificate
from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.host.supervisor.logs import parse_line
from authkit.logical import BackendType
from authkit.plugin.security.certificates import generate_identity
from authkit.rpc import UnaryMethod
from authkit.wire.pb import backend_pb2 as pb

BODY = (PLUGINS / "probe.py").read_text()
PROBE = f"#!{sys.executable} -I\n{BODY}"
SECONDS = timedelta(seconds=20)

ORDER = [
    "exists",
    "regular file",
    "executable",
    "owner and mode",
    "owner and mode of the directory",
    "symlinks",
    "file system",
    "interpreter",
    "sha256",
    "cookie",
    "handshake",
    "protocol version",
    "certificate",
    "mutual TLS",
    "registration",
    "type",
    "version",
    "setup",
    "special paths",
    "initialize",
    "help",
    "OpenAPI",
    "shutdown",
    "log lines",
    "temporary files",
]


@pytest.fixture
def directory(short_directory: Path) -> Path:
    """A plugin directory as a server wants it."""
    path = Path(os.path.realpath(short_directory)) / "plugins"
    path.mkdir(mode=0o755)
    return path


def write(directory: Path, source: str, *, mode: int = 0o755) -> Path:
    """Make an executable."""
    path = directory / "plugin"
    path.write_text(source)
    path.chmod(mode)
    return path


async def inspect(path: Path, **options: Any) -> dict[str, Finding]:
    """Return the findings by check; of several for one check the worst counts."""
    found: dict[str, Finding] = {}
    for finding in await inspect_plugin(path, **{"start_timeout": SECONDS} | options):
        assert finding.seen
        assert (finding.verdict is Verdict.PASSED) == (not finding.advice)
        before = found.get(finding.check)
        if before is None or before.verdict is Verdict.PASSED:
            found[finding.check] = finding
    return found


def bad(findings: dict[str, Finding]) -> dict[str, str]:
    """The checks that did not pass, and how."""
    return {name: str(f.verdict) for name, f in findings.items() if f.verdict is not Verdict.PASSED}


async def test_a_good_plugin(directory: Path) -> None:
    """Passes every check, in the order in which a server meets them; only its help has no OpenAPI."""
    findings = await inspect(write(directory, PROBE))
    assert list(findings) == ORDER
    assert bad(findings) == {"OpenAPI": "warning"}
    assert findings["version"].seen == "v1.2.3"
    assert "login" in findings["special paths"].seen
    assert "secp256r1" in findings["certificate"].seen


# --- the file ----------------------------------------------------------------------------------


async def test_no_file(directory: Path) -> None:
    """Nothing else can be looked at."""
    findings = await inspect(directory / "none")
    assert bad(findings) == {"exists": "failed"}
    assert list(findings) == ["exists"]


async def test_a_directory_and_a_dangling_link(directory: Path) -> None:
    """Neither is a plugin."""
    assert bad(await inspect(directory)) == {"regular file": "failed"}
    (directory / "link").symlink_to("none")
    assert bad(await inspect(directory / "link")) == {"regular file": "failed"}


async def test_a_link_that_leads_out(directory: Path, short_directory: Path) -> None:
    """A server does not execute what is elsewhere."""
    target = write(short_directory, PROBE)
    (directory / "link").symlink_to(target)
    findings = await inspect(directory / "link")
    assert bad(findings) == {"symlinks": "failed"}
    assert "cannot execute files outside of configured plugin directory" in findings["symlinks"].seen


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o644, {"executable": "failed"}), (0o775, {"owner and mode": "warning", "OpenAPI": "warning"})],
)
async def test_modes(directory: Path, mode: int, expected: dict[str, str]) -> None:
    """Not executable is an end; writable by others is a warning."""
    assert bad(await inspect(write(directory, PROBE, mode=mode))) == expected


async def test_a_file_system_without_execution(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told apart from a missing bit."""
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOEXEC))
    findings = await inspect(write(directory, PROBE))
    assert bad(findings) == {"file system": "failed"}
    assert "permission denied" in findings["file system"].seen


@pytest.mark.parametrize(
    ("first", "verdict", "seen"),
    [
        ("#!/no/such/python", "failed", "no such file or directory"),
        ("#!", "failed", "nothing does not exist"),
        (f"#!{sys.executable} -I\r", "failed", "carriage return"),
        ("#!/" + "x" * 300, "failed", "longer than 255 bytes"),
        ("import sys", "failed", "exec format error"),
        ("#!/usr/bin/env no-such-program", "failed", "is not on PATH"),
        ("#!/etc/passwd", "failed", "not executable"),
    ],
)
async def test_interpreters(directory: Path, first: str, verdict: str, seen: str) -> None:
    """Each mistake of a first line is named before anything is started."""
    findings = await inspect(write(directory, f"{first}\n{BODY}"))
    assert bad(findings) == {"interpreter": verdict}
    assert seen in findings["interpreter"].seen


async def test_an_interpreter_by_path(directory: Path) -> None:
    """Works here, and depends on the server's own PATH."""
    environment = {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    path = write(directory, f"#!/usr/bin/env python\n{BODY}")
    findings = await inspect(path, environment=environment)
    assert bad(findings) == {"interpreter": "warning", "OpenAPI": "warning"}


async def test_another_checksum(directory: Path) -> None:
    """The registered one is compared, and nothing is started."""
    findings = await inspect(write(directory, PROBE), sha256="00" * 32)
    assert bad(findings) == {"sha256": "failed"}
    assert "checksums did not match" in findings["sha256"].seen


async def test_a_binary(directory: Path) -> None:
    """Needs no interpreter; one that is no plugin has no handshake."""
    shutil.copy2(os.path.realpath("/bin/true"), directory / "plugin")
    findings = await inspect(directory / "plugin")
    assert findings["interpreter"].verdict is Verdict.PASSED
    assert bad(findings) == {"cookie": "warning", "handshake": "failed"}


# --- the process -------------------------------------------------------------------------------


def launcher(directory: Path, *lines: str) -> Path:
    """A shell script that does something and then becomes the good plugin."""
    plugin = directory / "real.py"
    plugin.write_text(PROBE)
    plugin.chmod(0o755)
    return write(directory, "\n".join(["#!/bin/sh", *lines, f"exec {plugin}", ""]))


COOKIE = 'test -n "$VAULT_BACKEND_PLUGIN" || exit 1'


async def test_a_plugin_that_prints_first(directory: Path) -> None:
    """The line is shown, and told from a plugin that never comes to its handshake."""
    findings = await inspect(launcher(directory, COOKIE, "echo hello, world"))
    assert bad(findings) == {"stdout before the handshake": "failed", "handshake": "failed"}
    assert findings["stdout before the handshake"].seen == "hello, world"
    assert findings["handshake"].seen == ("Unrecognized remote plugin message: hello, world")


async def test_a_plugin_that_ends_at_once(directory: Path) -> None:
    """What it wrote last is in the advice."""
    findings = await inspect(write(directory, f"#!{sys.executable} -I\nimport no_such_module\n"))
    assert bad(findings) == {"handshake": "failed"}
    assert "Failed to read any lines" in findings["handshake"].seen
    assert "ModuleNotFoundError" in findings["handshake"].advice
    assert "exit status 1" in findings["handshake"].advice


async def test_a_plugin_whose_module_cannot_be_imported(directory: Path) -> None:
    """The exception is in the advice, not only that there was one."""
    findings = await inspect(
        write(directory, f"#!{sys.executable} -I\nfrom authkit import serve\nserve('no_such_module:A')\n")
    )
    assert bad(findings) == {"handshake": "failed"}
    assert "could not be served: ModuleNotFoundError" in findings["handshake"].advice


async def test_a_plugin_that_never_answers(directory: Path) -> None:
    """Is killed when its time is over."""
    path = write(directory, "#!/bin/sh\nexec sleep 60\n")
    findings = await inspect(path, start_timeout=timedelta(milliseconds=200))
    assert bad(findings) == {"cookie": "failed", "handshake": "failed"}
    assert "timeout while waiting for plugin to start" in findings["handshake"].seen


async def test_a_plugin_that_prints_before_it_serves(directory: Path) -> None:
    """It looks at the cookie all right; what it prints is named."""
    source = f"#!{sys.executable} -I\nprint('hello there')\nimport sys\nsys.exit(1)\n"
    findings = await inspect(write(directory, source))
    assert findings["cookie"].verdict is Verdict.FAILED
    assert findings["cookie"].seen == (
        "it prints to standard output before it looks at the cookie: hello there"
    )
    assert "before `serve`" in findings["cookie"].advice


async def test_a_plugin_that_does_not_look_at_the_cookie(directory: Path) -> None:
    """A server would take it for a database plugin."""
    findings = await inspect(
        launcher(directory, "export VAULT_BACKEND_PLUGIN=6669da05-b1c8-4f49-97d9-c8e5bed98e20")
    )
    assert bad(findings) == {"cookie": "failed", "OpenAPI": "warning"}
    assert "a server catalogues it as one" in findings["cookie"].seen
    assert "Look at the cookie before all else" in findings["cookie"].advice


async def test_a_plugin_of_protocol_4(directory: Path) -> None:
    """Is asked what it is, and no more."""
    source = PROBE.replace(
        'if __name__ == "__main__":',
        'import authkit.serving\nauthkit.serving.PROTOCOL_VERSIONS = (4,)\nif __name__ == "__main__":',
    )
    findings = await inspect(write(directory, source))
    assert bad(findings) == {"protocol version": "warning"}
    assert findings["version"].seen == "v1.2.3"
    assert "setup" not in findings


CHANGES: dict[str, tuple[list[tuple[str, str]], str, str, str]] = {
    "a client certificate is not asked for": (
        [
            (
                'if __name__ == "__main__":',
                (
                    "import ssl\nfrom authkit.plugin.security import tls\nmake = tls.make_contexts\n"
                    "def loose(*args):\n    server, client = make(*args)\n"
                    "    server.verify_mode = ssl.CERT_NONE\n    return server, client\n"
                    'tls.make_contexts = loose\nif __name__ == "__main__":'
                ),
            )
        ],
        "mutual TLS",
        "failed",
        "got an answer",
    ),
    "a version without v": ([('version="v1.2.3"', 'version="1.2.3"')], "version", "failed", "1.2.3"),
    "no version": ([('version="v1.2.3"', 'version=""')], "version", "warning", "none"),
    "a secrets engine": (
        [("BackendType.CREDENTIAL", "BackendType.LOGICAL"), ('("login",)', "()")],
        "type",
        "passed",
        "secrets engine",
    ),
    "neither a method nor an engine": (
        [("BackendType.CREDENTIAL", "BackendType.UNKNOWN")],
        "type",
        "failed",
        "unknown",
    ),
    "an engine without open paths": (
        [("BackendType.CREDENTIAL", "BackendType.LOGICAL"), ('("login",)', "()")],
        "special paths",
        "passed",
        "no path is open",
    ),
    "options needed in setup": (
        [("self.config = config", "self.config = config\n        config.options['plugin_name']")],
        "registration",
        "failed",
        "could not be set up",
    ),
    "a setup that fails on a mount": (
        [("self.config = config", "self.config = config\n        assert not config.options")],
        "setup",
        "failed",
        "could not be set up",
    ),
    "a pattern with a slash": (
        [('("login",)', '("/login",)')],
        "special paths",
        "failed",
        "begins with a slash",
    ),
    "a pattern for all": ([('("login",)', '("*",)')], "special paths", "failed", "takes in every path"),
    "a malformed pattern": (
        [('("login",)', '("a*b",)')],
        "special paths",
        "failed",
        "invalid use of wildcards",
    ),
    "root and open at once": (
        [('unauthenticated=("login",)', 'unauthenticated=("login",), root=("login",)')],
        "special paths",
        "failed",
        "at once",
    ),
    "no login": ([('("login",)', "()")], "special paths", "warning", "no path is open"),
    "an initialization that fails": (
        [('log.info("initialized"', 'raise RuntimeError("x")\n        log.info("initialized"')],
        "initialize",
        "failed",
        "internal error",
    ),
    "an end in the middle": (
        [('log.info("initialized"', 'os._exit(3)\n        log.info("initialized"')],
        "initialize",
        "failed",
        "ended with exit status 3",
    ),
    "files left behind": (
        [
            (
                "self.config = config",
                "self.config = config\n        open(os.environ['TMPDIR'] + '/left', 'w').close()",
            )
        ],
        "temporary files",
        "warning",
        "left",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_plugin_with_one_fault(directory: Path, name: str) -> None:
    """The fault is found where it is, with what was seen and what to do."""
    replacements, check, verdict, seen = CHANGES[name]
    source = PROBE
    for old, new in replacements:
        assert old in source
        source = source.replace(old, new)
    findings = await inspect(write(directory, source))
    found = findings[check]
    assert (str(found.verdict), seen in found.seen) == (verdict, True), found


async def test_a_plugin_that_ignores_shutdown(directory: Path) -> None:
    """Is killed after two seconds, and found out."""
    source = PROBE.replace(
        'if __name__ == "__main__":',
        "import authkit.plugin.services.controller as services\n"
        "services.Controller._shutdown = lambda self, request, call: b''\n"
        "from authkit.plugin import server\n"
        "async def never(broker): await asyncio.get_running_loop().create_future()\n"
        "server.wait_for_host_to_leave = never\n"
        'if __name__ == "__main__":',
    )
    findings = await inspect(write(directory, source))
    assert "killed" in findings["shutdown"].seen
    assert findings["shutdown"].verdict is Verdict.WARNING


async def test_log_lines_that_harm_a_server(directory: Path) -> None:
    """One that takes a server down is a failure."""
    findings = await inspect(launcher(directory, COOKIE, """echo '{"@level": "info", "@message": 5}' >&2"""))
    assert bad(findings) == {"log lines": "failed", "OpenAPI": "warning"}
    assert "dies of this line" in findings["log lines"].seen


# --- parts -------------------------------------------------------------------------------------


def test_output_after_the_handshake() -> None:
    """A server drops it; lines without level are a warning only."""
    watched = Watched(printed=["1|5|...", "hello"], logged=[parse_line('{"@message": "x"}')])
    found = {finding.check: finding for finding in _judge_output(watched)}
    assert found["stdout after the handshake"].seen == "hello"
    assert found["log lines"].verdict is Verdict.WARNING


def certificate(*, days: int = 1, usage: bool = True) -> bytes:
    """A self-signed RSA certificate, good or not."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
    )
    if usage:
        only_server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(only_server, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("der", "verdicts", "seen"),
    [
        (certificate(), ["failed", "failed"], "RSA"),
        (certificate(days=-1, usage=False), ["failed", "failed"], "not valid now"),
        (generate_identity().certificate, ["passed"], "ECDSA secp256r1"),
        (generate_identity(server_name="elsewhere").certificate, ["failed"], "no DNS name localhost"),
        (None, ["warning"], "none announced"),
    ],
)
def test_certificates(der: bytes | None, verdicts: list[str], seen: str) -> None:
    """Name, validity and usage, each by itself."""
    findings = list(inspect_certificate(der))
    assert [str(finding.verdict) for finding in findings] == verdicts
    assert seen in findings[0].seen


HELP: dict[str, tuple[pb.HandleRequestReply, dict[str, str]]] = {
    "empty": (pb.HandleRequestReply(), {"help": "failed", "OpenAPI": "warning"}),
    "an error": (
        pb.HandleRequestReply(err=pb.ProtoError(err_type=6)),
        {"help": "failed", "OpenAPI": "warning"},
    ),
    "an error response": (
        pb.HandleRequestReply(response=pb.Response(data='{"error": "no help"}')),
        {"help": "failed", "OpenAPI": "warning"},
    ),
    "no text": (
        pb.HandleRequestReply(response=pb.Response(data='{"help": " ", "openapi": {"paths": {}}}')),
        {"help": "warning"},
    ),
    "no document": (
        pb.HandleRequestReply(response=pb.Response(data='{"help": "h", "openapi": [1]}')),
        {"OpenAPI": "failed"},
    ),
    "good": (
        pb.HandleRequestReply(
            response=pb.Response(data='{"help": "## D\\n\\nh", "openapi": {"openapi": "3.0.2", "paths": {}}}')
        ),
        {},
    ),
}


class FakeLife:
    """A run that answers each method so."""

    protocol = 5
    is_multiplexed = True

    def __init__(self, **replies: Any) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        methods = [UnaryMethod(f"/pb.Backend/{name}", self._answer(reply)) for name, reply in replies.items()]
        self.channel = InProcessChannel(methods)

    def _answer(self, reply: Any) -> Callable[[bytes, Any], bytes]:
        return lambda message, call: reply.SerializeToString()

    async def offer(self, methods: Any) -> int:
        return 1

    async def withdraw(self, broker_id: int) -> None:
        pass

    async def stop(self) -> None:
        pass


@pytest.mark.parametrize("name", HELP)
async def test_help_pages(name: str) -> None:
    """What a server stumbles over, which our own plugins never send."""
    reply, expected = HELP[name]
    run = FakeLife(
        Setup=pb.SetupReply(),
        SpecialPaths=pb.SpecialPathsReply(paths=pb.Paths(unauthenticated=["login"])),
        Initialize=pb.InitializeReply(),
        HandleRequest=reply,
        Cleanup=pb.Empty(),
    )
    findings = {finding.check: finding for finding in await inspect_mount(run, "x", BackendType.CREDENTIAL)}
    assert bad(findings) == expected


async def test_pages_for_browsers_name_their_tuning() -> None:
    """An operator reads which headers a server keeps back unless the mount is tuned."""
    page = {"post": {"responses": {"200": {"description": "OK", "content": {"text/html": {"schema": {}}}}}}}
    document = {"openapi": "3.0.2", "paths": {"/login": {"get": {}}, "/callback": page}}
    run = FakeLife(
        Setup=pb.SetupReply(),
        SpecialPaths=pb.SpecialPathsReply(paths=pb.Paths(unauthenticated=["login"])),
        Initialize=pb.InitializeReply(),
        HandleRequest=pb.HandleRequestReply(
            response=pb.Response(data=json.dumps({"help": "h", "openapi": document}))
        ),
        Cleanup=pb.Empty(),
    )
    findings = {finding.check: finding for finding in await inspect_mount(run, "x", BackendType.CREDENTIAL)}
    assert bad(findings) == {}
    assert findings["pages"].seen.startswith("/callback: ")
    assert "-allowed-response-headers=X-Frame-Options" in findings["pages"].seen
