"""Attack by mistake: `groups="ops"` must not grant the groups o, p and s, nowhere in the public API."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import get_annotations
from types import ModuleType
from typing import Any

import pytest

from authkit import AuthMethod, Identity, Renewal, Str, TokenSettings, Verified, field, login, mask_text
from authkit.auth import equivalent_policies, is_address_in, sanitize_policies, split_alias_metadata
from authkit.credentials import split_statements, verify_placeholders
from authkit.framework import Answer, Listing, Raw, read
from authkit.logical import Alias, Auth, BackendConfig, Response, SpecialPaths
from authkit.oidc import (
    AuthorizationRequest,
    CombinedKeys,
    Issuers,
    Lookup,
    Network,
    OIDCClient,
    StaticKeys,
    TokenVerifier,
    metadata_from_claims,
    path_segment,
    verify_bound_claims,
    verify_registered_claims,
)
from authkit.secrets import Lease, credentials, rotated
from authkit.secrets import Renewal as LeaseRenewal
from authkit.testing import Simulator

MAKERS: list[tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = [
    (Identity, {"name": "a"}, ("groups", "policies", "warnings", "metadata", "alias_metadata", "state")),
    (TokenSettings, {}, ("policies", "bound_cidrs")),
    (Verified, {"name": "a"}, ("groups", "metadata", "state")),
    (Renewal, {}, ("groups", "state")),
    (Renewal.update, {}, ("groups", "state")),
    (Lease, {"data": {}}, ("warnings",)),
    (Lease, {}, ("data",)),
    (LeaseRenewal, {}, ("warnings",)),
    (credentials, {"path": "creds"}, ("operations",)),
    (rotated, {"creds": "a/{name}", "rotate": "b/{name}"}, ("shows",)),
    (split_statements, {}, ("items",)),
    (verify_placeholders, {"statements": ()}, ("known",)),
    (verify_placeholders, {"known": ()}, ("statements",)),
    (sanitize_policies, {}, ("policies",)),
    (equivalent_policies, {"first": (), "second": ()}, ("first", "second")),
    (is_address_in, {"address": "127.0.0.1"}, ("blocks",)),
    (split_alias_metadata, {}, ("metadata",)),
    (field, {}, ("allowed", "goes_to", "shown_members")),
    (Listing, {}, ("keys",)),
    (Listing, {"keys": ()}, ("info",)),
    (Answer, {}, ("warnings", "headers")),
    (Raw, {"body": b""}, ("headers",)),
    (read, {}, ("responses", "examples")),
    (Alias, {"name": "a"}, ("metadata", "custom_metadata")),
    (
        Auth,
        {},
        (
            "policies",
            "token_policies",
            "identity_policies",
            "group_aliases",
            "bound_cidrs",
            "metadata",
            "internal_data",
        ),
    ),
    (Response, {}, ("warnings", "headers", "data")),
    (
        SpecialPaths,
        {},
        (
            "root",
            "unauthenticated",
            "seal_wrap_storage",
            "local_storage",
            "write_forwarded_storage",
            "limited",
            "binary",
            "allow_snapshot_read",
        ),
    ),
    (BackendConfig, {"storage": None, "system": None, "events": None}, ("options",)),
    (
        AuthorizationRequest,
        dict.fromkeys(("redirect_uri", "state", "nonce", "verifier", "created")),
        ("scopes", "audiences", "response_types"),
    ),
    (Issuers, {}, ("also_default", "named")),
    (Network, {}, ("direct_hosts",)),
    (StaticKeys, {}, ("keys",)),
    (path_segment, {"text": "a"}, ("reserved",)),
    (mask_text, {"text": "a"}, ("own",)),
    (StaticKeys.from_pem, {}, ("pems",)),
    (CombinedKeys, {}, ("sources",)),
    (OIDCClient, {"keys": None, "client_id": "a", "authentication": None}, ("algorithms",)),
    (TokenVerifier, {"keys": None}, ("algorithms", "audiences")),
    (metadata_from_claims, {"claims": {"a": "b"}}, ("mappings",)),
    (verify_bound_claims, {"claims": {"a": "b"}, "kind": "string"}, ("bound",)),
    (verify_registered_claims, {"claims": {"aud": "v"}, "now": 0}, ("audiences",)),
]

CASES = [(maker, rest, name) for maker, rest, names in MAKERS for name in names]


@pytest.mark.parametrize("text", ["ops", b"ops", bytearray(b"ops"), ""])
@pytest.mark.parametrize(
    ("maker", "rest", "name"), CASES, ids=lambda each: getattr(each, "__qualname__", None)
)
def test_a_text_is_no_collection(
    maker: Callable[..., Any], rest: dict[str, Any], name: str, text: Any
) -> None:
    """It is refused where it is given, by name, and not taken for its characters."""
    with pytest.raises(TypeError, match=f"'{name}' is one text"):
        maker(**{**rest, name: text})


class Anybody(AuthMethod, name="anybody", version="0.1.0"):
    """Lets everybody in."""

    @login("login")
    async def log_in(self, user: Str) -> Identity:
        """Let them in."""
        return Identity(name=user)


async def test_nor_is_it_in_a_call() -> None:
    """Of a verifier, whose audiences would be parts of a text; and of the simulator."""
    verifier = TokenVerifier(StaticKeys.__new__(StaticKeys))
    with pytest.raises(TypeError, match="'audiences' is one text"):
        await verifier.verify("a.b.c", audiences="vault")
    with pytest.raises(TypeError, match="'among' is one text"):
        await Issuers(default=verifier).verify("a.b.c", among="vault")

    with pytest.raises(TypeError, match="'reserved' is one text"):
        Lookup({"sub": "ann"}, "sub").user_key("me")
    client = OIDCClient.__new__(OIDCClient)
    with pytest.raises(TypeError, match="'audiences' is one text"):
        await client.verify_id_token("a.b.c", None, audiences="vault")
    with pytest.raises(TypeError, match="'scopes' is one text"):
        await client.authorize_device("openid")

    async with Simulator(Anybody) as vault:
        with pytest.raises(TypeError, match="'policies' is one text"):
            await vault.map_group("devs", policies="ops")


@pytest.mark.parametrize(
    "made",
    [
        lambda: Identity(name="a", groups=(), policies=["p"], metadata={}).policies,
        lambda: TokenSettings(policies=["p"], bound_cidrs=None).policies,
        lambda: list(sanitize_policies(iter(["p"]))),
        lambda: list(Auth(policies=("p",)).policies),
    ],
)
def test_collections_of_any_kind_are_taken(made: Callable[[], Any]) -> None:
    """Lists, tuples, iterators; and nothing at all where that is allowed."""
    assert made() == ["p"]


IN_CALLS = {
    ("Lookup.user_key", "reserved"),
    ("OIDCClient.verify_id_token", "audiences"),
    ("OIDCClient.authorize_device", "scopes"),
    ("TokenVerifier.verify", "audiences"),
    ("Issuers.verify", "audiences"),
    ("Issuers.verify", "among"),
    ("MountClient.map_group", "policies"),
    ("RenewCall.verify_policies", "policies"),
}
"""Methods of the tests above."""

NOT_FOR_AUTHORS = {
    *(
        "Connection",
        "Call",
        "LoginCall",
        "RenewCall",
        *("CredsCall", "RevokeCall", "RotateCall"),
        *("NewUser", "PasswordChange", "ExpirationChange", "PublicKeyChange", "UserDeletion"),
        "Write",
        "FieldData",
        "FieldSchema",
        "PathTemplate",
        "OperationInfo",
    ),
    *(
        "WriteAheadLog",
        "KeySet",
        "ProviderMetadata",
        "Audited",
        "ClientResponse",
        "GrantedToken",
        "IssuedCredential",
    ),
    "TokenVerifier.verify_unverified",
    "verify_remote_address",
    "Backend.call_type",
}
"""Made or called by the library itself, from values of the right kind."""


def collections_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield each public callable and method of a module with each parameter that is a collection."""
    for name in module.__all__:
        public = getattr(module, name)
        methods = vars(public).items() if isinstance(public, type) else ()
        found = [(name, public), *((f"{name}.{each}", made) for each, made in methods if each[0] != "_")]
        for where, each in found:
            made = getattr(each, "__func__", each)
            if not callable(made) or (isinstance(made, type) and issubclass(made, BaseException)):
                continue
            for parameter, annotation in parameters_of(made).items():
                if COLLECTION.search(str(annotation)):
                    yield where, parameter


def parameters_of(made: Any) -> dict[str, Any]:
    """Return the annotations of what a callable takes, as they are written."""
    if hasattr(made, "__struct_fields__"):
        written = {
            name: each for base in reversed(made.__mro__) for name, each in get_annotations(base).items()
        }
        return {name: written[name] for name in made.__struct_fields__}
    with contextlib.suppress(ValueError, TypeError):
        return {each.name: each.annotation for each in inspect.signature(made).parameters.values()}
    return {}


COLLECTION = re.compile(r"\b(Sequence|Collection|Iterable|tuple|list|frozenset|set)\[(?!M\])")


@pytest.mark.parametrize(
    "module",
    [
        "authkit",
        "authkit.auth",
        "authkit.credentials",
        "authkit.database",
        "authkit.framework",
        "authkit.oidc",
        "authkit.secrets",
        "authkit.testing",
    ],
)
def test_the_whole_public_api_is_in_these_tests(module: str) -> None:
    """A new function that takes a collection has to refuse texts as well."""
    tested = {(maker.__qualname__, name) for maker, _, name in CASES} | IN_CALLS
    missing = {
        (where, name)
        for where, name in collections_of(import_module(module))
        if (where, name) not in tested and where not in NOT_FOR_AUTHORS
    }
    assert not missing
