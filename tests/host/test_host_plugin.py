"""A plugin executable as a catalog entry of a host: good ones, broken ones, crashes, what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import mount_config
from goplugin import PLUGINS

from authkit.errors import PluginGoneError, PluginSetupError, PluginStartError, UnsupportedPathError
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.logs import PluginLog
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.logical import (
    BackendType,
    Operation,
    Request,
    Response,
    SpecialPaths,
)
from authkit.plugin.security.certificates import encode_field, generate_identity

SHORT = timedelta(seconds=20)
MakePlugin = Callable[..., PluginProcess]


@pytest.fixture
def temporary(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's directory for temporary files."""
    path = short_directory / "t"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return path


@pytest.fixture
async def make(short_directory: Path, temporary: Path) -> AsyncIterator[MakePlugin]:
    """Makes hosted plugins of source code; at the end nothing may be left of any."""
    plugins: list[PluginProcess] = []

    def plugin(source: str, **options: Any) -> PluginProcess:
        path = short_directory / f"plugin{len(plugins)}"
        path.write_text(source)
        path.chmod(0o755)
        options = {"sha256": file_sum(path), "start_timeout": SHORT} | options
        plugins.append(PluginProcess(PluginFile(path, **options)))
        return plugins[-1]

    yield plugin
    for made in plugins:
        await made.close()
    assert list(temporary.iterdir()) == []


def python(body: str) -> str:
    """The source of an executable Python program."""
    return f"#!{sys.executable} -I\n{body}"


def shell(body: str) -> str:
    """The source of an executable shell script."""
    return f"#!/bin/sh\n{body}\n"


PROBE = python((PLUGINS / "probe.py").read_text())


def request(path: str, operation: Operation = Operation.READ, **data: Any) -> Request:
    """A request."""
    return Request(operation=operation, path=path, data=data, has_data=True, id="r-1")


async def pid_of(mount: Any) -> int:
    """The process that serves a mount."""
    response = await mount.handle_request(request("info"))
    return int(response.data["pid"])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


# --- a good plugin -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["grpcio", "authkit"])
async def test_a_mount_lives_in_a_process(make: MakePlugin, engine: str) -> None:
    """Probed, set up, initialized, asked and cleaned up, on every engine; the process ends with it."""
    plugin = make(PROBE, engine=engine)
    await plugin.probe()
    assert (plugin.backend_type, plugin.version) == (BackendType.CREDENTIAL, "v1.2.3")
    served = mount_config(plugin_name="probe")
    mount = await plugin.set_up(served)
    await mount.initialize()
    assert await mount.special_paths() == SpecialPaths(unauthenticated=("login",))
    assert await mount.handle_existence_check(request("get")) is None
    assert await mount.handle_request(request("put", Operation.UPDATE, value="kept")) is None
    assert await mount.handle_request(request("get")) == Response(data={"value": "kept"})
    assert await served.storage.list() == ["key"]
    with pytest.raises(UnsupportedPathError):
        await mount.handle_request(request("no-such-path"))
    pid = await pid_of(mount)
    await mount.invalidate_key("key")
    await mount.cleanup()
    await mount.cleanup()
    assert not Path(f"/proc/{pid}").exists()


async def test_mounts_share_a_process(make: MakePlugin) -> None:
    """Each with its storage; the process supervisor until the last has ended, and comes back for the next."""
    plugin = make(PROBE)
    first, second = await asyncio.gather(
        plugin.set_up(mount_config("u-1")), plugin.set_up(mount_config("u-2"))
    )
    await first.handle_request(request("put", Operation.UPDATE, value="1"))
    assert await second.handle_request(request("get")) is None
    pid = await pid_of(first)
    assert await pid_of(second) == pid
    await first.cleanup()
    assert await pid_of(second) == pid
    await second.cleanup()
    third = await plugin.set_up(mount_config("u-3"))
    assert await pid_of(third) != pid


async def test_the_environment_is_a_server_s(make: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was registered beats the host's own, and neither beats the protocol's variables."""
    monkeypatch.setenv("FROM_HOST", "host")
    monkeypatch.setenv("BOTH", "host")
    monkeypatch.setenv("PLUGIN_UNIX_SOCKET_DIR", "/no/such/directory")
    output = "print({n: os.environ.get(n) for n in sys.argv[1:]}, file=sys.stderr)"
    source = python(f"import os, sys\n{output}\n")
    records: list[PluginLog] = []
    names = [
        "FROM_HOST",
        "BOTH",
        "MINE",
        "VAULT_VERSION",
        "PLUGIN_PROTOCOL_VERSIONS",
        "VAULT_PLUGIN_METADATA_MODE",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED",
        "PLUGIN_UNIX_SOCKET_DIR",
        "VAULT_BACKEND_PLUGIN",
    ]
    registered = {"BOTH": "registered", "MINE": "1", "VAULT_VERSION": "zzz"}
    plugin = make(source, environment=registered, arguments=names, on_log=records.append)
    with pytest.raises(PluginStartError):
        await plugin.set_up(mount_config())
    common = {
        "FROM_HOST": "host",
        "BOTH": "registered",
        "MINE": "1",
        "VAULT_VERSION": "1.21.1",
        "PLUGIN_UNIX_SOCKET_DIR": None,
        "VAULT_BACKEND_PLUGIN": "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    }
    five = {
        "PLUGIN_PROTOCOL_VERSIONS": "5",
        "VAULT_PLUGIN_METADATA_MODE": "false",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
    }
    four = {
        "PLUGIN_PROTOCOL_VERSIONS": "3,4",
        "VAULT_PLUGIN_METADATA_MODE": "true",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED": "false",
    }
    printed = [eval(record.message) for record in records]
    assert printed == [common | five, common | four]


async def test_log_lines_arrive_as_records(make: MakePlugin, caplog: pytest.LogCaptureFixture) -> None:
    """At their levels, with their pairs, to the callback and to `logging`."""
    records: list[PluginLog] = []
    plugin = make(PROBE, on_log=records.append, name="my-probe")
    with caplog.at_level("DEBUG", logger="authkit.host.plugin"):
        mount = await plugin.set_up(mount_config("u-1"))
        await mount.initialize()
        await mount.handle_request(request("print"))
        for text in ("a debug line of the plugin", "from a child"):
            await until(lambda text=text: any(text in record.message for record in records))
    initialized = next(record for record in records if record.message == "initialized")
    assert (initialized.level, initialized.pairs["uuid"], initialized.fault) == (20, "u-1", "")
    (logged,) = [record for record in caplog.records if record.getMessage() == "initialized"]
    assert logged.kv["plugin"] == "my-probe"  # type: ignore[attr-defined]


async def test_what_code_prints_is_offered(make: MakePlugin) -> None:
    """The stdio stream carries it, told apart."""
    printed: list[tuple[int, bytes]] = []
    plugin = make(PROBE, on_output=lambda stream, data: printed.append((stream, data)))
    mount = await plugin.set_up(mount_config())
    await mount.handle_request(request("print"))
    await until(lambda: (1, b"printed to stdout\n") in printed and (2, b"printed to stderr\n") in printed)


# --- crashes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["grpcio", "authkit"])
async def test_a_crash_costs_the_calls_in_flight(make: MakePlugin, engine: str) -> None:
    """They say what happened; the next call finds a new process with every mount set up again."""
    records: list[PluginLog] = []
    plugin = make(PROBE, engine=engine, on_log=records.append)
    mounts = [await plugin.set_up(mount_config(f"u-{number}")) for number in range(3)]
    for mount in mounts:
        await mount.initialize()
    await mounts[0].handle_request(request("put", Operation.UPDATE, value="kept"))
    pid = await pid_of(mounts[0])
    calls = [asyncio.ensure_future(mount.handle_request(request("hang"))) for mount in mounts]
    await until(lambda: [record.message for record in records].count("hanging") == 3)
    os.kill(pid, signal.SIGKILL)
    for call in calls:
        with pytest.raises(PluginGoneError) as caught:
            await call
        assert str(caught.value) == "rpc error: code = Unavailable desc = error reading from server: EOF"
        assert f"process {pid} ended by signal 9 (SIGKILL)" in caught.value.hint
    answers = await asyncio.gather(*(pid_of(mount) for mount in mounts))
    assert len(set(answers)) == 1
    assert answers[0] != pid
    assert await mounts[0].handle_request(request("get")) == Response(data={"value": "kept"})


async def test_an_exit_with_a_status_is_named(make: MakePlugin) -> None:
    """As a number, with what the plugin wrote last to be found in the log."""
    source = PROBE.replace(
        "def do_block", "def do_leave(self, request):\n        os._exit(3)\n\n    def do_block"
    )
    mount = await make(source).set_up(mount_config())
    with pytest.raises(PluginGoneError) as caught:
        await mount.handle_request(request("leave"))
    assert "with exit status 3" in caught.value.hint
    assert await pid_of(mount)


async def test_a_file_that_was_changed_is_not_started_again(make: MakePlugin) -> None:
    """The running process goes on; after its end the checksum is looked at before anything is executed."""
    plugin = make(PROBE)
    mount = await plugin.set_up(mount_config())
    Path(plugin.file.path).write_text(PROBE + "\n# changed\n")
    pid = await pid_of(mount)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{pid}").exists())
    with contextlib.suppress(PluginGoneError, PluginStartError):  # the first call may meet the corpse
        await mount.handle_request(request("info"))
    with pytest.raises(PluginStartError, match=r"^checksums did not match$"):
        await mount.handle_request(request("info"))


async def test_a_stray_child_does_not_hold_the_host(make: MakePlugin) -> None:
    """A descendant that keeps the pipes open: the end is seen all the same, and the reason told."""
    source = PROBE.replace(
        "def do_block",
        "def do_leave(self, request):\n"
        "        err = [fd for fd in range(3, 30) if self.is_pipe(fd)]\n"
        "        child = subprocess.Popen(['sleep', '60'], pass_fds=err, start_new_session=True)\n"
        "        log.info('stray %d', child.pid)\n"
        "        os._exit(0)\n\n"
        "    def is_pipe(self, fd):\n"
        "        try:\n"
        "            return os.readlink(f'/proc/self/fd/{fd}').startswith('pipe:')\n"
        "        except OSError:\n"
        "            return False\n\n"
        "    def do_block",
    )
    records: list[PluginLog] = []
    mount = await make(source, on_log=records.append).set_up(mount_config())
    with pytest.raises(PluginGoneError) as caught:
        await mount.handle_request(request("leave"))
    (stray,) = [record.message.split()[1] for record in records if record.message.startswith("stray")]
    os.kill(int(stray), signal.SIGKILL)
    assert "still holds its standard output or error" in caught.value.hint
    assert await pid_of(mount)


# --- broken plugins ----------------------------------------------------------------------------

CERTIFICATE = encode_field(generate_identity().certificate)
USUAL = "This usually means\n  the plugin was not compiled for this architecture,\n"

BROKEN = {
    "prints first": (
        python("print('hello', flush=True)\nimport time; time.sleep(60)"),
        "Unrecognized remote plugin message: hello\n" + USUAL,
        "Something printed to standard output",
    ),
    "prints an empty line": (
        shell("echo; exec sleep 60"),
        "Unrecognized remote plugin message: \n" + USUAL,
        "Something printed",
    ),
    "ends at once": (
        python("import nothing_of_the_kind"),
        "Unrecognized remote plugin message: \nFailed to read any lines from plugin's stdout\n" + USUAL,
        "ModuleNotFoundError",
    ),
    "never stops printing": (
        python("print('x' * 1_000_000, flush=True)\nimport time; time.sleep(60)"),
        "Unrecognized remote plugin message: ",
        "",
    ),
    "another core version": (
        shell("echo '2|5|unix|/x|grpc|'; exec sleep 60"),
        "Incompatible core API version with plugin. Plugin version: 2, Core version: 1\n",
        "not 1",
    ),
    "another version": (
        shell("echo '1|7|unix|/x|grpc|'; exec sleep 60"),
        "Incompatible API version with plugin. Plugin version: 7, Client versions: [5]",
        "another type",
    ),
    "another protocol": (
        shell("echo '1|5|unix|/x|foo|'; exec sleep 60"),
        'Unsupported plugin protocol "foo". Supported: [netrpc grpc]',
        "grpc",
    ),
    "nobody listens": (
        shell(f"echo '1|5|unix|/tmp/no-such.sock|grpc|{CERTIFICATE}'; exec sleep 60"),
        (
            'rpc error: code = Unavailable desc = connection error: desc = "transport: error while dialing: '
            'dial unix /tmp/no-such.sock: connect: no such file or directory"'
        ),
        "Nobody listens",
    ),
    "no certificate": (
        shell("echo '1|5|unix|/tmp/no-such.sock|grpc|'; exec sleep 60"),
        "rpc error: code = Unavailable desc = connection error: ",
        "no certificate",
    ),
    "missing interpreter": (
        "#!/no/such/interpreter\n",
        "fork/exec {path}: no such file or directory",
        "interpreter",
    ),
    "no interpreter": ("hello\n", "fork/exec {path}: exec format error", "`#!`"),
    "empty": ("", "fork/exec {path}: exec format error", "`#!`"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_plugin_that_does_not_start(make: MakePlugin, name: str) -> None:
    """A server's own words, twice as a server tries it twice, and a hint for a human."""
    source, text, hint = BROKEN[name]
    plugin = make(source)
    text = text.format(path=plugin.file.path) if "{path}" in text else text
    with pytest.raises(PluginStartError) as caught:
        await plugin.set_up(mount_config())
    assert str(caught.value).startswith(f"invalid backend version: 2 errors occurred:\n\t* {text}")
    assert hint in caught.value.hint
    with pytest.raises(PluginStartError) as caught:
        await plugin.probe()
    assert str(caught.value).startswith(f"2 errors occurred:\n\t* {text}")


PATCHED = {
    "another certificate": (
        (
            "from authkit.plugin.security import certificates, tls\n"
            "other = certificates.encode_field(certificates.generate_identity().certificate)\n"
            "tls.encode_field = lambda der: other\n"
        ),
        'connection error: desc = "transport: authentication handshake failed: ',
    ),
    "no TLS": (
        (
            "from authkit.values import replace\nfrom authkit.plugin.security import tls\n"
            "make = tls.auto_mtls\n"
            "tls.auto_mtls = lambda *args: replace(make(*args), server=None)\n"
        ),
        "rpc error: code = Unavailable desc = ",
    ),
    "nonsense about multiplexing": (
        "from authkit.wire import multiplexing\nmultiplexing._MULTIPLEXED = b'\\xff'\n",
        "rpc error: code = Internal desc = the plugin's reply cannot be read",
    ),
}


@pytest.mark.parametrize("engine", ["grpcio", "authkit"])
@pytest.mark.parametrize("name", PATCHED)
async def test_a_plugin_that_cannot_be_talked_to(make: MakePlugin, name: str, engine: str) -> None:
    """It is not what it announced, or does not speak as it should: the start fails, nothing is left."""
    patch, text = PATCHED[name]
    guard = 'if __name__ == "__main__":'
    plugin = make(PROBE.replace(guard, f"{patch}{guard}"), engine=engine)
    with pytest.raises(PluginStartError) as caught:
        await plugin.set_up(mount_config())
    assert text in str(caught.value)


async def test_a_plugin_that_dies_in_its_setup(make: MakePlugin) -> None:
    """In a probe and for a mount: the error names the end of the process."""
    plugin = make(PROBE.replace("self.config = config", "os._exit(4)"))
    for call in (plugin.probe(), plugin.set_up(mount_config())):
        with pytest.raises(PluginGoneError) as caught:
            await call
        assert "with exit status 4" in caught.value.hint


async def test_a_plugin_that_never_answers(make: MakePlugin) -> None:
    """Is killed when the time for its start is over."""
    plugin = make(shell("exec sleep 60"), start_timeout=timedelta(milliseconds=200))
    with pytest.raises(PluginStartError) as caught:
        await plugin.set_up(mount_config())
    once = "timeout while waiting for plugin to start"
    assert str(caught.value) == f"invalid backend version: 2 errors occurred:\n\t* {once}\n\t* {once}\n\n"
    assert "imported" in caught.value.hint


async def test_a_wrong_checksum_executes_nothing(make: MakePlugin, short_directory: Path) -> None:
    """Not even once."""
    plugin = make(shell(f"touch {short_directory}/executed"), sha256="00" * 32)
    for start in (plugin.probe(), plugin.set_up(mount_config())):
        with pytest.raises(PluginStartError, match="checksums did not match"):
            await start
    assert not (short_directory / "executed").exists()


async def test_files_that_are_no_executables(short_directory: Path, temporary: Path) -> None:
    """A directory, a file without the executable bit, no file."""
    directory, plain = short_directory / "d", short_directory / "plain"
    directory.mkdir()
    plain.write_text(shell("exit 0"))
    for path, text in (
        (directory, f"error verifying checksum: read {directory}: is a directory"),
        (plain, f"fork/exec {plain}: permission denied"),
        (short_directory / "none", f"error verifying checksum: open {short_directory}/none: no such file"),
    ):
        plugin = PluginProcess(PluginFile(path, sha256=file_sum(plain)))
        with pytest.raises(PluginStartError, match=text) as caught:
            await plugin.set_up(mount_config())
        assert caught.value.hint
        await plugin.close()
    assert list(temporary.iterdir()) == []


async def test_a_setup_that_fails_leaves_no_process(make: MakePlugin) -> None:
    """The plugin's text is the error; unlike on a server nothing goes on running."""
    source = PROBE.replace(
        "self.config = config", "open('pid', 'w').write(str(os.getpid())); raise OSError('x')"
    )
    records: list[PluginLog] = []
    plugin = make(source.replace("'pid'", "os.environ['PIDFILE']"), on_log=records.append)
    plugin.file._environment["PIDFILE"] = str(Path(plugin.file.path).with_name("pid"))
    with pytest.raises(PluginSetupError, match="the plugin could not connect back"):
        await plugin.set_up(mount_config())
    pid = int(Path(plugin.file.path).with_name("pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


async def test_a_plugin_that_ignores_shutdown_is_killed(make: MakePlugin) -> None:
    """After two seconds, as by a server."""
    source = PROBE.replace(
        'if __name__ == "__main__":',
        "import authkit.plugin.services.controller as services\n"
        "services.Controller._shutdown = lambda self, request, call: b''\n"
        "import authkit.plugin.lifetime as lifetime\n"
        "from authkit.plugin import server\n"
        "async def never(broker): await asyncio.get_running_loop().create_future()\n"
        "server.wait_for_host_to_leave = never\n"
        'if __name__ == "__main__":',
    )
    plugin = make(source)
    mount = await plugin.set_up(mount_config())
    pid = await pid_of(mount)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await mount.cleanup()
    assert 1.5 < loop.time() - begun < 5
    assert not Path(f"/proc/{pid}").exists()


# --- protocol 4 --------------------------------------------------------------------------------

OLD = PROBE.replace(
    'if __name__ == "__main__":',
    'import authkit.serving\nauthkit.serving.PROTOCOL_VERSIONS = (4,)\nif __name__ == "__main__":',
)


async def test_a_plugin_of_protocol_4_is_probed(make: MakePlugin) -> None:
    """In plaintext, after protocol 5 was refused."""
    plugin = make(OLD)
    await plugin.probe()
    assert (plugin.backend_type, plugin.version) == (BackendType.CREDENTIAL, "v1.2.3")


async def test_a_plugin_of_protocol_4_needs_a_wrapping_token(make: MakePlugin) -> None:
    """A host that makes none cannot mount it, and says so."""
    with pytest.raises(PluginStartError, match="protocol 4 needs a wrapping token"):
        await make(OLD).set_up(mount_config())


LEFT_OPEN = """
import asyncio, sys
sys.path[:0] = {paths!r}
from factories import mount_config
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess

async def main():
    plugin = PluginProcess(PluginFile({path!r}, sha256=file_sum({path!r})))
    mount = await plugin.set_up(mount_config())
    print((await mount.handle_request(__import__("test_host_plugin").request("info"))).data["pid"])
    raise SystemExit(int(sys.argv[1]))

asyncio.run(main())
"""


async def test_a_host_that_ends_without_closing_leaves_nothing(make: MakePlugin, temporary: Path) -> None:
    """The process is killed and its files are removed, whatever the reason."""
    here = Path(__file__).parent
    code = LEFT_OPEN.format(paths=[str(here), str(here.parent)], path=make(PROBE).file.path)
    ended = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "5", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await ended.communicate()
    assert ended.returncode == 5, errors
    assert list(temporary.iterdir()) == []
    await until(lambda: not Path(f"/proc/{int(output)}").exists())
