"""A plugin packed without an interpreter: one executable, on a server whose machine has the same Python."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.bare_root import can_make_roots, in_bare_root
from livebed.binaries import ServerProgram
from livebed.client import ServerError
from livebed.mounts import mount_plugin
from livebed.packages import make_next, read_refusal, unpacked_in
from livebed.plugins import Plugin
from livebed.server import Server
from livebed.starts import host_environment, seconds_to_handshake
from livebed.tokens import Issuer

from authkit.packaging.forms.executable import Executable
from authkit.packaging.forms.zipapp import build_zipapp
from authkit.packaging.interpreter.libraries import copy_libraries
from authkit.packaging.interpreter.program import copy_interpreter, original_interpreter
from authkit.packaging.project import Project
from authkit.plugin.handshake import notice

ROOT = Path(__file__).resolve().parents[2]
LOGINS = 100
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PROGRAM = f"python{VERSION}"
INTERPRETER = original_interpreter()
SETTING = f"AUTHKIT_PYTHON={INTERPRETER}"

pytestmark = pytest.mark.skipif(not shutil.which("go"), reason="no Go to compile the launcher with")


@pytest.fixture(scope="module")
def built(packed_project: Project, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Executable:
    """The JWT plugin."""
    return build_zipapp(packed_project, tmp_path_factory.mktemp("built"), find_links=[wheels])


@pytest.fixture(scope="module")
def next_version(
    packed_project: Project, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Executable:
    """Its next version."""
    folder = tmp_path_factory.mktemp("next") / "jwt_auth"
    return build_zipapp(make_next(packed_project, folder), folder / "dist", find_links=[wheels])


@pytest.fixture
def server_with_python(program: ServerProgram, tmp_path: Path) -> Iterator[Server]:
    """A server in a root directory that has Python without packages, and what wheels for Linux expect."""
    if not can_make_roots():
        pytest.skip("not allowed to make mounts")
    bare = in_bare_root(program, tmp_path)
    copy_interpreter(tmp_path / "root/usr")
    copy_libraries(tmp_path / "root/usr")
    (libgcc,) = Path("/usr/lib").glob("*-linux-gnu/libgcc_s.so.1")
    shutil.copy2(libgcc, tmp_path / "root/usr/lib")
    with Server(bare) as server:
        yield server


def put(server: Server, built: Executable) -> Plugin:
    """Copy the file into the plugin directory."""
    shutil.copy2(built.file, server.plugin_directory)
    return Plugin("jwt_auth", server.plugin_directory / built.file.name, built.version)


# --- on servers --------------------------------------------------------------------------------


def test_a_server_with_python_runs_it(
    server_with_python: Server, built: Executable, next_version: Executable
) -> None:
    """It finds the interpreter in PATH: a hundred logins, an upgrade; a file that was changed is refused."""
    plugin = put(server_with_python, built)
    plugin.register(server_with_python.client)
    with mount_plugin(server_with_python, plugin, Issuer.rsa()) as mount:
        for _ in range(LOGINS):
            mount.login()
        upgraded = put(server_with_python, next_version)
        upgraded.register(server_with_python.client, version=upgraded.version)
        mount.tune(plugin_version=upgraded.version)
        mount.reload()
        mount.login()
        with upgraded.file.open("ab") as file:
            file.write(b"\0")
        with pytest.raises(ServerError, match="checksums did not match"):
            mount.reload()


def test_what_was_changed_in_the_cache_does_not_run(server: Server, built: Executable) -> None:
    """It is unpacked anew, also where the interpreter is named at the registration."""
    plugin = put(server, built).called("jwt_zipapp")
    plugin.register(server.client, env=[SETTING])
    with mount_plugin(server, plugin, Issuer.rsa()) as mount:
        mount.login()
        entry = next(path.parent for path in (server.home / ".cache/authkit").glob("*/main.py"))
        original = (entry / "main.py").read_bytes()
        (entry / "main.py").chmod(0o600)
        (entry / "main.py").write_bytes(b"raise SystemExit\n")
        mark = server.log_mark()
        mount.reload()
        mount.login()
        server.wait_for_log("main.py was changed.*unpacked anew", since=mark)
        assert (entry / "main.py").read_bytes() == original


# --- by itself ---------------------------------------------------------------------------------


def test_the_wrong_cookie_touches_nothing(built: Executable, tmp_path: Path) -> None:
    """No interpreter starts: there is none."""
    environment = {"HOME": str(tmp_path), "PATH": "", "VAULT_DATABASE_PLUGIN": "926a0820"}
    done = subprocess.run([built.file], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", notice(built.file.name))
    assert list(tmp_path.iterdir()) == []


def test_two_builds_are_the_same(
    built: Executable, packed_project: Project, wheels: Path, tmp_path: Path
) -> None:
    """The file, and the list of what is in it."""
    again = build_zipapp(packed_project, tmp_path, find_links=[wheels])
    assert again.sha256 == built.sha256
    assert again.sbom.read_bytes() == built.sbom.read_bytes()


def test_no_interpreter_is_in_it(built: Executable, tmp_path: Path) -> None:
    """Nor its library; the list of contents says so, the summary what is needed."""
    environment = host_environment(tmp_path) | {"AUTHKIT_CACHE_DIR": str(tmp_path / "cache")}
    seconds_to_handshake(built.file, environment | dict([SETTING.split("=")]))
    assert sorted(path.name for path in unpacked_in(tmp_path / "cache").iterdir()) == [
        "main.py",
        "site-packages",
    ]
    names = {component["name"] for component in json.loads(built.sbom.read_text())["components"]}
    assert "cryptography" in names
    assert not names & {"cpython", "libcrypto.so.3"}
    assert f"CPython {VERSION} (cpython-" in built.needs


def test_variables_of_python_have_no_influence(built: Executable, tmp_path: Path) -> None:
    """Nor have packages beside the interpreter, or a module or a library in the working directory."""
    planted = tmp_path / "planted"
    planted.mkdir()
    for name in ("sitecustomize", "usercustomize", "authkit", "jwt_auth", "json"):
        (planted / f"{name}.py").write_text("raise SystemExit('planted')\n")
    python = {"PYTHONPATH": str(planted), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": str(planted / "json.py")}
    environment = host_environment(tmp_path) | python | dict([SETTING.split("=")])
    environment["AUTHKIT_CACHE_DIR"] = str(tmp_path / "cache")
    (planted / "libm.so.6").write_text("planted")
    environment["LD_LIBRARY_PATH"] = "/nowhere:"  # its empty part is the working directory
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(planted)
        seconds_to_handshake(built.file, environment)


def refuse(built: Executable, tmp_path: Path, **environment: str) -> str:
    """Start the file in an environment in which it finds no interpreter; return what it says."""
    cache = tmp_path / "cache"
    cache.mkdir(exist_ok=True)
    said = read_refusal(built.file, environment | {"AUTHKIT_CACHE_DIR": str(cache)})
    assert said.startswith(f"this plugin needs CPython {VERSION}, and ")
    return said


def test_no_interpreter_is_told(built: Executable, tmp_path: Path) -> None:
    """What is needed, what was found, what to do; nothing was unpacked."""
    assert refuse(built, tmp_path, PATH="/nowhere:relative").endswith(
        f"there is none in PATH (/nowhere:relative): install {PROGRAM}, or name one in AUTHKIT_PYTHON by its "
        "absolute path"
    )
    assert '"python3" is not an absolute path' in refuse(built, tmp_path, AUTHKIT_PYTHON="python3")
    assert "AUTHKIT_PYTHON names can't be used: " in refuse(
        built, tmp_path, AUTHKIT_PYTHON="/nowhere/python3"
    )
    assert "is not an executable of this machine" in refuse(built, tmp_path, AUTHKIT_PYTHON="/usr/bin/ldd")
    assert list((tmp_path / "cache").iterdir()) == []


def other_interpreter() -> str:
    """Return an interpreter of another version that this machine has."""
    listed = subprocess.run(
        [ROOT / "scripts/interpreters"], capture_output=True, text=True, check=False
    ).stdout.split()
    found = [path for path in listed if Path(path).resolve().name != PROGRAM]
    if not found:
        pytest.skip("no second interpreter")
    return found[-1]


def test_an_interpreter_of_another_version_is_told(built: Executable, tmp_path: Path) -> None:
    """By itself, before it runs anything of the plugin."""
    other = other_interpreter()
    said = refuse(built, tmp_path, AUTHKIT_PYTHON=other)
    assert f"{Path(other).resolve()} is CPython 3." in said
    assert said.endswith(f"install {PROGRAM}, or name one in AUTHKIT_PYTHON by its absolute path")


def test_an_interpreter_that_others_may_replace_is_not_used(built: Executable, tmp_path: Path) -> None:
    """The search in PATH goes on to the next."""
    folder = tmp_path / "open"
    folder.mkdir()
    shutil.copy2(INTERPRETER, folder / PROGRAM)
    folder.chmod(0o777)
    assert f"others may write to {folder}" in refuse(built, tmp_path, AUTHKIT_PYTHON=str(folder / PROGRAM))
    assert f"others may write to {folder}: install" in refuse(built, tmp_path, PATH=str(folder))
    path = f"{folder}:{INTERPRETER.parent}"
    environment = host_environment(tmp_path) | {"PATH": path, "AUTHKIT_CACHE_DIR": str(tmp_path / "cache")}
    seconds_to_handshake(built.file, environment)


@pytest.mark.parametrize("mode", ["777", "1777"])
def test_a_library_that_others_may_change_is_not_used(built: Executable, tmp_path: Path, mode: str) -> None:
    """The interpreter would import from it before it can look. A sticky bit lets others add to it."""
    said = refuse_in_mount(built, tmp_path, f"mkdir /mnt/lib && chmod {mode} /mnt/lib")
    assert said.endswith("others may write to /mnt/lib")


LIBRARY = (
    f"mkdir -p /mnt/lib/{PROGRAM}/encodings && cd /mnt/lib/{PROGRAM} && touch os.py encodings/aliases.py"
)

ENVIRONMENT = "echo 'Home = /mnt/theirs/bin' > /mnt/pyvenv.cfg"


@pytest.mark.parametrize(
    ("preparation", "said"),
    [
        # Whatever is above: the path of another library is in the program itself.
        ("true", "/mnt/bin has no library (lib/python3.*/os.py) in a folder above it"),
        (
            f"{LIBRARY} && chown 12345 encodings/aliases.py",
            f"/mnt/lib/{PROGRAM}/encodings/aliases.py belongs to another user than root and the server's",
        ),
        (f"{LIBRARY} && chmod 777 encodings", f"others may write to /mnt/lib/{PROGRAM}/encodings"),
        # A copy in an environment has the library of the one that it is a copy of.
        (
            f"{LIBRARY} && mkdir -p /mnt/theirs/bin && chown 12345 /mnt/theirs/bin && {ENVIRONMENT}",
            "copied into an environment: /mnt/theirs/bin belongs to another user than root and the server's",
        ),
        (f"{LIBRARY} && echo 'home = bin' > /mnt/bin/pyvenv.cfg", "home is not an absolute path"),
    ],
)
def test_an_interpreter_with_a_library_of_others_is_not_used(
    built: Executable, tmp_path: Path, preparation: str, said: str
) -> None:
    """It would run what is in it before it can look."""
    assert refuse_in_mount(built, tmp_path, preparation).endswith(said)


def refuse_in_mount(built: Executable, folder: Path, preparation: str) -> str:
    """Start the file with an interpreter in /mnt/bin, after shell commands; return what it says."""
    if not can_make_roots():
        pytest.skip("not allowed to make mounts")
    script = (
        f'mount -t tmpfs -o mode=755 none /mnt && mkdir /mnt/bin && cp "$1" /mnt/bin/{PROGRAM} '
        f'&& ({preparation}) && exec "$2"'
    )
    starter = folder / "starter"
    starter.write_text(
        f"#!/bin/sh\nexec unshare --mount sh -c {shlex.quote(script)} sh {INTERPRETER} {built.file}\n"
    )
    starter.chmod(0o755)
    return read_refusal(starter, {"AUTHKIT_PYTHON": f"/mnt/bin/{PROGRAM}"})
