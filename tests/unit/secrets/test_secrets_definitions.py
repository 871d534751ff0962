"""Declarations of secrets engines: what is refused when the class is defined, and what its documents say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from engines import Account, AccountRole, Config, Engine, EngineMount, StaticRole

from authkit import Backend, Call, Collection, Operation, Secret, Singleton, Str
from authkit.logical import BackendType, Request
from authkit.secrets import (
    CredsCall,
    Lease,
    Renewal,
    RenewCall,
    RevokeCall,
    RotateCall,
    SecretsEngine,
    credentials,
    root_rotation,
    rotated,
)


def define(**body: Any) -> type[SecretsEngine]:
    """Define an engine with this body."""
    cls: type[SecretsEngine] = type(SecretsEngine)("Broken", (SecretsEngine,), body)
    return cls


async def make(self: Any, call: CredsCall) -> Lease:
    """Make one."""
    return Lease(data={})


async def make_for(self: Any, call: CredsCall, role: AccountRole) -> Lease:
    """Make one for a role."""
    return Lease(data={})


async def undo(self: Any, call: RevokeCall) -> None:
    """Undo it."""


async def undo_kept(self: Any, call: RevokeCall, account: Account) -> None:
    """Undo what was kept."""


async def undo_by_role(self: Any, call: RevokeCall, role: AccountRole) -> None:
    """Undo it, with a role that may be gone."""


async def undo_asking(self: Any, call: RevokeCall, reason: Str) -> None:
    """Undo it, with a field that nobody sends."""


async def go_on(self: Any, call: RenewCall) -> Renewal:
    """Go on."""
    return Renewal()


async def go_on_as(self: Any, call: RenewCall, config: Config) -> Renewal:
    """Go on with another model of what was kept."""
    return Renewal()


async def go_on_for_another(self: Any, call: RenewCall, role: StaticRole) -> Renewal:
    """Go on, with a role of another kind."""
    return Renewal()


async def make_wrong(self: Any, call: CredsCall) -> str:
    """Make something else."""
    return ""


def without_revocation() -> dict[str, Any]:
    """Nothing undoes."""
    return {"create": credentials("creds")(make)}


def revoked_twice() -> dict[str, Any]:
    """Two undo."""
    create = credentials("creds")(make)
    return {"create": create, "one": create.revoke(undo), "two": create.revoke(undo)}


def role_in_revocation() -> dict[str, Any]:
    """A role that has to be there."""
    create = credentials("creds/{role}")(make_for)
    roles = Collection(AccountRole, "roles/{name}")
    return {"roles": roles, "create": create, "one": create.revoke(undo_by_role)}


def other_role_in_renewal() -> dict[str, Any]:
    """Renewals by roles of another kind: of the same name they are other objects."""
    create = credentials("creds/{role}")(make_for)
    roles, static = Collection(AccountRole, "roles/{name}"), Collection(StaticRole, "static-roles/{name}")
    body = {"roles": roles, "static": static, "create": create}
    return {**body, "one": create.revoke(undo), "two": create.renew(go_on_for_another)}


def field_in_revocation() -> dict[str, Any]:
    """A field of no request."""
    create = credentials("creds")(make)
    return {"create": create, "one": create.revoke(undo_asking)}


def capture_without_parameter() -> dict[str, Any]:
    """A name that nobody takes."""
    create = credentials("creds/{role}")(make)
    return {"create": create, "one": create.revoke(undo)}


def same_secret_type() -> dict[str, Any]:
    """Two kinds of credentials that leases could not tell apart."""
    one, two = credentials("creds/a")(make), credentials("creds/b", secret_type="creds/a")(make)
    return {"one": one, "two": two, "undo_one": one.revoke(undo), "undo_two": two.revoke(undo)}


def other_model() -> dict[str, Any]:
    """Renewal and revocation disagree."""
    create = credentials("creds")(make)
    return {"create": create, "one": create.renew(go_on_as), "two": create.revoke(undo_kept)}


def wrong_return() -> dict[str, Any]:
    """No lease."""
    create = credentials("creds")(make_wrong)
    return {"create": create, "one": create.revoke(undo)}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (without_revocation, r"nothing revokes these credentials: add a method with @make\.revoke"),
        (revoked_twice, r"two methods for @make\.revoke"),
        (role_in_revocation, r"a lease outlives its role, so 'role' may be gone: annotate it as ... \| None"),
        (other_role_in_renewal, "takes another role than make_for"),
        (field_in_revocation, "no client sends this, so there is no field 'reason'"),
        (capture_without_parameter, "has no parameter 'role', which the path 'creds/{role}' captures"),
        (same_secret_type, "two credentials have the secret type 'creds/a'"),
        (other_model, "renew and revoke take different models of what was kept"),
        (wrong_return, "has to return Lease, not str"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_contradictions_are_refused(body: Callable[[], dict[str, Any]], text: str) -> None:
    """When the class is defined, with what to do."""
    with pytest.raises(TypeError, match=text):
        define(**body())


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("creds",), {"unauthenticated": True}, TypeError),
        (("creds",), {"operations": [Operation.DELETE]}, TypeError),
        (("creds",), {"operations": []}, TypeError),
        (("creds",), {"rollback_after": "59s"}, ValueError),
        (("{role}",), {}, ValueError),
        (("creds",), {"nonsense": 1}, TypeError),
    ],
)
def test_wrong_options_are_refused(
    arguments: tuple[str, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    """Before a class is defined."""
    with pytest.raises(error):
        credentials(*arguments, **options)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"data": {}, "ttl": 3600}, "ttl takes a timedelta, not int"),
        ({"data": {}, "max_ttl": "1h"}, "max_ttl takes a timedelta, not str"),
        ({"data": ["key"]}, "data takes names with their values, not list"),
        ({"data": {"key": b"x"}}, r"data\['key'\] is bytes, .*: decode it, or encode it as Base64"),
        ({"data": {"keys": [{"x": {"a"}}]}}, r"data\['keys'\] is set, .* it takes a list"),
    ],
)
def test_a_lease_of_other_types_is_refused(given: dict[str, Any], text: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(TypeError, match=text):
        Lease(**given)


def test_a_wrong_duration_is_named() -> None:
    """It is one option of several."""
    with pytest.raises(ValueError, match="rollback_after='1 minute': expected seconds, or a duration"):
        credentials("creds", rollback_after="1 minute")


@pytest.mark.parametrize(
    "lifetimes",
    [
        {"ttl": timedelta(seconds=-1)},
        {"max_ttl": timedelta(seconds=-1)},
        {"ttl": timedelta(2), "max_ttl": timedelta(1)},
    ],
)
@pytest.mark.parametrize("make_value", [lambda **given: Lease(data={}, **given), Renewal])
def test_impossible_lifetimes_are_refused(
    make_value: Callable[..., object], lifetimes: dict[str, timedelta]
) -> None:
    """A host would put its own in their place."""
    with pytest.raises(ValueError, match=r"negative|greater"):
        make_value(**lifetimes)


def test_it_is_mounted_as_a_secrets_engine() -> None:
    """Not as an auth method."""
    assert Engine.factory().backend_type is BackendType.LOGICAL


def test_passwords_are_sealed() -> None:
    """What is being set as well."""
    sealed = EngineMount().backend.special_paths().seal_wrap_storage
    assert {"config", "rotated/static-creds/", "rotating/config/rotate-root"} <= set(sealed)


def test_the_log_stays_in_its_cluster() -> None:
    """Another one could not undo anything."""
    assert EngineMount().backend.special_paths().local_storage == ("wal/",)


async def set_nothing(self: Any, call: RotateCall, role: StaticRole) -> None:
    """Set no password."""


async def set_for_nobody(self: Any, call: RotateCall, password: Secret) -> None:
    """Set a password of nobody."""


async def set_static(self: Any, call: RotateCall, role: StaticRole, password: Secret) -> None:
    """Set a password."""


async def set_root(self: Any, call: Call, config: Config, password: Secret) -> None:
    """Set the engine's own."""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"set": rotated(creds="a/{n}", rotate="b/{n}")(set_nothing)},
            "must have one parameter of type Secret, the new password",
        ),
        ({"set": rotated(creds="a/{n}", rotate="b/{n}")(set_for_nobody)}, "takes no role"),
        (
            {"config": Singleton(Config, "config"), "set": root_rotation("rotate")(set_root)},
            r"needs one method that says whether a password is valid: @set_root\.check",
        ),
    ],
)
def test_rotations_say_what_they_need(body: dict[str, Any], text: str) -> None:
    """When the class is defined."""
    body.setdefault("roles", Collection(StaticRole, "static-roles/{name}"))
    with pytest.raises(TypeError, match=text):
        define(**body)


@pytest.mark.parametrize("path", ["creds", "creds/{a}/{b}"])
def test_static_credentials_have_one_name(path: str) -> None:
    """That of the role."""
    with pytest.raises(ValueError, match="does not capture the name of a role"):
        rotated(creds=path, rotate="rotate/{name}")


def test_only_a_secrets_engine_has_credentials() -> None:
    """On another backend they were leased, and no revocation reached their handler."""
    with pytest.raises(TypeError, match="derive the class from SecretsEngine"):

        class Login(Backend, name="login", version="0.1.0"):
            """No engine."""

            @credentials("creds")
            async def create(self, call: CredsCall) -> Lease:
                """Create."""
                return Lease(data={})

            @create.revoke
            async def remove(self, call: RevokeCall) -> None:
                """Revoke."""


async def test_documents_name_what_a_client_gets() -> None:
    """Of a leased credential what its author says, of a static one what each has; secrets are marked."""
    answer = await EngineMount().backend.handle_request(Request(operation=Operation.HELP, path=""))
    assert answer is not None
    assert answer.data is not None
    paths = answer.data["openapi"]["paths"]

    def shown(path: str) -> dict[str, Any]:
        content = paths[path]["get"]["responses"]["200"]["content"]
        properties: dict[str, Any] = content["application/json"]["schema"]["properties"]
        return properties

    assert shown("/creds/{role}")["password"] == {
        "type": "string",
        "description": "What it logs in with.",
        "x-vault-displayAttrs": {"sensitive": True},
    }
    assert shown("/creds/{role}").keys() == {"name", "password", "size", "keys"}
    times = {"last_vault_rotation", "ttl", "rotation_period", "rotation_schedule", "rotation_window"}
    assert shown("/static-creds/{name}").keys() == {"username", "password", *times}
    assert shown("/static-creds/{name}")["ttl"]["type"] == "integer"


def test_only_a_secrets_engine_rotates_static_roles() -> None:
    """A mount of another backend does not remember which role its last tick was at."""
    body = {
        "roles": Collection(StaticRole, "static-roles/{name}"),
        "set": rotated(creds="static-creds/{name}", rotate="rotate-role/{name}")(set_static),
    }
    with pytest.raises(TypeError, match="set_static rotates static roles"):
        type("Other", (Backend,), body)


def test_a_plain_method_cannot_keep_what_revoke_takes() -> None:
    """It fails when the class is defined, not at the first request."""

    def make_plainly(self: Any, call: CredsCall) -> Lease:
        """Make one."""
        return Lease(data={})

    create = credentials("creds")(make_plainly)
    with pytest.raises(TypeError, match="revoke takes 'account', and a plain def cannot"):
        define(create=create, remove=create.revoke(undo_kept))
    assert define(create=create, remove=create.revoke(undo))
