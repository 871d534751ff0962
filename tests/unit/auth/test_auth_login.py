"""The login: arguments, order of checks, role resolution, alias lookahead."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from factories import Mount

from authkit.auth import AuthMethod, Identity, LoginCall, Renewal, Role, login, renewal
from authkit.errors import (
    BadRequestError,
    FieldError,
    InternalError,
    LoginError,
    PermissionDeniedError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UserError,
)
from authkit.framework import Backend, Collection, CommaList, Model, Seconds, Secret, Singleton, Str, field
from authkit.logical import Alias, Auth, BackendType, Operation, Request, Response
from authkit.values import replace


class PinConfig(Model):
    """Configure."""

    prefix: Str = ""
    default_role: Str = ""


class PinRole(Role):
    """A role."""

    pins: CommaList = ()


class Pin(AuthMethod, name="pin", version="0.1.0"):
    """Log in with a PIN."""

    config = Singleton(PinConfig, "config")
    roles = Collection(PinRole, "role/{name}")

    async def default_role(self) -> str:
        """Return the configured one."""
        found = await self.config.find()
        return found.default_role if found else ""

    async def alias(self, role: PinRole, pin: Secret) -> str:
        """Return who would log in."""
        return self.owner_of(role, pin)

    @login("login", default_role=default_role, alias=alias)
    async def log_in(
        self,
        call: LoginCall,
        config: PinConfig,
        role: PinRole,
        pin: Annotated[Secret, field(missing="missing pin, please", max_length=20)],
        days: Seconds = field(default="1d"),  # noqa: B008
        note: Str = "none",
    ) -> Identity:
        """Log in with a PIN.

        It must be one of the role's.
        """
        call.warn(f"{config.prefix}{call.role_name} {call.remote_addr} {days.days} {note}")
        return Identity(name=self.owner_of(role, pin), warnings=["welcome"])

    def owner_of(self, role: PinRole, pin: Secret) -> str:
        """Return whose PIN it is."""
        if pin.reveal() not in role.pins:
            raise LoginError("wrong pin")
        return f"owner-{role.pins.index(pin.reveal())}"


async def pin_mount() -> Mount[Pin]:
    """A mount with a configuration and a role."""
    mount = Mount(Pin)
    await mount.write("config", prefix=">")
    await mount.write("role/dev", pins="1234,5678", token_policies="p")
    return mount


async def test_login() -> None:
    """The handler gets what its signature names, and its identity becomes the login."""
    mount = await pin_mount()
    response = await mount.request(Operation.UPDATE, "login", {"role": "DEV", "pin": 5678, "odd": 1})
    assert response is not None
    assert response.auth is not None
    assert response.auth.alias is not None
    assert response.auth.alias.name == "owner-1"
    assert response.auth.policies == ("p",)
    assert response.auth.internal_data == {"role": "dev", "roles": "role/"}
    assert list(response.warnings) == [
        "welcome",
        ">dev 192.0.2.1 1 none",
        "Endpoint ignored these unrecognized parameters: [odd]",
    ]


async def test_login_is_open_and_never_exists() -> None:
    """The path needs no token, and its existence check costs nothing."""
    mount = await pin_mount()
    assert mount.backend.special_paths().unauthenticated == ("login",)
    assert Pin.factory().backend_type is BackendType.CREDENTIAL
    reads = mount.storage.reads
    check = Request(operation=Operation.UPDATE, path="login", data={"role": []})
    assert await mount.backend.handle_existence_check(check) is None
    assert mount.storage.reads == reads


async def test_warm_logins_read_no_storage() -> None:
    """Configuration and role come from memory."""
    mount = await pin_mount()
    await mount.login(role="dev", pin="1234")
    reads = mount.storage.reads
    await mount.login(role="dev", pin="1234")
    await mount.request(Operation.RESOLVE_ROLE, "login", {"role": "dev"})
    assert mount.storage.reads == reads


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "missing role"),
        ({"role": ""}, "missing role"),
        ({"role": "nobody"}, 'role "nobody" could not be found'),
        ({"role": '../"config'}, r'role "../\"config" could not be found'),
        ({"role": "dev"}, "missing pin, please"),
        ({"role": "dev", "pin": ""}, "missing pin, please"),
        ({"role": "dev", "pin": None}, "missing pin, please"),
        ({"role": "dev", "pin": "0000"}, "wrong pin"),
        ({"role": "dev", "pin": []}, 'error converting input for field "pin"'),
        ({"role": "dev", "pin": "1" * 21}, "error converting input for field"),
        ({"role": "x" * 1025, "pin": "1"}, "error converting input for field"),
        ({"role": "dev", "pin": "1234", "note": "x" * 65537}, "error converting input for field"),
    ],
)
async def test_refused_logins(fields: dict[str, Any], text: str) -> None:
    """Each mistake has its text, and what a stranger sends is bounded."""
    mount = await pin_mount()
    with pytest.raises((UserError, LoginError, FieldError)) as caught:
        await mount.login(**fields)
    assert str(caught.value).startswith(text)


async def test_missing_configuration_comes_first() -> None:
    """Without the object that the handler needs, nothing else is looked at."""
    with pytest.raises(UserError, match="could not load configuration"):
        await Mount(Pin).login()


async def test_default_role() -> None:
    """A request that names no role gets the configured one, lower-cased like any other."""
    mount = await pin_mount()
    await mount.write("config", default_role="DEV")
    assert (await mount.login(pin="1234")).internal_data == {"role": "dev", "roles": "role/"}
    response = await mount.request(Operation.RESOLVE_ROLE, "login", {"pin": "x"})
    assert response is not None
    assert response.data == {"role": "dev"}


async def test_addresses_are_checked_before_the_handler() -> None:
    """A wrong PIN from a wrong address is denied for the address; an unknown address is wrong."""
    mount = await pin_mount()
    await mount.write("role/dev", token_bound_cidrs="192.0.2.0/24")
    assert (await mount.login(role="dev", pin="1234")).bound_cidrs == ("192.0.2.0/24",)
    for address in ("198.51.100.1", None):
        with pytest.raises(PermissionDeniedError):
            await mount.login(role="dev", pin="0000", address=address)


async def test_only_writes_log_in() -> None:
    """No other operation of the path makes a token."""
    mount = await pin_mount()
    allowed = {
        Operation.CREATE, Operation.UPDATE, Operation.ALIAS_LOOKAHEAD, Operation.RESOLVE_ROLE,
        Operation.HELP, Operation.RENEW, Operation.REVOKE, Operation.ROLLBACK,
    }  # fmt: skip
    for operation in set(Operation) - allowed:
        with pytest.raises(UnsupportedOperationError):
            await mount.request(operation, "login", {"role": "dev", "pin": "1234"})
    response = await mount.request(Operation.CREATE, "login", {"role": "dev", "pin": "1234"})
    assert response is not None
    assert response.auth is not None


async def test_resolve_role() -> None:
    """The role's name, if it exists; an error otherwise; never nothing, and no login."""
    mount = await pin_mount()
    response = await mount.request(Operation.RESOLVE_ROLE, "login", {"role": "Dev", "pin": "bad"})
    assert response == Response(data={"role": "dev"})
    for fields in ({}, {"role": "nobody"}):
        with pytest.raises(UserError):
            await mount.request(Operation.RESOLVE_ROLE, "login", fields)


async def test_alias_lookahead() -> None:
    """The alias and nothing more; a failure is an error and never an error response."""
    mount = await pin_mount()
    fields = {"role": "dev", "pin": "1234"}
    response = await mount.request(Operation.ALIAS_LOOKAHEAD, "login", fields)
    assert response is not None
    assert response.auth is not None
    assert response.auth.alias is not None
    assert (response.auth.alias.name, response.auth.policies) == ("owner-0", ())
    for wrong in ({"pin": "0000"}, {"pin": []}, {"role": "nobody"}, {"pin": None}):
        with pytest.raises(BadRequestError):
            await mount.request(Operation.ALIAS_LOOKAHEAD, "login", fields | wrong)


class Open(AuthMethod, name="open"):
    """Let in whoever gives a name."""

    answer: Any = None

    @login("login/{user}")
    def log_in(self, user: Str) -> Identity:
        """Log in by name."""
        return self.answer if self.answer is not None else Identity(name=user)


async def test_plain_handler_without_role() -> None:
    """A plain function runs in a thread; a login without role has neither resolution nor lookahead."""
    mount = Mount(Open)
    assert mount.backend.special_paths().unauthenticated == ("login/+",)
    auth = await mount.login("login/ann")
    assert auth.alias is not None
    assert auth.alias.name == "ann"
    assert auth.internal_data == {}
    for operation in (Operation.RESOLVE_ROLE, Operation.ALIAS_LOOKAHEAD):
        with pytest.raises(UnsupportedOperationError):
            await mount.request(operation, "login/ann")


@pytest.mark.parametrize("answer", [True, "ann", Response()])
async def test_a_handler_returns_an_identity(answer: Any) -> None:
    """Anything else is a fault, not a login. The error names handler and type, for the log."""
    mount = Mount(Open)
    mount.backend.answer = answer
    with pytest.raises(TypeError, match=rf"Open\.log_in returned {type(answer).__name__}, not an Identity"):
        await mount.login("login/ann")


async def test_what_a_handler_forgot_is_named() -> None:
    """An `await` or a `return`."""

    async def look_up() -> Identity:
        return Identity(name="ann")

    class Forgetful(AuthMethod, name="forgetful"):
        """Returns something else than it means to."""

        @login("login/{user}")
        async def log_in(self, user: Str) -> Identity:
            """Log in by name."""
            return look_up() if user == "ann" else None  # type: ignore[return-value]

    mount = Mount(Forgetful)
    for user, hint in (("ann", "is an 'await' missing"), ("bob", "is a 'return' missing")):
        with pytest.raises(TypeError, match=hint):
            await mount.login(f"login/{user}")


class Team(AuthMethod, name="team"):
    """Log in on a path of one's own."""

    roles = Collection(PinRole, "role/{name}", lower_names=False)

    @login("login/{user}/now", role_field="team")
    async def log_in(self, user: Str, role: PinRole) -> Identity:
        """Log in."""
        return Identity(name=user)


async def test_roles_are_resolved_on_the_path_that_hosts_ask() -> None:
    """That path is always `login`, and open to nobody else."""
    mount = Mount(Team)
    await mount.write("role/A")
    assert (await mount.login("login/ann/now", team="A")).internal_data == {"role": "A", "roles": "role/"}
    assert await mount.request(Operation.RESOLVE_ROLE, "login", {"team": "A", "x": 1}) == Response(
        data={"role": "A"}
    )
    assert mount.backend.special_paths().unauthenticated == ("login/+/now",)
    with pytest.raises(UnsupportedPathError):
        await mount.login(team="A")


class Everywhere(AuthMethod, name="everywhere"):
    """Every way to name a role."""

    config = Singleton(PinConfig, "config")
    roles = Collection(PinRole, "role/{name}")

    async def default_role(self) -> str:
        """Return the configured one."""
        return (await self.config.get()).default_role

    def alias(self, user: Str) -> str:
        """Return who would log in."""
        return f"alias-{user}"

    @login("login")
    async def roleless(self, user: Str) -> Identity:
        """Log in without role, where hosts ask for roles."""
        return Identity(name=user)

    @login("login/{role}", "a/login/{role}", alias=alias)
    async def by_path(self, role: PinRole, call: LoginCall, user: Str) -> Identity:
        """Log in with the role of the path."""
        return Identity(name=user, display_name=f"{user} as {call.role_name}")

    @login("named/{team}/now", role_field="team", default_role=default_role)
    async def by_name(self, chosen: PinRole, user: Str) -> Identity:
        """Log in with the role of the path, by another name."""
        return Identity(name=user)

    @login("body", role_field="team", default_role=default_role)
    async def by_field(self, chosen: PinRole, user: Str) -> Identity:
        """Log in with the role of a field, or the default one."""
        return Identity(name=user)

    @renewal
    def renew(self) -> Renewal:
        """Go on, with or without role."""
        return Renewal.keep()


@pytest.mark.parametrize(
    ("path", "fields", "role"),
    [
        ("login", {}, None),
        ("login/a", {}, "a"),
        ("login/A", {"role": "a"}, "a"),
        ("a/login/b", {}, "b"),
        ("named/b/now", {}, "b"),
        ("body", {"team": "b"}, "b"),
        ("body", {}, "a"),
    ],
    ids=[
        "no role",
        "from the path login/{role}",
        "from the path, and repeated",
        "a second path of one handler",
        "from the path, with role_field",
        "from the field",
        "the default role",
    ],
)
async def test_where_a_role_comes_from(path: str, fields: dict[str, str], role: str | None) -> None:
    """From the field, from the path, from the default, or there is none."""
    mount = Mount(Everywhere)
    await mount.write("config", default_role="a")
    for name in ("a", "b"):
        await mount.write(f"role/{name}", token_policies=name)
    auth = await mount.login(path, user="ann", **fields)
    assert auth.internal_data == ({} if role is None else {"role": role, "roles": "role/"})
    assert auth.policies == (() if role is None else (role,))


async def test_a_role_that_is_gone_ends_its_tokens_alone() -> None:
    """Where only some logins have a role, theirs is checked at renewal, though no handler looks at it."""
    mount = Mount(Everywhere)
    await mount.write("role/a")
    with_role, without = await mount.login("login/a", user="ann"), await mount.login("login", user="ann")
    await mount.renew(with_role)
    await mount.delete("role/a")
    with pytest.raises(UserError, match="role a does not exist during renewal"):
        await mount.renew(with_role)
    with pytest.raises(InternalError, match="failed to fetch role_name"):
        await mount.renew(replace(with_role, internal_data={"role": 1}))
    await mount.renew(without)


async def test_display_name() -> None:
    """The name of the alias, unless the handler says otherwise."""
    mount = Mount(Everywhere)
    await mount.write("role/a")
    assert (await mount.login("login", user="ann")).display_name == "ann"
    assert (await mount.login("login/a", user="ann")).display_name == "ann as a"


class Nameless(AuthMethod, name="nameless"):
    """Who would log in is whatever the request says."""

    roles = Collection(PinRole, "role/{name}")
    named: Any = ""

    async def alias(self) -> str:
        """Return what a test has set."""
        return self.named

    @login("login", alias=alias)
    async def log_in(self, role: PinRole) -> Identity:
        """Log in."""
        return Identity(name="ann")


@pytest.mark.parametrize("name", ["", None, 5, b"ann"])
async def test_a_lookahead_without_a_name_is_no_answer(name: Any) -> None:
    """A host would look for an alias of no name."""
    mount = Mount(Nameless)
    await mount.write("role/a")
    mount.backend.named = name
    with pytest.raises(InternalError, match="no alias"):
        await mount.request(Operation.ALIAS_LOOKAHEAD, "login", {"role": "a"})


async def test_lookahead_changes_nothing() -> None:
    """It asks the alias function alone: no login, no write, and no address that is not allowed."""
    mount = Mount(Everywhere)
    await mount.write("role/a", token_bound_cidrs="192.0.2.0/24")
    mount.storage.failure = RuntimeError("no writes")
    for path in ("login/a", "a/login/a"):
        response = await mount.request(Operation.ALIAS_LOOKAHEAD, path, {"user": "ann"})
        assert response is not None
        assert response.auth == Auth(alias=Alias(name="alias-ann"))
    with pytest.raises(PermissionDeniedError):
        await mount.request(Operation.ALIAS_LOOKAHEAD, "login/a", {"user": "ann"}, address=None)
    with pytest.raises(UnsupportedOperationError):
        await mount.request(Operation.ALIAS_LOOKAHEAD, "body", {"user": "ann"})


async def test_strictly_bound_logins_are_checked_before_the_handler() -> None:
    """Where the client is unknown such a role denies the login, before the PIN is looked at."""
    mount = await pin_mount()
    await mount.write("role/dev", token_strictly_bind_ip=True)
    assert (await mount.login(role="dev", pin="1234")).bound_cidrs == ("192.0.2.1",)
    with pytest.raises(PermissionDeniedError):
        await mount.login(role="dev", pin="0000", address=None)


def define(handler: Any, **body: Any) -> type[Backend]:
    """Define a method with this login handler."""
    return type("Bad", (AuthMethod,), {**body, "log_in": login("login")(handler)}, name="bad")


class Twice(AuthMethod, name="twice"):
    """Two logins, neither of them where hosts ask for roles."""

    roles = Collection(PinRole, "role/{name}")

    @login("one")
    async def one(self, role: PinRole) -> Identity:
        """Log in."""
        return Identity(name="one")

    @login("two")
    async def two(self, role: PinRole) -> Identity:
        """Log in."""
        return Identity(name="two")


async def test_several_logins() -> None:
    """Each has its path, and the first one answers for the roles."""
    mount = Mount(Twice)
    await mount.write("role/a")
    for path in ("one", "two"):
        auth = await mount.login(path, role="a")
        assert auth.alias is not None
        assert auth.alias.name == path
    assert await mount.request(Operation.RESOLVE_ROLE, "login", {"role": "a"}) == Response(data={"role": "a"})
    assert mount.backend.special_paths().unauthenticated == ("one", "two")


class Wrong:
    """Handlers whose signatures cannot be served."""

    async def no_annotation(self, x) -> None:  # type: ignore[no-untyped-def]
        """Say nothing of x."""

    async def odd_annotation(self, x: bytes) -> None:
        """Take bytes."""

    async def two_roles(self, a: PinRole, b: PinRole) -> None:
        """Take two roles."""

    async def some_role(self, a: PinRole) -> None:
        """Take a role."""

    async def role_as_field(self, a: PinRole, role: Str) -> None:
        """Take the role's name as well."""

    async def many(self, *names: str) -> None:
        """Take any number."""

    async def nothing(self) -> None:
        """Return nothing."""

    async def unknown(self, x: Missing) -> None:  # noqa: F821
        """Take something that does not exist."""

    async def default(self, x: Seconds = "soon") -> None:
        """Take a duration that is none."""

    async def config(self, settings: PinConfig) -> None:
        """Take a configuration."""


def test_handlers_that_cannot_work() -> None:
    """A signature that cannot be served is refused when the class is defined."""
    roles = Collection(PinRole, "role/{name}")
    for handler, body, text in [
        (Wrong.no_annotation, {}, "Wrong.no_annotation: parameter 'x' has no annotation"),
        (Wrong.odd_annotation, {}, "Wrong.odd_annotation: parameter 'x' has an unknown annotation"),
        (Wrong.two_roles, {"roles": roles}, "Wrong.two_roles takes two roles, 'a' and 'b'"),
        (Wrong.some_role, {}, "Bad needs one collection of PinRole for parameter 'a', it has 0"),
        (Wrong.nothing, {}, "Wrong.nothing has to return Identity, not NoneType"),
        (
            Wrong.unknown,
            {},
            "Wrong.unknown: an annotation cannot be read: name 'Missing' is not defined; is it imp",
        ),
        (Wrong.default, {}, "Wrong.default: parameter 'x'"),
        (Wrong.some_role, {"roles": roles, "b": Collection(PinRole, "r/{name}")}, "it has 2"),
        (
            Wrong.role_as_field,
            {"roles": roles},
            "Wrong.role_as_field: 'role' is the field of the role's name",
        ),
        (Wrong.many, {}, "not a parameter with a name"),
        (Wrong.config, {}, "needs one singleton of PinConfig"),
    ]:
        with pytest.raises(TypeError, match=text):
            define(handler, **body)
    with pytest.raises(ValueError):
        login("login/{rest:path}")(Wrong.some_role)
    with pytest.raises(TypeError, match="with parentheses and a path"):
        login(Wrong.some_role)
    for options in ({"default_role": Wrong.nothing}, {"alias": Wrong.nothing}):
        with pytest.raises(TypeError, match=r"Wrong.nothing has to return str, not NoneType"):
            type("Bad", (AuthMethod,), {"log_in": login("login", **options)(Open.log_in.handler)}, name="bad")
