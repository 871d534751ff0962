"""The direction of imports: one way, from values and errors up to the commands."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "authkit"

pytestmark = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="the source is out of reach (scripts/test_wheel)"
)

BOTTOM = {
    "base64url",
    "clock",
    "errors",
    "globs",
    "json_reader",
    "masking",
    "meter",
    "names",
    "printable",
    "threads",
    "values",
}

MAY_IMPORT: dict[str, set[str]] = {
    "base64url": set(),
    "clock": set(),
    "globs": set(),
    "json_reader": set(),
    "masking": set(),
    "meter": set(),
    "printable": set(),
    "errors": set(),
    "names": set(),
    "threads": {"errors"},
    "values": set(),
    "logical": BOTTOM,
    "framework": {*BOTTOM, "logical"},
    "auth": {*BOTTOM, "logical", "framework"},
    "oidc": BOTTOM,
    "credentials": BOTTOM,
    "secrets": {*BOTTOM, "credentials", "logical", "framework"},
    "rpc": {"errors", "values"},
    "plugin": {*BOTTOM, "rpc"},
    "wire": {*BOTTOM, "logical", "rpc", "plugin"},
    # Imported only where an operator asks for metrics.
    "metrics": {*BOTTOM, "logical", "rpc", "plugin", "wire"},
    "database": {*BOTTOM, "framework", "credentials", "rpc", "plugin", "wire", "metrics"},
    "serving": {*BOTTOM, "logical", "rpc", "plugin", "wire", "metrics"},
    # The host's database engine is a secrets engine, and drives database plugins.
    "host": {
        *BOTTOM,
        "credentials",
        "database",
        "logical",
        "framework",
        "auth",
        "secrets",
        "rpc",
        "plugin",
        "wire",
    },
    "doctor": {*BOTTOM, "database", "logical", "rpc", "plugin", "wire", "host"},
    "testing": {*BOTTOM, "database", "logical", "framework", "auth", "plugin", "host"},
    "testing_pytest": {"testing"},
    "packaging": {"values", "plugin", "wire", "database"},
    "deployment": {"values", "wire", "packaging"},
    "cli": {"printable", "values", "plugin", "database", "host", "doctor", "packaging", "deployment"},
}
"""What each part may import of the others. The package's own __init__ only names homes."""

DEVELOPMENT = {"host", "doctor", "testing", "testing_pytest", "packaging", "deployment", "cli"}
"""Parts for development and tests. A plugin in production imports none of them."""


def names_imported_by(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it and for whatever purpose."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from names


def imports_of(path: Path) -> Iterator[str]:
    """Yield the parts of authkit that a file imports."""
    for name in names_imported_by(path):
        parts = name.split(".")
        if parts[0] == "authkit" and len(parts) > 1:
            yield parts[1]


def test_every_part_has_its_place() -> None:
    """A new folder or module at the top has to be put into the order."""
    # A folder that was renamed stays where only compiled modules are in it.
    modules = [*PACKAGE.glob("*.py"), *(path.parent for path in PACKAGE.glob("*/__init__.py"))]
    found = {path.stem for path in modules if path.stem[0] != "_"}
    assert found == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_go_one_way(part: str) -> None:
    """No part imports one above or beside it."""
    folder = PACKAGE / part
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    for path in files:
        foreign = set(imports_of(path)) - {part} - MAY_IMPORT[part]
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {foreign}"


@pytest.mark.parametrize("part", sorted(MAY_IMPORT.keys() - DEVELOPMENT))
def test_production_code_may_import_no_development_code(part: str) -> None:
    """The table itself allows a plugin in production nothing of the host, the doctor, tests or commands."""
    assert not MAY_IMPORT[part] & DEVELOPMENT


_IMPORT_A_PLUGIN = """
import importlib, pkgutil, sys
import authkit.serving, authkit.wire.backend, authkit.plugin.server, jwt_auth
# google and gsuite need google-auth, an extra that need not be installed.
left_out = {"jwt_auth.__main__", "jwt_auth.providers.google", "jwt_auth.providers.gsuite"}
for module in pkgutil.walk_packages(jwt_auth.__path__, "jwt_auth."):
    if module.name not in left_out:
        importlib.import_module(module.name)
jwt_auth.JWTAuth
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("authkit.")}))
"""


def test_a_plugin_loads_no_development_code() -> None:
    """A process that serves the JWT example has loaded nothing of the host, the doctor, tests or commands."""
    root = PACKAGE.parent
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_A_PLUGIN],
        env={"PYTHONPATH": f"{root}:{root / 'examples' / 'jwt_auth'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"serving", "plugin", "wire", "framework", "auth", "oidc"} <= loaded
    assert not loaded & DEVELOPMENT
    assert "metrics" not in loaded, "metrics are for those who ask for them"


def test_one_package_imports_what_makes_figures() -> None:
    """`prometheus_client` is an extra: nothing else may need it."""
    using = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if any(name.partition(".")[0] == "prometheus_client" for name in names_imported_by(path))
    }
    assert using == {"metrics"}


DOCTOR_MAY_IMPORT = {"supervisor", "store", "mounts"}
"""Packages of the host that the inspection needs. Of `mounts` it takes what a mount in memory is served."""


def test_the_doctor_stands_beside_the_server() -> None:
    """The inspection starts a plugin and mounts it in memory; it needs no server, API or page."""
    for path in (PACKAGE / "doctor").rglob("*.py"):
        names = {name for name in names_imported_by(path) if name.startswith("authkit.host.")}
        subpackages = {name.split(".")[2] for name in names}
        assert subpackages <= DOCTOR_MAY_IMPORT, f"{path.relative_to(PACKAGE)} imports {subpackages}"


SUBPACKAGES: dict[str, dict[str, set[str]]] = {
    "framework": {
        "fields": set(),
        "handler_threads": set(),
        "replication": set(),
        "ttl": {"fields"},
        "models": {"fields"},
        "stored": {"fields", "models", "handler_threads", "replication"},
        "routing": {"fields", "models", "stored", "replication"},
        "documents": {"fields", "routing"},
        "objects": {"fields", "models", "stored", "routing", "documents", "handler_threads"},
        "handlers": {"fields", "models", "objects", "routing", "documents", "handler_threads"},
        "tasks": {"fields", "stored", "routing", "handler_threads", "replication"},
        "backend": {
            "fields",
            "handler_threads",
            "replication",
            "stored",
            "routing",
            "documents",
            "objects",
            "tasks",
        },
    },
    "oidc": {
        "http": set(),
        "keys": {"http"},
        "tokens": {"keys"},
        "user_directory": {"http", "tokens"},
        "client": {"http", "keys", "tokens"},
    },
    "host": {
        "store": set(),
        "mounts": {"store"},
        "messages": set(),
        "state": {"store", "mounts"},
        "authorization": {"store"},
        "backends": {"store", "mounts", "messages", "state", "authorization"},
        # A secrets engine of the host's own runs as a plugin in this process, between the two.
        "built_in": {"store", "backends", "supervisor"},
        "server": {"store", "mounts", "messages", "state", "authorization", "backends"},
        "supervisor": {"store"},
        "http": {"messages"},
        "api_client": {"messages", "http", "mount_overview"},
        "mount_overview": set(),
        "formatting": set(),
        "page": {"messages", "http", "api_client", "mount_overview", "formatting"},
        "dev_server": {
            "api_client",
            "built_in",
            "mount_overview",
            "store",
            "server",
            "supervisor",
            "http",
            "page",
        },
    },
}
"""What each subpackage of a package may import of the others."""


@pytest.mark.parametrize(
    ("package", "subpackage"),
    [(package, subpackage) for package in SUBPACKAGES for subpackage in SUBPACKAGES[package]],
)
def test_subpackages_have_an_order(package: str, subpackage: str) -> None:
    """No subpackage imports one above or beside it, not even for an annotation."""
    folder = PACKAGE / package / subpackage
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    assert {path.stem for path in folder.parent.iterdir() if path.stem[0] != "_"} == set(SUBPACKAGES[package])
    for path in files:
        foreign = {
            name.split(".")[2]
            for name in names_imported_by(path)
            if name.startswith(f"authkit.{package}.") and name.split(".")[2] in SUBPACKAGES[package]
        } - {subpackage, *SUBPACKAGES[package][subpackage]}
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {foreign}"


def test_no_module_imports_one_that_imports_it() -> None:
    """Not even for types, and not through others."""
    modules = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    imports = {
        name: {
            homes for each in names_imported_by(path) if (homes := home_of(each, modules)) not in ("", name)
        }
        for name, path in modules.items()
        if path.name != "__init__.py"
    }
    # Whoever imports nothing that is left is above no cycle: what remains in the end is one.
    while free := [name for name, needed in imports.items() if not needed & imports.keys()]:
        for name in free:
            del imports[name]
    assert not imports, f"a cycle is among {sorted(imports)}"


def module_of(path: Path) -> str:
    """Return the dotted name of a file's module."""
    return ".".join(("authkit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def home_of(name: str, modules: Mapping[str, Path]) -> str:
    """Return the module that an imported name is, or is in; empty where it is another package's."""
    return name if name in modules else name.rpartition(".")[0] if name.rpartition(".")[0] in modules else ""


MAX_MODULES = 15
"""In one folder, its `__init__` and its folders included."""


def test_folders_are_small() -> None:
    """Whoever opens one sees it at a glance. Generated code does not count."""
    for folder in {path.parent for path in PACKAGE.rglob("*.py")} - {*PACKAGE.rglob("pb")}:
        modules = [path.name for path in folder.glob("*.py")]
        assert len(modules) <= MAX_MODULES, f"{folder.relative_to(PACKAGE)} has {len(modules)} modules"


@pytest.mark.parametrize("part", ["rpc", "plugin"])
def test_transport_knows_no_word_of_vault(part: str) -> None:
    """Names of Vault's services and variables are for the layers above.

    Comments and docstrings may name the host on which a fact was observed, and the notice for
    somebody who starts a plugin by hand says where it belongs.
    """
    for path in (PACKAGE / part).rglob("*.py"):
        tree = ast.parse(path.read_text())
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        } | {
            id(after.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef)
            for after in node.body
            if isinstance(after, ast.Expr)
        }
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
        ]
        if path.name != "handshake.py":
            assert not [text for text in texts if "vault" in text.lower() or text.startswith("/pb.")], path


EXAMPLE_IMPORTS = {
    "authkit",
    "authkit.credentials",
    "authkit.database",
    "authkit.errors",
    "authkit.oidc",
    "authkit.secrets",
}


def test_examples_use_the_public_names() -> None:
    """Examples show what other people can write: they import nothing from the subpackages inside."""
    root = PACKAGE.parent / "examples"
    files = [path for path in root.rglob("*.py") if "tests" not in path.relative_to(root).parts]
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            inner = {name for name in names if name.partition(".")[0] == "authkit"} - EXAMPLE_IMPORTS
            assert not inner, f"{path.relative_to(root)} imports {inner}"


def test_the_oidc_library_has_no_texts_of_another_product() -> None:
    """Texts that operators know from the official plugin are made in the JWT example, of codes and facts."""
    foreign = ("go-jose", "json: cannot", "oauth2: ", "Provider.", "id_token: ", "Go struct", "bound_issuer")
    for path in (PACKAGE / "oidc").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not any(text in node.value for text in foreign), f"{path}: {node.value}"
