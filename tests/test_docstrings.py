"""Every example in a docstring of the library runs, and drawn trees of errors are the real ones."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import pytest
from pages import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)"
)
EXAMPLE = re.compile(r"::\n\n((?:(?:    .*)?\n)+)")
BRANCH = re.compile(r"^(?P<indent>(?:[│ ] {3}|[├└]── )*)(?P<name>\w+)", re.MULTILINE)
AROUND = {
    "authkit.framework.fields.schema.field": "class Example:",
    "authkit.framework.handlers.decorators": 'class Example(Backend, name="example"):\n'
    '    settings = Singleton(Settings, "config")',
    "authkit.framework.tasks.wal": 'class Example(Backend, name="example"):',
    "authkit.secrets.credentials": 'class Example(SecretsEngine, name="example"):\n'
    '    roles = Collection(AccountRole, "roles/{name}")',
    "authkit.secrets.root_rotation": 'class Example(SecretsEngine, name="example"):\n'
    '    config = Singleton(Config, "config")',
    "authkit.secrets.rotation": 'class Example(SecretsEngine, name="example"):',
}
"""The classes that examples are parts of."""
SCENERY = """
from datetime import timedelta
from typing import *

from authkit import *
from authkit.credentials import *
from authkit.database import Database, DatabaseSettings
from authkit.framework import Listing
from authkit.secrets import *
from authkit.secrets import Renewal, RenewCall
from authkit.testing import *
from authkit.testing_pytest import *
from authkit.values import Value


class AcmeConfig(Model):
    url: Str = ""


class ExtendedConfig(AcmeConfig):
    path: Str = ""


class AcmeRole(Role):
    pass


class Acme(AuthMethod, name="acme"):
    config = Singleton(AcmeConfig, "config")
    roles = Collection(AcmeRole, "role/{name}")

    @login("login")
    async def log_in(self, call: LoginCall, role: AcmeRole, secret: Secret) -> Identity:
        return Identity(name="ann")


class AccountRole(Model):
    default_ttl: Seconds = timedelta(hours=1)
    max_ttl: Seconds = timedelta(days=1)


class Account(Model):
    username: Str


class Accounts(SecretsEngine, name="accounts"):
    @credentials("creds/app")
    async def create(self, call: CredsCall) -> Lease:
        await call.keep(Account(username="ann"))
        return Lease(data={"username": "ann"})

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account) -> None:
        pass


class Settings(Model):
    url: Str = ""


class Config(Model):
    username: Str
    password: Secret


class StaticRole(RotatedRole):
    username: Str
"""
"""What examples speak of and do not define."""


class Example(NamedTuple):
    """One example, and the object in whose docstring it is."""

    place: str
    text: str

    def __str__(self) -> str:
        """Return where it is."""
        return self.place

    @property
    def is_tree(self) -> bool:
        """Whether it is a drawing."""
        return "├──" in self.text


def find_examples() -> Iterator[Example]:
    """Yield what is in the docstrings below a line that ends with two colons."""
    for path in sorted((ROOT / "authkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                place = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
                for text in EXAMPLE.findall(f"{ast.get_docstring(node) or ''}\n"):
                    yield Example(place, textwrap.dedent(text).strip("\n"))


EXAMPLES = list(find_examples())


@pytest.mark.parametrize("example", [each for each in EXAMPLES if not each.is_tree], ids=str)
async def test_an_example_runs(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the class that it is a part of; one that awaits is run to its end."""
    module = ModuleType("scenery")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(SCENERY, vars(module))
    code = example.text
    if example.place in AROUND:
        code = f"{AROUND[example.place]}\n{textwrap.indent(code, '    ')}"
    elif "database" in example.place:
        code = f"class Redis: ...\nclass Settings(DatabaseSettings): ...\n{code}"
    compiled = compile(code, example.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    pending = eval(compiled, vars(module))
    if inspect.iscoroutine(pending):
        await pending


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.is_tree], ids=str)
def test_a_tree_of_errors_is_the_real_one(example: Example) -> None:
    """Each name is a class, and derives from the one above it."""
    for module in re.findall(r"`(authkit[\w.]+)`", example.text):
        import_module(module)
    branches = list(BRANCH.finditer(example.text))
    root = getattr(import_module(example.place), branches[0]["name"])
    known = {each.__name__: each for each in descendants(root)}
    above: list[type] = []
    for found in branches:
        depth, error = len(found["indent"]) // 4, known[found["name"]]
        assert depth == 0 or above[depth - 1] in error.__bases__, error
        above[depth:] = [error]


def descendants(root: type) -> Iterator[type]:
    """Yield a class and all that derive from it."""
    yield root
    for each in root.__subclasses__():
        yield from descendants(each)
