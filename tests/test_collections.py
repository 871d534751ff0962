"""Attack by mistake: `groups="ops"` must not grant the groups o, p and s, nowhere in the public API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authkit import AuthMethod, Identity, Str, TokenSettings, Verified, field, login, update
from authkit.auth import Renewal, equivalent_policies, is_address_in, sanitize_policies, split_alias_metadata
from authkit.framework import Answer, Listing, Raw, read
from authkit.logical import Alias, Auth, BackendConfig, Response, SpecialPaths
from authkit.oidc import (
    AuthorizationRequest,
    Issuers,
    StaticKeys,
    TokenVerifier,
    metadata_from_claims,
    verify_bound_claims,
    verify_registered_claims,
    verify_signature,
)
from authkit.testing import Simulator

MAKERS: list[tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = [
    (Identity, {"name": "a"}, ("groups", "policies", "warnings", "metadata", "alias_metadata", "state")),
    (TokenSettings, {}, ("policies", "bound_cidrs")),
    (Verified, {"name": "a"}, ("groups", "metadata", "state")),
    (Renewal, {}, ("groups", "state")),
    (update, {}, ("groups", "state")),
    (sanitize_policies, {}, ("policies",)),
    (equivalent_policies, {"first": (), "second": ()}, ("first", "second")),
    (is_address_in, {"address": "127.0.0.1"}, ("blocks",)),
    (split_alias_metadata, {}, ("metadata",)),
    (field, {}, ("allowed",)),
    (Listing, {}, ("keys",)),
    (Listing, {"keys": ()}, ("info",)),
    (Answer, {}, ("warnings", "headers")),
    (Raw, {"body": b""}, ("headers",)),
    (read, {"path": "x"}, ("responses", "examples")),
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
        ("root", "unauthenticated", "seal_wrap_storage", "local_storage", "limited", "binary"),
    ),
    (BackendConfig, {"storage": None, "system": None, "events": None}, ("options",)),
    (
        AuthorizationRequest,
        dict.fromkeys(("redirect_uri", "state", "nonce", "verifier", "created")),
        ("scopes", "audiences", "response_types"),
    ),
    (Issuers, {}, ("named",)),
    (StaticKeys, {}, ("keys",)),
    (StaticKeys.from_pem, {}, ("pems",)),
    (TokenVerifier, {"keys": None}, ("algorithms", "audiences")),
    (metadata_from_claims, {"claims": {"a": "b"}}, ("mappings",)),
    (verify_bound_claims, {"claims": {"a": "b"}, "kind": "string"}, ("bound",)),
    (verify_registered_claims, {"claims": {"aud": "v"}, "now": 0}, ("audiences",)),
    (verify_signature, {"token": None, "keys": ()}, ("algorithms",)),
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
