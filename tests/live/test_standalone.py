"""A standalone plugin: one executable, on a server whose machine has no Python, and by itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from livebed.bare_root import can_make_roots, in_bare_root
from livebed.binaries import ServerProgram, find_built
from livebed.client import ServerError
from livebed.commands import run_authkit
from livebed.mounts import Mount, mount_plugin
from livebed.packages import NEXT, make_next, unpacked_in
from livebed.plugins import Plugin
from livebed.server import Server
from livebed.starts import host_environment, seconds_to_handshake
from livebed.tokens import Issuer

from authkit.packaging.errors import PackagingError
from authkit.packaging.forms.executable import Executable
from authkit.packaging.forms.standalone import build_standalone
from authkit.packaging.launcher import build_launcher
from authkit.packaging.lock import install
from authkit.packaging.oci import Image, write_image
from authkit.packaging.project import Project, read_project
from authkit.plugin.handshake import notice
from authkit.values import replace

LOGINS = 100
STARTS = 6

pytestmark = pytest.mark.skipif(not shutil.which("go"), reason="no Go to compile the launcher with")


@pytest.fixture(scope="module")
def built(packed_project: Project, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Executable:
    """The JWT plugin as one file."""
    return build_standalone(packed_project, tmp_path_factory.mktemp("built"), find_links=[wheels])


@pytest.fixture(scope="module")
def next_version(
    packed_project: Project, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Executable:
    """Its next version."""
    folder = tmp_path_factory.mktemp("next") / "jwt_auth"
    return build_standalone(make_next(packed_project, folder), folder / "dist", find_links=[wheels])


@pytest.fixture
def bare_server(program: ServerProgram, tmp_path: Path) -> Iterator[Server]:
    """A server in a root directory that has glibc, and no Python."""
    if not can_make_roots():
        pytest.skip("not allowed to make mounts")
    with Server(in_bare_root(program, tmp_path)) as server:
        yield server


def put(server: Server, built: Executable) -> Plugin:
    """Copy the file into the plugin directory."""
    shutil.copy2(built.file, server.plugin_directory)
    return Plugin("jwt_auth", server.plugin_directory / built.file.name, built.version)


# --- on servers --------------------------------------------------------------------------------


def test_a_server_without_python_runs_it(
    bare_server: Server, built: Executable, next_version: Executable
) -> None:
    """Registered, a hundred logins, upgraded; a file that was changed since is refused."""
    plugin = put(bare_server, built)
    plugin.register(bare_server.client)
    with mount_plugin(bare_server, plugin, Issuer.rsa()) as mount:
        for _ in range(LOGINS):
            mount.login()
        upgraded = put(bare_server, next_version)
        upgraded.register(bare_server.client, version=upgraded.version)
        mount.tune(plugin_version=upgraded.version)
        mount.reload()
        mount.login()
        listed = mount.client.read("sys/auth")[f"{mount.path}/"]
        assert listed["running_plugin_version"] == upgraded.version == NEXT
        with upgraded.file.open("ab") as file:
            file.write(b"\0")
        with pytest.raises(ServerError, match="checksums did not match"):
            mount.reload()


def test_a_server_without_python_gets_it_by_the_command(
    bare_server: Server, built: Executable, next_version: Executable, tmp_path: Path
) -> None:
    """Installed, upgraded and rolled back from outside; what fails is undone, and logins go on."""
    issuer = Issuer.rsa()
    (tmp_path / "token").write_text(issuer.token())
    probe = ("--probe", "role=dev", "--probe", f"jwt=@{tmp_path / 'token'}")
    directory = ("--plugin-dir", bare_server.plugin_directory)
    run = partial(run_authkit, bare_server)
    installed = run("install", built.file, *directory)
    assert installed.returncode == 0, installed.stderr
    copied = bare_server.plugin_directory / built.file.name
    mount = Mount(bare_server, Plugin("jwt_auth", copied, built.version), issuer, "jwt_auth")
    mount.configure()
    mount.write_role()

    def running() -> str:
        mount.login()
        version: str = mount.client.read("sys/auth")["jwt_auth/"]["running_plugin_version"]
        return version

    cut = tmp_path / "jwt_auth-0.3.0"
    cut.write_bytes(built.file.read_bytes()[:-1])
    cut.chmod(0o755)
    for file, fields in ((cut, probe), (next_version.file, ("--probe", "role=nobody"))):
        failed = run("upgrade", file, *directory, *fields)
        assert (failed.returncode, "runs v0.1.0 again" in failed.stderr) == (1, True), failed.stderr
        assert running() == "v0.1.0"
    upgraded = run("upgrade", next_version.file, *directory, *probe)
    assert (upgraded.returncode, running()) == (0, "v0.2.0"), upgraded.stderr
    back = run("rollback", "--mount", "jwt_auth", *probe)
    assert (back.returncode, running()) == (0, "v0.1.0"), back.stderr


def test_a_changed_cache_on_a_server_without_python(bare_server: Server, built: Executable) -> None:
    """As on another server."""
    plugin = put(bare_server, built)
    plugin.register(bare_server.client)
    change_the_cache(bare_server, plugin)


def test_what_was_changed_in_the_cache_does_not_run(server: Server, built: Executable) -> None:
    """It is unpacked anew; the log says what was found, and logins go on."""
    plugin = put(server, built).called("jwt_standalone")
    plugin.register(server.client)
    change_the_cache(server, plugin)


def change_the_cache(server: Server, plugin: Plugin) -> None:
    """Change a module that was unpacked; check that it is found and replaced when the plugin starts again."""
    with mount_plugin(server, plugin, Issuer.rsa()) as mount:
        mount.login()
        (entry,) = (server.home / ".cache/authkit").glob("jwt_auth-*/")
        changed = next(entry.rglob("jwt_auth/method.pyc"))
        original = changed.read_bytes()
        changed.chmod(0o600)
        changed.write_bytes(original[:-1] + b"?")
        mark = server.log_mark()
        mount.reload()
        mount.login()
        server.wait_for_log("method.pyc was changed.*unpacked anew", since=mark)
        assert changed.read_bytes() == original


# --- by itself ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that the file unpacks itself into."""
    return tmp_path / "cache"


def start(built: Executable, home: Path, folder: Path) -> float:
    """Start the file as a server does, and end it; return the seconds to its handshake."""
    folder.mkdir(exist_ok=True)
    return seconds_to_handshake(built.file, host_environment(folder) | {"AUTHKIT_CACHE_DIR": str(home)})


def refuse(built: Executable, home: Path, *, user: int | None = None) -> str:
    """Start the file as a server does, for a cache that cannot be used; return what it says."""
    environment = host_environment(built.file.parent) | {"AUTHKIT_CACHE_DIR": str(home)}
    done = subprocess.run(
        [built.file], env=environment, capture_output=True, text=True, timeout=60, user=user
    )
    assert (done.returncode, done.stdout) == (1, "")
    line: dict[str, str] = json.loads(done.stderr)
    assert line["@level"] == "error"
    return line["@message"]


def test_the_wrong_cookie_unpacks_nothing(built: Executable, tmp_path: Path) -> None:
    """Servers try the cookies of all types. The text is that of every plugin."""
    environment = {"HOME": str(tmp_path), "VAULT_DATABASE_PLUGIN": "926a0820-aea2-be28-51d6-83cdf00e8edb"}
    done = subprocess.run([built.file], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", notice(built.file.name))
    assert list(tmp_path.iterdir()) == []


def test_two_builds_are_the_same(
    built: Executable, packed_project: Project, wheels: Path, tmp_path: Path
) -> None:
    """The file, and the list of what is in it."""
    again = build_standalone(packed_project, tmp_path, find_links=[wheels])
    assert again.sha256 == built.sha256
    assert again.sbom.read_bytes() == built.sbom.read_bytes()


def test_nothing_of_development_is_in_it(built: Executable, home: Path, tmp_path: Path) -> None:
    """Neither the host nor tests, commands, sources or the second engine."""
    start(built, home, tmp_path / "tmp")
    names = {path.relative_to(unpacked_in(home)).as_posix() for path in unpacked_in(home).rglob("*")}
    assert any(name.endswith("authkit/serving.pyc") for name in names)
    unwanted = re.compile(r"\.py$|/pip/|/grpc/|authkit/(host|doctor|testing|cli|packaging)|/test/")
    assert [name for name in names if unwanted.search(name)] == []


def test_what_the_project_has_beside_its_modules_is_in_it(
    built: Executable, home: Path, tmp_path: Path
) -> None:
    """Templates and other data of the author's."""
    start(built, home, tmp_path / "tmp")
    (template,) = unpacked_in(home).rglob("page.jinja")
    assert template.read_text() == "a template of the author's"


def test_the_lists_beside_it_are_right(built: Executable) -> None:
    """`sha256sum --check` accepts them, and the contents name what the lock has."""
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built.file.parent, check=True)
    listed = json.loads(built.sbom.read_text())
    names = {component["name"] for component in listed["components"]}
    assert {"vault-authkit", "vault-authkit-jwt", "cryptography", "cpython", "libcrypto.so.3"} <= names
    assert "pkg:golang/stdlib@" in built.sbom.read_text()  # the launcher's
    assert "pkg:generic/openssl@" in built.sbom.read_text()  # of cryptography, by the list of its wheel
    assert "grpcio" not in names
    assert listed["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": built.sha256}]


def test_many_starts_at_once_unpack_it_once(built: Executable, home: Path, tmp_path: Path) -> None:
    """Each of them gets its handshake."""
    with ThreadPoolExecutor(STARTS) as pool:
        list(pool.map(lambda each: start(built, home, tmp_path / str(each)), range(STARTS)))
    assert sorted(path.suffix for path in home.iterdir()) == ["", "", ".lock"]


def add_module(entry: Path) -> None:
    """Add an extension that Python would prefer to a module."""
    folder = next(entry.rglob("jwt_auth/"))
    folder.chmod(0o700)
    (folder / "method.so").write_bytes(b"")


def remove_module(entry: Path) -> None:
    """Remove a module."""
    next(entry.rglob("jwt_auth/method.pyc")).unlink()


def link_module(entry: Path) -> None:
    """Put a link in the place of a module."""
    module = next(entry.rglob("jwt_auth/method.pyc"))
    module.rename(entry.parent / "elsewhere")
    module.symlink_to(entry.parent / "elsewhere")


def open_to_others(entry: Path) -> None:
    """Let others write to a folder."""
    next(entry.rglob("jwt_auth/")).chmod(0o777)


def forbid_execution(entry: Path) -> None:
    """Let nobody execute the interpreter, as a copy to another file system does."""
    next(entry.glob("bin/*")).chmod(0o400)


CHANGES = [add_module, remove_module, link_module, open_to_others, forbid_execution]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_replaced(
    built: Executable, home: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """Whatever was done to it."""
    start(built, home, tmp_path / "tmp")
    entry = unpacked_in(home)
    before = {path: path.stat().st_mode for path in entry.rglob("*")}
    change(entry)
    start(built, home, tmp_path / "tmp")
    assert {path: path.stat().st_mode for path in entry.rglob("*")} == before
    assert not any(path.is_symlink() for path in entry.rglob("*"))


def test_other_versions_are_removed_when_nothing_runs_from_them(
    built: Executable, next_version: Executable, home: Path, tmp_path: Path
) -> None:
    """The version that runs stays as long as its process does."""
    environment = host_environment(tmp_path) | {"AUTHKIT_CACHE_DIR": str(home)}
    with subprocess.Popen([built.file], env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        old = unpacked_in(home)
        start(next_version, home, tmp_path / "tmp")
        assert old.is_dir()
        running.kill()
    shutil.rmtree(next(path for path in home.glob("jwt_auth-*/") if path != old))
    start(next_version, home, tmp_path / "tmp")
    assert not old.exists()
    assert unpacked_in(home) != old


def test_a_folder_of_others_is_not_used(built: Executable, tmp_path: Path) -> None:
    """Nor one that they may write to, or whose parents they may rename. The text says what to do."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    advice = (
        f"; AUTHKIT_CACHE_DIR has to name a folder that uid {os.geteuid()} owns, with mode 0700, or that it"
    )
    assert f"{shared} has mode 0777: others may write to it (chmod go-w {shared}){advice}" in refuse(
        built, shared
    )
    renamed = f"{shared} has mode 0777: others may rename what is in it (chmod +t {shared}){advice}"
    assert renamed in refuse(built, shared / "below")
    assert "not an absolute path" in refuse(built, Path("relative"))
    assert "one of the characters :;$" in refuse(built, tmp_path / "a:b")


def test_a_cache_on_a_read_only_file_system_is_passed_over(built: Executable, tmp_path: Path) -> None:
    """The home of a service often is on one; the temporary folder is not."""
    if not can_make_roots():
        pytest.skip("not allowed to make mounts")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    (home / ".cache/authkit").mkdir(parents=True)
    temporary.mkdir()
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2"'
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mount, "sh", home, built.file],
        env=host_environment(temporary) | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("1|5|unix|")
        running.kill()
    assert unpacked_in(temporary / f"authkit-{os.geteuid()}").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_belongs_to_somebody_else_is_not_used(built: Executable, tmp_path: Path) -> None:
    """Its owner could put anything there."""
    given = tmp_path / "given"
    given.mkdir()
    os.chown(given, 65534, 65534)
    said = (
        f"{given} belongs to uid 65534, another user than the server's, uid 0; AUTHKIT_CACHE_DIR has to name"
    )
    assert said in refuse(built, given)
    assert said in refuse(built, given / "below")
    link = tmp_path / "link"
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    link.symlink_to(own)
    os.lchown(link, 65534, 65534)
    assert "link belongs to uid 65534, another user than" in refuse(built, link)
    assert list(own.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a plugin as another user")
def test_a_volume_of_a_container_needs_the_sticky_bit(built: Executable) -> None:
    """An emptyDir of Kubernetes is root's, with mode 0777: as such, and below it, no cache is made."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        volume, temporary = folder / "volume", folder / "tmp"
        for each, mode in ((volume, 0o777), (temporary, 0o1777)):
            each.mkdir()
            each.chmod(mode)
        file = Path(shutil.copy2(built.file, folder))
        standalone = replace(built, file=file)
        assert f"{volume} belongs to uid 0, another user" in refuse(standalone, volume, user=nobody)
        assert f"(chmod +t {volume})" in refuse(standalone, volume / "authkit", user=nobody)
        assert not any(volume.rglob("*.lock"))
        volume.chmod(0o1777)
        environment = host_environment(temporary) | {"AUTHKIT_CACHE_DIR": str(volume / "authkit")}
        with subprocess.Popen([file], env=environment, stdout=subprocess.PIPE, user=nobody) as running:
            assert running.stdout is not None
            assert running.stdout.readline().startswith(b"1|5|unix|")
            running.kill()


def test_what_killed_starts_have_left_goes_first(built: Executable, home: Path, tmp_path: Path) -> None:
    """There may be room for one: it goes even if what is unpacked then does not arrive."""
    (home / ".new-killed").mkdir(parents=True)
    home.chmod(0o700)
    damaged = tmp_path / "damaged"
    content = bytearray(built.file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(100)
    damaged.write_bytes(content)
    damaged.chmod(0o755)
    assert "the plugin can't be unpacked into" in refuse(replace(built, file=damaged), home)
    assert [path.name for path in home.iterdir() if path.is_dir()] == []


def test_nothing_above_the_cache_is_imported(built: Executable, tmp_path: Path) -> None:
    """Python searches its archive in all folders above its own: `/tmp/lib` is anybody's to make."""
    (tmp_path / "lib").mkdir()
    with zipfile.ZipFile(
        tmp_path / f"lib/python{sys.version_info[0]}{sys.version_info[1]}.zip", "w"
    ) as planted:
        planted.writestr("encodings/__init__.py", "raise SystemExit('planted')")
    start(built, tmp_path / "authkit", tmp_path / "tmp")


def test_a_file_that_was_cut_off_says_so(built: Executable, home: Path, tmp_path: Path) -> None:
    """As after a download that broke."""
    cut = tmp_path / "cut"
    cut.write_bytes(built.file.read_bytes()[:-1])
    cut.chmod(0o755)
    assert "cut off or changed" in refuse(replace(built, file=cut), home)
    lengths = (2**63 - 1).to_bytes(8, "big") * 2  # their sum is negative in 64 bits
    cut.write_bytes(built.file.read_bytes()[:-24] + lengths + b"authkit1")
    assert "cut off or changed" in refuse(replace(built, file=cut), home)


# --- as an image -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(built: Executable, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The JWT plugin as an OCI image."""
    return write_image(built, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def reference(image: Image) -> Iterator[str]:
    """Where a registry on loopback has it; its library has validated every blob before."""
    registry = find_built("oci")
    if registry is None:
        pytest.skip("the registry is not built: run scripts/live/build oci")
    with subprocess.Popen(
        [registry, image.folder, "plugins/jwt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
        running.communicate(timeout=60)
    assert running.returncode == 0


def test_two_images_are_the_same(built: Executable, image: Image, tmp_path: Path) -> None:
    """The layout, and its archive."""
    again = write_image(built, tmp_path)
    assert again.digest == image.digest
    assert again.archive.read_bytes() == image.archive.read_bytes()


def test_the_image_runs_by_itself(built: Executable, image: Image, tmp_path: Path) -> None:
    """Its layers are a root directory in which the executable starts, as a user that is not root."""
    if not can_make_roots():
        pytest.skip("not allowed to make mounts")
    root = tmp_path / "root"
    root.mkdir()
    manifest, config = read_image(image)
    for layer in manifest["layers"]:
        with tarfile.open(blob_of(image, layer["digest"])) as archive:
            archive.extractall(root, filter="fully_trusted")
    assert [path.name for path in root.iterdir() if path.is_file()] == [built.file.name]
    enter = (
        'for each in proc dev; do mkdir "$1/$each" && mount --rbind "/$each" "$1/$each" || exit; done;'
        'exec /usr/sbin/chroot --userspec="$2" "$1" "$3"'
    )
    user, (program,) = config["config"]["User"], config["config"]["Entrypoint"]
    assert not user.startswith("0:")
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", enter, "sh", root, user, program],
        env=host_environment(Path("/tmp")),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("1|5|unix|/tmp/")
        running.kill()


@pytest.mark.parametrize("has_python", [True, False])
def test_openbao_downloads_it(
    program: ServerProgram, built: Executable, reference: str, has_python: bool, tmp_path: Path
) -> None:
    """Declared in the server's configuration, it is taken out of the image, registered, and runs."""
    if not program.is_bao:
        pytest.skip("only OpenBao has declarative plugins")
    if not has_python:
        if not can_make_roots():
            pytest.skip("not allowed to make mounts")
        program = in_bare_root(program, tmp_path)
    with Declaring(program, built, reference) as server:
        plugin = Plugin("declared", server.plugin_directory / f"auth-declared-{built.version}")
        with mount_plugin(server, plugin, Issuer.rsa()) as mount:
            for _ in range(LOGINS):
                mount.login()


class Declaring(Server):
    """A server that downloads a plugin from a registry when it starts."""

    def __init__(self, program: ServerProgram, built: Executable, reference: str) -> None:
        super().__init__(program)
        self.built = built
        self.reference = reference

    def dev_config(self) -> str:
        """Declare the plugin."""
        image, _, version = self.reference.rpartition(":")
        return f"""
            {super().dev_config()}
            plugin_auto_download = true
            plugin_auto_register = true
            plugin "auth" "declared" {{
              image     = "{image}"
              version   = "{version}"
              sha256sum = "{self.built.sha256}"
            }}
        """


def blob_of(image: Image, digest: str) -> Path:
    """Return a blob of the layout."""
    return image.folder / "blobs" / digest.replace(":", "/")


def read_image(image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return manifest and configuration."""
    manifest = json.loads(blob_of(image, image.digest).read_text())
    return manifest, json.loads(blob_of(image, manifest["config"]["digest"]).read_text())


def test_settings_of_the_compiler_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's GOARCH made a file that no server runs, GOAMD64 one that few do."""
    first = build_launcher(tmp_path / "first", "auth").read_bytes()
    for name, value in {"GOARCH": "s390x", "GOAMD64": "v4", "GOFLAGS": "-race", "GOOS": "plan9"}.items():
        monkeypatch.setenv(name, value)
    assert build_launcher(tmp_path / "second", "auth").read_bytes() == first


# --- what is installed -------------------------------------------------------------------------


def write_part(folder: Path, name: str) -> Path:
    """Write a project with its part of the namespace package `acme`."""
    (folder / "acme").mkdir(parents=True)
    (folder / f"acme/{name}.py").write_text("class Method: ...\n")
    (folder / "pyproject.toml").write_text(f"""
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "acme-{name}"
        version = "1.0"
        [tool.hatch.build.targets.wheel]
        only-include = ["acme"]
        [tool.authkit]
        plugin = "acme.{name}:Method"
    """)
    return folder


def test_a_package_that_the_lock_shares_with_the_project_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's plugin and its libraries lie in one namespace. pip builds as it does by itself."""
    monkeypatch.delenv("PIP_NO_BUILD_ISOLATION", raising=False)
    library, project = (write_part(tmp_path / name, name) for name in ("library", "plugin"))
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=library, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    locked = f"acme-library==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    (project / "requirements.lock").write_text(locked)
    install(read_project(project), tmp_path / "target", without=(), find_links=[tmp_path])
    assert {path.name for path in (tmp_path / "target/acme").iterdir()} == {"library.py", "plugin.py"}


# --- what cannot be built ----------------------------------------------------------------------


def test_other_hashes_than_those_of_the_lock_are_refused(
    packed_project: Project, wheels: Path, tmp_path: Path
) -> None:
    """The index has something else under the version that was locked."""
    folder = tmp_path / "jwt_auth"
    shutil.copytree(packed_project.folder, folder)
    lock = folder / "requirements.lock"
    lock.write_text(re.sub(r"(h11==\S+ --hash=sha256:)\w+", rf"\g<1>{'0' * 64}", lock.read_text()))
    with pytest.raises(PackagingError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        build_standalone(read_project(folder), tmp_path / "dist", find_links=[wheels])


def test_a_plugin_that_does_not_load_is_not_packed(
    packed_project: Project, wheels: Path, tmp_path: Path
) -> None:
    """What it says when it is imported from what was packed is in the error."""
    folder = tmp_path / "jwt_auth"
    shutil.copytree(packed_project.folder, folder)
    (folder / "jwt_auth/method.py").write_text("import authkit.testing\n")
    with pytest.raises(PackagingError, match=r"does not load(.|\n)*No module named 'authkit.testing'"):
        build_standalone(read_project(folder), tmp_path / "dist", find_links=[wheels])
    assert not (tmp_path / "dist").exists()
