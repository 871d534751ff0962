"""`authkit dev` from outside: what it prints, what survives, what is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from canaries import canary
from dev_process import ROOT_TOKEN, SECONDS, SHARED_PIN, dev_process

PIN = canary("pin")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "authkit", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


async def gone(pids: list[int]) -> None:
    """Return once none of the processes is there any more."""
    async with asyncio.timeout(SECONDS):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)


async def test_it_says_what_to_do_and_leaves_nothing() -> None:
    """Address, token, and commands with the plugin's own fields; Ctrl-C ends the server and its plugin."""
    async with dev_process(str(SHARED_PIN)) as dev:
        printed = "".join(dev.lines)
        assert "development server" in printed
        assert printed.count(ROOT_TOKEN) == 1
        assert "vault write auth/shared_pin/role/dev pin=dev" in printed
        assert "vault write auth/shared_pin/login role=dev member=dev pin=dev" in printed
        assert "\x1b" not in printed
        plugins = dev.children()
        assert len(plugins) == 1
        assert await dev.end(signal.SIGINT) == 0
        await gone(plugins)


async def test_sigterm_ends_it_as_well() -> None:
    """As a service manager does; a second signal on the way changes nothing."""
    async with dev_process(str(SHARED_PIN)) as dev:
        plugins = dev.children()
        dev.process.send_signal(signal.SIGTERM)
        assert await dev.end(signal.SIGTERM) == 0
        await gone(plugins)


async def test_plugins_don_t_outlive_a_server_that_is_killed() -> None:
    """Even when it can tell them nothing."""
    async with dev_process(str(SHARED_PIN)) as dev:
        plugins = dev.children()
        await dev.end(signal.SIGKILL)
        await gone(plugins)


async def test_data_survives_kill_9(tmp_path: Path) -> None:
    """Mounts, roles and tokens are there again: whatever was answered was written before."""
    data = tmp_path / "dev.sqlite"
    async with dev_process("--data", str(data), str(SHARED_PIN)) as dev:
        await dev.call("POST", "auth/shared_pin/role/dev", pin=PIN)
        login = await dev.call("POST", "auth/shared_pin/login", role="dev", member="ann", pin=PIN)
        token = login.json()["auth"]["client_token"]
        await dev.end(signal.SIGKILL)
    assert data.stat().st_mode & 0o077 == 0
    async with dev_process("--data", str(data)) as dev:
        lookup = await dev.call("POST", "auth/token/lookup", token=token)
        assert lookup.json()["data"]["display_name"] == "shared_pin-dev/ann"
        again = await dev.call("POST", "auth/shared_pin/login", role="dev", member="bob", pin=PIN)
        assert again.status_code == 200


async def test_a_change_of_the_source_reloads_the_plugin(tmp_path: Path) -> None:
    """The next login runs the new code; what is stored stays."""
    file = tmp_path / "shared_pin.py"
    shutil.copy(SHARED_PIN, file)
    async with dev_process(str(file)) as dev:
        await dev.call("POST", "auth/shared_pin/role/dev", pin=PIN)
        changed = file.read_text().replace('name=f"{call.role_name}/{member}"', 'name=f"changed/{member}"')
        file.write_text(changed)
        await dev.wait_for("shared_pin.py changed, reloaded")
        login = await dev.call("POST", "auth/shared_pin/login", role="dev", member="ann", pin=PIN)
        lookup = await dev.call("POST", "auth/token/lookup", token=login.json()["auth"]["client_token"])
        assert lookup.json()["data"]["display_name"] == "shared_pin-changed/ann"


async def test_a_broken_plugin_is_told_about_and_mended_by_a_change(tmp_path: Path) -> None:
    """The server runs without it, and tries again when its source changes."""
    file = tmp_path / "shared_pin.py"
    file.write_text("raise SystemExit('not yet')\n")
    async with dev_process(str(file)) as dev:
        printed = "".join(dev.lines)
        assert re.search(
            "^shared_pin: not enabled: Unrecognized remote plugin message: *$", printed, re.MULTILINE
        )
        assert "authkit doctor " in printed
        file.write_text("raise SystemExit('nor now')\n")
        await dev.wait_for("shared_pin.py changed, but: Unrecognized remote plugin message")
        shutil.copy(SHARED_PIN, file)
        await dev.wait_for("shared_pin.py changed, reloaded")
        assert (await dev.call("GET", "auth/shared_pin/role/none")).status_code == 404


async def test_a_plugin_under_another_name() -> None:
    """NAME=PLUGIN chooses name and path."""
    async with dev_process(f"people={SHARED_PIN}", "--no-ui", "--no-watch") as dev:
        mounts = (await dev.call("GET", "sys/auth")).json()["data"]
        assert mounts["people/"]["type"] == "people"
        assert (await dev.http.get(f"{dev.address}/ui/")).status_code == 404


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["dev", "nowhere.py"], "give an executable"),
        (["dev", f"a={SHARED_PIN}", f"a={SHARED_PIN}"], "give one another with NAME=PLUGIN"),
        (["dev", "--listen-insecure", "example.com"], "use an IP address"),
        (["dev", "--data", "/proc/none/x.sqlite"], "can't be"),
        (["dev", "--data", "/tmp/x.sqlite"], "other users may write to /tmp: use a folder of your own"),
        (["new", "Not A Name"], "small letters"),
    ],
)
def test_errors_are_one_line(arguments: list[str], advice: str) -> None:
    """It says what to do; there is no traceback, and the exit status is 1."""
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("authkit: ")
    assert advice in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_port_that_is_taken_is_an_error() -> None:
    """With the options that help."""
    async with dev_process() as dev:
        done = await asyncio.to_thread(run, "dev", "--port", dev.address.rpartition(":")[2])
        assert done.returncode == 1
        assert "choose another with --port" in done.stderr


def test_help_lists_the_commands() -> None:
    """`authkit --help` and `python -m authkit --help` are the same."""
    done = run("--help")
    assert done.returncode == 0
    for command in ("new", "dev", "doctor"):
        assert f"  {command} " in done.stdout
    assert os.path.basename(sys.executable) not in done.stdout
