"""Each kind of plugin as one file: the server registers it as what it is, and starts it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from livebed.packages import make_project
from livebed.plugins import Plugin
from livebed.server import Server

from authkit.packaging.forms.executable import Executable
from authkit.packaging.forms.standalone import build_standalone

pytestmark = pytest.mark.skipif(not shutil.which("go"), reason="no Go to compile the launcher with")

COOKIES = {
    "secret": {"VAULT_BACKEND_PLUGIN": "6669da05-b1c8-4f49-97d9-c8e5bed98e20"},
    "database": {"VAULT_DATABASE_PLUGIN": "926a0820-aea2-be28-51d6-83cdf00e8edb"},
}


@pytest.fixture(scope="module")
def built(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Executable]:
    """The examples of the other two kinds, by kind."""
    made = {}
    for kind, example in (("secret", "postgres_users"), ("database", "redis_acl")):
        folder = tmp_path_factory.mktemp(kind) / example
        project = make_project(folder, wheels, example)
        made[kind] = build_standalone(project, folder / "dist", find_links=[wheels])
        assert made[kind].kind == kind
    return made


@pytest.mark.parametrize("kind", COOKIES)
def test_a_server_registers_it_as_what_it_is(
    server: Server, built: dict[str, Executable], kind: str, tmp_path: Path
) -> None:
    """It starts under the cookie of its kind, and refuses the other's."""
    file = Path(shutil.copy2(built[kind].file, server.plugin_directory))
    plugin = Plugin(built[kind].name, file, built[kind].version, kind)
    plugin.register(server.client, version=plugin.version)
    found = server.client.read(f"sys/plugins/catalog/{kind}/{plugin.name}", version=plugin.version)
    assert found["sha256"] == built[kind].sha256
    if kind == "secret":
        server.client.write("sys/mounts/packed", type=plugin.name)
        assert "config" in server.client.call("GET", "packed/", params={"help": "1"})["help"]
        server.client.delete("sys/mounts/packed")
    else:
        server.client.write("sys/mounts/packed", type="database")
        server.client.write(
            "packed/config/c",
            plugin_name=plugin.name,
            verify_connection=False,
            host="h",
            port=1,
            username="u",
            password="p",
            allowed_roles="*",
        )
        assert server.client.read("packed/config/c")["plugin_name"] == plugin.name
        server.client.raw("DELETE", "sys/mounts/packed")
    for other, cookie in COOKIES.items():
        if other != kind:
            done = subprocess.run([file], env=cookie, capture_output=True, timeout=60)
            assert (done.returncode, done.stdout) == (1, b"")
