"""Token parameters: fields, checks, shapes, and the login that they make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from factories import Mount

from authkit.auth import Identity, LegacyTokenNames, Role, TokenSettings
from authkit.auth.grants import make_auth
from authkit.errors import FieldError, InternalError, LoginError, PermissionDeniedError, UserError
from authkit.framework import Backend, Collection, Str, field
from authkit.logical import Connection, TokenType


class Roles(Backend, name="roles"):
    """Keep roles."""

    roles = Collection(Role, "role/{name}")


READ_SHAPE: dict[str, Any] = {
    "alias_metadata": {},
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_strictly_bind_ip": False,
    "token_ttl": 0,
    "token_type": "default",
}


def test_read_shape() -> None:
    """A role that nobody configured reads as it does with other auth methods."""
    assert Role().read_shape() == READ_SHAPE


def test_values_in_requests() -> None:
    """Durations become seconds, lists are split, an address loses its full prefix length."""
    shape = Role(
        token_bound_cidrs="10.0.0.1/32,10.0.0.0/8",
        token_ttl="1h",
        token_max_ttl=7200,
        token_policies="B, a,,default",
        token_type="service",
        token_num_uses="3",
    ).read_shape()
    assert shape == READ_SHAPE | {
        "token_bound_cidrs": ["10.0.0.1", "10.0.0.0/8"],
        "token_ttl": 3600,
        "token_max_ttl": 7200,
        "token_policies": ["B", "a", "", "default"],
        "token_type": "service",
        "token_num_uses": 3,
    }


CONVERSIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "token_bound_cidrs: CommaStringSlice, blocks from which the token may be used": (
        {"token_bound_cidrs": "10.0.0.1/32, 10.0.0.0/8,2001:db8::/32"},
        ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32"],
    ),
    "token_bound_cidrs: host bits are kept": ({"token_bound_cidrs": "10.1.2.3/8"}, ["10.1.2.3/8"]),
    "token_explicit_max_ttl: Duration": ({"token_explicit_max_ttl": "2h"}, 7200),
    "token_max_ttl: Duration": ({"token_max_ttl": 7200}, 7200),
    "token_no_default_policy: Bool": ({"token_no_default_policy": "true"}, True),
    "token_period: Duration": ({"token_period": "90"}, 90),
    "token_policies: CommaStringSlice, no sanitising": (
        {"token_policies": "B, a,,default"},
        ["B", "a", "", "default"],
    ),
    "token_type: empty means default": ({"token_type": ""}, "default"),
    "token_type: default": ({"token_type": "default"}, "default"),
    "token_type: service": ({"token_type": "service"}, "service"),
    "token_type: batch": ({"token_type": "batch"}, "batch"),
    "token_type: the advertised default-service is accepted": (
        {"token_type": "default-service"},
        "default-service",
    ),
    "token_type: default-batch is accepted": ({"token_type": "default-batch"}, "default-batch"),
    "token_type: null means default": ({"token_type": None}, "default"),
    "token_ttl: Duration": ({"token_ttl": "1h"}, 3600),
    "token_ttl: may be as long as token_max_ttl": ({"token_ttl": 60, "token_max_ttl": 60}, 60),
    "token_num_uses: Int, 0 = unlimited": ({"token_num_uses": "3"}, 3),
    "alias_metadata: KVPairs": ({"alias_metadata": ["team=a", "k=v=w"]}, {"team": "a", "k": "v=w"}),
    "token_strictly_bind_ip: Bool": ({"token_strictly_bind_ip": 1}, True),
}


@pytest.mark.parametrize("row", CONVERSIONS)
def test_parameters(row: str) -> None:
    """Each parameter is read as its type says, survives storage, and a read shows it the same way."""
    fields, shown = CONVERSIONS[row]
    role = Role(**fields)
    role.verify()
    name = next(iter(fields))
    assert role.read_shape()[name] == shown
    assert Role.from_stored(role.to_stored()) == role


BATCH = "'token_type' cannot be 'batch' or 'default_batch' when set to generate "
METADATA = "invalid alias metadata: "
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "1. CIDRs": (
        {"token_bound_cidrs": "x"},
        'error parsing address "x": Unable to convert "x" to an IPv4 or IPv6 address',
    ),
    "1. CIDRs: 10.0.0.0/33 is no UNIX socket": (
        {"token_bound_cidrs": ["10.0.0.0/33"]},
        'error parsing address "10.0.0.0/33": Unable to convert "10.0.0.0/33" to an IPv4 or IPv6 address',
    ),
    "1. CIDRs: a path is no UNIX socket": (
        {"token_bound_cidrs": "/run/x.sock"},
        'error parsing address "/run/x.sock": Unable to convert "/run/x.sock" to an IPv4 or IPv6 address',
    ),
    "3. token_type: anything else": ({"token_type": "x"}, "invalid 'token_type' value \"x\""),
    "3. token_type: a number": ({"token_type": 1}, "invalid 'token_type' value \"1\""),
    "3. token_type: case matters": ({"token_type": "Batch"}, "invalid 'token_type' value \"Batch\""),
    "4. num_uses": ({"token_num_uses": -1}, "'token_num_uses' cannot be negative"),
    "5. batch with period": (
        {"token_type": "batch", "token_period": 1},
        BATCH + "periodic tokens",
    ),
    "5. batch with uses": (
        {"token_type": "batch", "token_num_uses": 1},
        BATCH + "tokens with limited use count",
    ),
    "5. default-batch with period": (
        {"token_type": "default-batch", "token_period": 1},
        BATCH + "periodic tokens",
    ),
    "5. default-batch with uses": (
        {"token_type": "default-batch", "token_num_uses": 1},
        BATCH + "tokens with limited use count",
    ),
    "6. ttl above max ttl": (
        {"token_ttl": 2, "token_max_ttl": 1},
        "'token_ttl' cannot be greater than 'token_max_ttl'",
    ),
    "token_strictly_bind_ip conflicts with token_bound_cidrs": (
        {"token_strictly_bind_ip": True, "token_bound_cidrs": "10.0.0.1"},
        "'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one",
    ),
    "refused late: root": ({"token_policies": "a,root"}, "auth methods cannot create root tokens"),
    "refused late: root in another case with blanks": (
        {"token_policies": ["a", "  rOOt "]},
        "auth methods cannot create root tokens",
    ),
    "refused late: response-wrapping": (
        {"token_policies": "Response-Wrapping"},
        'cannot assign policy "response-wrapping"',
    ),
    "refused late: control-group": (
        {"token_policies": "control-group"},
        'cannot assign policy "control-group"',
    ),
    "refused late: metadata key with a dot": (
        {"alias_metadata": {"a.b": "c"}},
        METADATA + "key contains invalid characters",
    ),
    "refused late: metadata key too long": (
        {"alias_metadata": {"a" * 129: "c"}},
        METADATA + "key is too long (limit: 128 characters)",
    ),
    "refused late: metadata key of the host": (
        {"alias_metadata": {"vault-a": "c"}},
        METADATA + 'key prefix "vault-" is reserved for internal use',
    ),
    "refused late: metadata value too long": (
        {"alias_metadata": {"a": "c" * 513}},
        METADATA + "value is too long (limit: 512 characters)",
    ),
    "refused late: too many metadata pairs": (
        {"alias_metadata": {f"k{number}": "v" for number in range(65)}},
        METADATA + "metadata cannot contain more than 64 key/value pairs",
    ),
}


@pytest.mark.parametrize("row", REFUSALS)
def test_refusals(row: str) -> None:
    """What contradicts itself, or what hosts refuse at login, is refused in the words of other methods."""
    fields, text = REFUSALS[row]
    with pytest.raises(UserError) as caught:
        Role.overlaid(None, fields).verify()
    assert str(caught.value) == text


@pytest.mark.parametrize("earlier", range(1, 7))
async def test_order_of_checks(earlier: int) -> None:
    """Of several mistakes the first one of the SDK's order is told, whatever their order in the request."""
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"token_bound_cidrs": "x"}, "error parsing address"),
        ({"token_type": "x"}, "invalid 'token_type'"),
        ({"token_num_uses": -1}, "'token_num_uses' cannot be negative"),
        ({"token_type": "batch", "token_period": 5}, "periodic tokens"),
        ({"token_type": "batch", "token_num_uses": 5}, "limited use count"),
        ({"token_ttl": 2, "token_max_ttl": 1}, "'token_ttl' cannot be greater"),
    ]
    fields: dict[str, Any] = {}
    for mistake, _ in reversed(mistakes[earlier - 1 :]):
        fields |= mistake
    with pytest.raises(UserError, match=mistakes[earlier - 1][1]):
        Role.overlaid(None, fields).verify()
    with pytest.raises(UserError, match=mistakes[earlier - 1][1]):
        await Mount(Roles).write("role/dev", fields)


@pytest.mark.parametrize("name", ["token_ttl", "token_max_ttl", "token_period", "token_explicit_max_ttl"])
def test_negative_durations(name: str) -> None:
    """A negative duration never becomes a value: the field refuses it, as it does with other methods."""
    with pytest.raises(FieldError, match="cannot provide negative value") as caught:
        Role.overlaid(None, {name: -5})
    assert caught.value.field == name


def test_partial_writes() -> None:
    """Only the fields of a write change a role, alias metadata included."""
    role = Role(token_ttl=60, token_policies="a", alias_metadata={"k": "v"}, token_type="batch")
    changed = Role.overlaid(role, {"token_max_ttl": timedelta(seconds=90)})
    assert changed == role.replaced(token_max_ttl=90)


LEGACY: dict[str, tuple[dict[str, Any], str, Any]] = {
    "policies": ({"policies": "b,a"}, "token_policies", ("a", "b")),
    "policies: trimmed, lower-cased, sorted": (
        {"policies": " Foo,default,foo,"},
        "token_policies",
        ("default", "foo"),
    ),
    "policies: an empty text is none": ({"policies": ""}, "token_policies", ()),
    "num_uses": ({"num_uses": 3}, "token_num_uses", 3),
    "ttl": ({"ttl": "5s"}, "token_ttl", timedelta(seconds=5)),
    "max_ttl": ({"max_ttl": 6}, "token_max_ttl", timedelta(seconds=6)),
    "period": ({"period": 7}, "token_period", timedelta(seconds=7)),
    "bound_cidrs": (
        {"bound_cidrs": "10.0.0.1"},
        "token_bound_cidrs",
        Role(token_bound_cidrs="10.0.0.1").token_bound_cidrs,
    ),
    "new and old present: the new one wins": ({"ttl": 5, "token_ttl": 6}, "token_ttl", timedelta(seconds=6)),
}


@pytest.mark.parametrize("row", LEGACY)
def test_legacy_names(row: str) -> None:
    """An older name stands for the token field."""
    fields, name, value = LEGACY[row]
    assert getattr(LegacyTokenNames(**fields), name) == value


def test_legacy_names_are_checked() -> None:
    """What comes by an older name has to pass the same checks, and `root` swallows the others."""
    role = LegacyTokenNames(policies="a,ROOT")
    assert role.token_policies == ("root",)
    with pytest.raises(UserError, match="cannot create root tokens"):
        role.verify()
    with pytest.raises(UserError, match="'token_num_uses' cannot be negative"):
        LegacyTokenNames(num_uses=-1).verify()


def test_legacy_names_are_a_choice() -> None:
    """A role that did not ask for them does not know them; one in use says what to use instead."""
    with pytest.raises(TypeError, match="no field 'ttl'"):
        Role(ttl=5)
    declared = LegacyTokenNames.schema["ttl"]
    assert declared.deprecated
    assert declared.help == (
        'Use "token_ttl" instead. If this and "token_ttl" are both specified, only "token_ttl" will be used.'
    )
    assert LegacyTokenNames().read_shape() == READ_SHAPE


class Sponsored(Role):
    """A role with a field that is called like what is worked out of a role."""

    grant: Str = field(default="", help="Who pays.")


def test_field_of_an_authors_own() -> None:
    """It changes nothing of what a role decides."""
    role = Sponsored(grant="council", token_policies="a")
    assert make_auth(Identity(name="ann"), role, "dev").policies == ("a",)


def test_make_auth() -> None:
    """Everything of role and identity is in the login; policies are added, not replaced."""
    role = Role(
        token_bound_cidrs="10.0.0.0/8",
        token_ttl=60,
        token_max_ttl=120,
        token_explicit_max_ttl=180,
        token_period=240,
        token_policies="a,b",
        token_type="service",
        token_num_uses=3,
        token_no_default_policy=True,
    )
    identity = Identity(
        name="ann",
        groups=["g", "h", "g"],
        alias_metadata={"k": "v"},
        metadata={"m": "n"},
        policies=["b", "c"],
        state={"x": 1},
    )
    auth = make_auth(identity, role, "dev")
    assert auth.alias is not None
    assert (auth.alias.name, auth.alias.metadata) == ("ann", {"k": "v"})
    assert [alias.name for alias in auth.group_aliases] == ["g", "h"]
    assert auth.policies == ("a", "b", "c")
    assert auth.metadata == {"m": "n"}
    assert auth.display_name == "ann"
    assert auth.internal_data == {"role": "dev", "state": {"x": 1}, "policies": ["b", "c"]}
    assert auth.lease.ttl == timedelta(seconds=60)
    assert auth.lease.max_ttl == timedelta(seconds=120)
    assert auth.lease.renewable
    assert auth.explicit_max_ttl == timedelta(seconds=180)
    assert auth.period == timedelta(seconds=240)
    assert auth.bound_cidrs == ("10.0.0.0/8",)
    assert auth.token_type is TokenType.SERVICE
    assert auth.num_uses == 3
    assert auth.no_default_policy
    assert (auth.client_token, auth.accessor, auth.entity_id) == ("", "", "")


def test_alias_metadata_of_the_role() -> None:
    """It becomes custom metadata of the alias, beside the metadata that the login found out."""
    role = Role(alias_metadata={"owner": "ops"})
    auth = make_auth(Identity(name="ann", alias_metadata={"k": "v"}), role)
    assert auth.alias is not None
    assert (auth.alias.metadata, auth.alias.custom_metadata) == ({"k": "v"}, {"owner": "ops"})
    assert make_auth(Identity(anonymous=True), role).alias is None


@pytest.mark.parametrize(
    ("address", "bound"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_strictly_bound_tokens(address: str, bound: str) -> None:
    """The token is bound to the one address of its login; a block of one address has no suffix."""
    role = Role(token_strictly_bind_ip=True)
    auth = make_auth(Identity(name="ann"), role, "dev", Connection(remote_addr=address))
    assert auth.bound_cidrs == (bound,)


@pytest.mark.parametrize(
    "connection",
    [None, Connection(), Connection(remote_addr="junk"), Connection(remote_addr="fe80::1%eth0")],
)
def test_strictly_bound_tokens_need_an_address(connection: Connection | None) -> None:
    """An address that nobody knows, or that no block can name, denies the login."""
    with pytest.raises(PermissionDeniedError):
        make_auth(Identity(name="ann"), Role(token_strictly_bind_ip=True), "dev", connection)


def test_a_login_may_have_its_own_settings() -> None:
    """What it gives replaces the role's, what it does not give is the role's."""
    role = Role(token_ttl=9, token_max_ttl=90, token_policies="a,b", token_num_uses=4, token_period=8)
    settings = TokenSettings(ttl=timedelta(seconds=5), policies=["c"], num_uses=0)
    auth = make_auth(Identity(name="ann", policies=["d"], token=settings), role, "dev")
    assert (auth.lease.ttl, auth.lease.max_ttl) == (timedelta(seconds=5), timedelta(seconds=90))
    assert (auth.policies, auth.num_uses, auth.period) == (("c", "d"), 0, timedelta(seconds=8))
    assert auth.internal_data == {
        "role": "dev",
        "token": {"token_ttl": 5, "token_policies": ["c"]},
        "policies": ["d"],
    }


def test_every_setting_can_be_decided() -> None:
    """Also without a role; an anonymous token has no alias."""
    minute = timedelta(minutes=1)
    settings = TokenSettings(
        ttl=minute,
        max_ttl=2 * minute,
        explicit_max_ttl=3 * minute,
        period=4 * minute,
        policies=["p"],
        no_default_policy=True,
        bound_cidrs=["10.0.0.0/8"],
        num_uses=5,
        type=TokenType.SERVICE,
        strictly_bind_ip=False,
    )
    identity = Identity(anonymous=True, display_name="x", token=settings)
    auth = make_auth(identity, None, "", Connection(remote_addr="10.0.0.1"))
    assert (auth.alias, auth.display_name, auth.policies) == (None, "x", ("p",))
    assert (auth.lease.ttl, auth.lease.max_ttl) == (minute, 2 * minute)
    assert (auth.explicit_max_ttl, auth.period) == (3 * minute, 4 * minute)
    assert (auth.no_default_policy, auth.num_uses) == (True, 5)
    assert (auth.bound_cidrs, auth.token_type) == (("10.0.0.0/8",), TokenType.SERVICE)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (TokenSettings(type=TokenType.BATCH), "periodic tokens"),
        (TokenSettings(num_uses=-1), "cannot be negative"),
        (TokenSettings(max_ttl=timedelta(seconds=1)), "cannot be greater"),
        (TokenSettings(policies=["root"]), "root tokens"),
        (TokenSettings(strictly_bind_ip=True), "conflicts with"),
    ],
    ids=str,
)
def test_settings_are_checked_like_a_role(settings: TokenSettings, text: str) -> None:
    """A login that contradicts its role makes no token."""
    role = Role(token_period=5, token_ttl=5, token_bound_cidrs="192.0.2.0/24")
    with pytest.raises(UserError, match=text):
        make_auth(Identity(name="a", token=settings), role, "dev", Connection(remote_addr="192.0.2.1"))


def test_settings_that_the_method_fills_wrongly_are_no_mistake_of_the_client() -> None:
    """They are logged as a fault of the method's code."""
    identity = Identity(name="a", token=TokenSettings(bound_cidrs=["10.0.0.0/33"]))
    with pytest.raises(InternalError, match="error parsing address"):
        make_auth(identity, Role(), "dev", None)


def test_addresses_of_a_login_are_checked_too() -> None:
    """A login does not get a token that its own address could not use."""
    identity = Identity(name="a", token=TokenSettings(bound_cidrs=["10.0.0.0/8"]))
    for connection in (None, Connection(remote_addr="192.0.2.1")):
        with pytest.raises(PermissionDeniedError):
            make_auth(identity, Role(), "dev", connection)


def test_a_role_cannot_give_root() -> None:
    """Policies of the role are checked together with those of the identity."""
    with pytest.raises(LoginError, match="cannot create root tokens"):
        make_auth(Identity(name="a"), Role(token_policies="x, ROOT "), "dev")
