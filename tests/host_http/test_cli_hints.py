"""The commands that `authkit dev` prints for a mount."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import pytest
from factories import Mount
from jwt_auth import JWTAuth
from page_browser import serve_page, write_to
from shared_pin import SharedPIN

from authkit import (
    AuthMethod,
    Backend,
    Bool,
    Cidrs,
    Collection,
    Identity,
    Int,
    Role,
    Seconds,
    Secret,
    Singleton,
    Str,
    field,
    login,
)
from authkit.cli.hints import Hints, make_database_hints, make_hints
from authkit.framework import Model
from authkit.host.mount_overview import Field, Form, MountDescription, describe
from authkit.logical import Operation
from authkit.secrets import CredsCall, Lease, RevokeCall, SecretsEngine, credentials


class Config(Model):
    """What has to be set first."""

    url: Str
    hours: Int
    strict: Bool = field(required=True)
    wait: Seconds
    mode: Str = field(allowed=("fast", "safe"))
    note: Str = ""


class Member(Role):
    """Somebody without a secret."""


class Named(AuthMethod, name="named"):
    """Log in on a path with the user's name."""

    config = Singleton(Config, "config")
    members = Collection(Member, "member/{name}")

    @login("login/{member}/{user}", role_field="member")
    async def log_in(self, role: Member, user: Annotated[Str, field(help="Who.")], floor: Int) -> Identity:
        """Log in by name."""
        return Identity(name=user)


class Guarded(Role):
    """What an author's own check wants is no required field: there is an example of it."""

    blocks: Cidrs = ()
    hours: Int = 0
    pin: Secret = field(default="")


class Exemplary(AuthMethod, name="exemplary"):
    """Roles with an example."""

    roles = Collection(
        Guarded, "role/{name}", example={"blocks": ["10.0.0.0/8", "::1"], "hours": 1, "pin": "@4711"}
    )

    @login("login")
    async def log_in(self, role: Guarded, pin: Secret) -> Identity:
        """Log in with the role's PIN."""
        return Identity(name="x")


class Users(SecretsEngine, name="users"):
    """Temporary users."""

    config = Singleton(Config, "config")
    guests = Collection(Guarded, "guests/{name}")
    roles = Collection(Member, "roles/{name}", example={"token_ttl": "1h"})

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: Member) -> Lease:
        """Make a user."""
        return Lease(data={})

    @create.revoke
    async def remove(self, call: RevokeCall) -> None:
        """Remove a user."""


async def hints_for(method: type[Backend], mount: str = "auth/x") -> Hints:
    """The hints of its document."""
    answer = await Mount(method).request(Operation.HELP, "", {"requestResponsePrefix": "x"})
    assert answer is not None
    return make_hints(mount, describe(answer.data["openapi"]))


@pytest.mark.parametrize(
    ("method", "ready", "to_complete"),
    [
        (
            SharedPIN,
            [
                "vault path-help auth/x",
                "vault path-help auth/x/config",
                "vault write auth/x/role/dev pin=dev",
                "vault list auth/x/role",
                "vault write auth/x/login role=dev member=dev pin=dev",
            ],
            [],
        ),
        (
            Named,
            [
                "vault path-help auth/x",
                "vault write auth/x/config url=dev hours=1 strict=true wait=1h mode=fast",
                "vault write -force auth/x/member/dev",
                "vault list auth/x/member",
                "vault write auth/x/login/dev/dev floor=1",
            ],
            [],
        ),
        (
            Exemplary,
            [
                "vault path-help auth/x",
                "vault write auth/x/role/dev blocks=10.0.0.0/8,::1 hours=1 'pin=\\@4711'",
                "vault list auth/x/role",
                "vault write auth/x/login role=dev 'pin=\\@4711'",
            ],
            [],
        ),
        (
            JWTAuth,
            [
                "vault path-help auth/x",
                "vault path-help auth/x/config",
                "vault write auth/x/role/dev role_type=jwt user_claim=sub bound_audiences=vault",
                "vault list auth/x/role",
            ],
            ["vault write auth/x/login role=dev jwt=..."],
        ),
    ],
    ids=["shared_pin", "named", "exemplary", "jwt"],
)
async def test_hints(method: type[AuthMethod], ready: list[str], to_complete: list[str]) -> None:
    """Required fields with values of their kinds, or the example; a login repeats what the role has."""
    assert await hints_for(method) == Hints(tuple(ready), tuple(to_complete))


async def test_hints_of_an_engine() -> None:
    """Its roles are where credentials come from, and it lies at a path of its own."""
    assert (await hints_for(Users, "x")).ready == (
        "vault path-help x",
        "vault write x/config url=dev hours=1 strict=true wait=1h mode=fast",
        "vault write x/roles/dev token_ttl=1h",
        "vault list x/roles",
        "vault read x/creds/dev",
    )


def test_a_plugin_s_words_are_quoted() -> None:
    """They are pasted into a shell."""
    evil = "x; rm -rf ~ #"
    role = Form(f"{evil}/{{name}}", (Field(evil, required=True, choices=("$(id)",)),))
    commands = make_hints(f"auth/{evil}", MountDescription(roles=f"{evil}/", role=role)).ready
    for command in commands:
        assert all(each.isalnum() or each in {"path-help"} or evil in each for each in shlex.split(command))
    assert "'x; rm -rf ~ #=$(id)'" in commands[1]


@pytest.mark.parametrize(
    ("example", "text"),
    [
        ({"blocks": ["x"]}, "would be refused"),
        ({"blok": ["10.0.0.0/8"]}, "names 'blok', which is not a field"),
    ],
)
def test_an_example_can_be_written(example: dict[str, Any], text: str) -> None:
    """Whoever copies it must not be the first to try it."""
    with pytest.raises(TypeError, match=f"the example of Guarded {text}"):
        Collection(Guarded, "role/{name}", example=example)


async def test_the_page_fills_the_fields_of_a_path_in() -> None:
    """As the command does: what somebody types goes where the path has it, and nowhere else."""
    async with serve_page(named=Named) as (browser, core):
        await write_to(core, "sys/auth/x", type="named")
        await write_to(core, "auth/x/member/dev", token_policies="default")
        await browser.sign_in()
        form = await browser.open("/ui/login?path=x/")
        assert all(f'name="{name}"' in form for name in ("member", "user", "floor"))
        granted = await browser.send("/ui/login?path=x/", {"member": "dev", "user": "ann", "floor": "1"})
        assert browser.status == 200
        assert "Logged in" in granted


def test_a_database_plugin_has_settings_that_only_its_readme_knows() -> None:
    """The connection is to be completed, and so is what needs it."""
    hints = make_database_hints("database", "redis_acl")
    assert hints.ready == ("vault path-help database",)
    assert hints.to_complete == (
        "vault write database/config/dev plugin_name=redis_acl 'allowed_roles=*' ...",
        "vault write database/roles/dev db_name=dev default_ttl=1h creation_statements=...",
        "vault read database/creds/dev",
    )
