"""Every field of a role crossed with every way in: it bounds that way, or the table says why it cannot."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
from faulty_provider import FaultyProvider
from jwt_auth.settings.bounds import ROLE_BOUNDS
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth.settings.role import JWTRole
from jwt_auth_keys import public_pem
from test_jwt_auth_browser import CALLBACK, DIRECT, ROLE, WEB, Browser, poll

from authkit.errors import AuthKitError
from authkit.logical import Auth, Operation, Response


class Refused(Exception):
    """Nobody got a token, and no error said why: no URL, or a page."""


class Ago(int):
    """So many seconds before the login."""


class Bound(NamedTuple):
    """What a role refuses and what it takes, of the same person at the same provider."""

    refuses: Mapping[str, Any]
    accepts: Mapping[str, Any] = {}
    text: str = ""
    """Part of what the refusal says."""
    claims: Mapping[str, Any] = {}
    """Claims of the token; `None` leaves one out."""


Fields = Mapping[str, Any]
Way = Callable[[Browser, Fields], Awaitable[Auth]]


# --- the ways in -------------------------------------------------------------------------------


async def by_token(browser: Browser, fields: Fields) -> Auth:
    """Present a JWT that the default issuer has signed."""
    await write(browser, {"role_type": "jwt", "bound_audiences": browser.idp.client_id} | fields)
    answer = await browser.mount.request(
        Operation.UPDATE, "login", {"role": "web", "jwt": browser.idp.id_token({})}
    )
    return auth_of(answer)


async def by_browser(browser: Browser, fields: Fields) -> Auth:
    """Come back to the client, which asks with a GET."""
    await write(browser, fields)
    return auth_of(await browser.come_back(browser.idp.log_in(await begin(browser, CALLBACK))))


async def by_form(browser: Browser, fields: Fields) -> Auth:
    """Send a form to the server, whose page tells the client how to go on."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types="id_token")
    await write(browser, fields)
    url = await begin(browser, WEB, client_nonce="")
    page = await browser.mount.write("oidc/callback", browser.idp.log_in(url))
    found = re.search(r"postMessage\((\{.*\}), window\.origin\)", page_of(page))
    if found is None:
        raise Refused(page_of(page))
    message = json.loads(found[1])
    back = {"state": message["state"], "code": message["code"], "client_nonce": ""}
    return auth_of(await browser.come_back(back))


async def by_direct(browser: Browser, fields: Fields) -> Auth:
    """Come back to the server, say yes on its page, and let the client ask."""
    await write(browser, {"callback_mode": "direct"} | fields)
    begun = await browser.begin(DIRECT)
    if not begun["auth_url"]:
        raise Refused("no URL")
    page = page_of(await browser.come_back(browser.idp.log_in(begun["auth_url"])))
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    await browser.come_back({name: html.unescape(value) for name, value in inputs})
    return await poll(browser, begun["state"])


async def by_device(browser: Browser, fields: Fields) -> Auth:
    """Confirm a code on another device, and let the client ask."""
    await write(browser, {"callback_mode": "device"} | fields)
    begun = await browser.begin("")
    if not begun["auth_url"]:
        raise Refused("no URL")
    browser.idp.approve_devices()
    return await poll(browser, begun["state"])


async def by_renewal(browser: Browser, fields: Fields) -> Auth:
    """Log in with a role that binds nothing, and renew with this one."""
    await write(browser, {"renew_at_provider": True})
    auth = auth_of(await browser.come_back(browser.idp.log_in(await begin(browser, CALLBACK))))
    await write(browser, {"renew_at_provider": True} | fields)
    return await browser.mount.renew(auth)


WAYS: dict[str, Way] = {
    "token": by_token,
    "browser": by_browser,
    "form": by_form,
    "direct": by_direct,
    "device": by_device,
    "renewal": by_renewal,
}


async def write(browser: Browser, fields: Fields) -> None:
    """Write the role from nothing."""
    await browser.mount.delete("role/web")
    await browser.mount.write("role/web", ROLE | fields)


async def begin(browser: Browser, redirect_uri: str, **fields: Any) -> str:
    """Return where to send the browser."""
    url: str = (await browser.begin(redirect_uri, **fields))["auth_url"]
    if not url:
        raise Refused("no URL")
    return url


def auth_of(answer: Response | None) -> Auth:
    """Return what an answer grants."""
    if answer is None or answer.auth is None:
        raise Refused(page_of(answer))
    return answer.auth


def page_of(answer: Response | None) -> str:
    """Return the page in an answer, empty without one."""
    return answer.raw.body.decode() if answer is not None and answer.raw is not None else ""


# --- the table ---------------------------------------------------------------------------------

LEVELS = {"level": "gold", "many": ["a", "b"]}
PROVIDER = ("browser", "form", "direct", "device", "renewal")
"""The ways that lead through the provider."""
TOKEN_SETTING = "says what the token is like, not who gets one"
NO_BROWSER = "no browser comes back to be sent anywhere"
NO_LOGIN = "nobody logs in at a renewal: what they did at the login was compared then"
SEVERAL = "for mounts with several issuers: test_attack_users_of_another_issuer"
AN_ALIAS = "another name of the field that it stands for"
WEB_ROLE = {"role_type": "oidc"}
TOKEN_ROLE = {"role_type": "jwt", "bound_audiences": "client-1"}
OLD = {"auth_time": Ago(7200)}


def everywhere(bound: Bound | str) -> dict[str, Bound | str]:
    """Return a row that is the same for all ways."""
    return dict.fromkeys(WAYS, bound)


def at_provider(bound: Bound | str) -> dict[str, Bound | str]:
    """Return the cells of the ways through the provider."""
    return dict.fromkeys(PROVIDER, bound)


AGE = Bound({"max_age": "1h"}, {"max_age": "3h"}, "beyond max age", OLD)
CIDRS = Bound({"token_bound_cidrs": "198.51.100.0/24"}, {"token_bound_cidrs": "192.0.2.0/24"})
NO_EXP = {"exp": None, "iat": Ago(100)}
ALONE = {"iat": None, "nbf": None, "auth_time": None}
EXP_LEEWAY = Bound({"expiration_leeway": -1}, {"expiration_leeway": "5m"}, "expired", NO_EXP)
REDIRECT = Bound({"allowed_redirect_uris": "https://elsewhere.example/cb"})

TABLE: dict[str, dict[str, Bound | str]] = {
    "role_type": {
        "token": Bound(WEB_ROLE, {}, "role with oidc role_type is not allowed"),
        **at_provider(Bound(TOKEN_ROLE, WEB_ROLE)),
    },
    "bound_issuers": everywhere(Bound({"bound_issuers": "other"}, {"bound_issuers": "Default"})),
    "bound_audiences": everywhere(
        Bound({"bound_audiences": "other"}, {"bound_audiences": "x,client-1"}, "audience")
    ),
    "bound_subject": everywhere(Bound({"bound_subject": "bob"}, {"bound_subject": "ann"}, "sub")),
    "bound_token_type": everywhere(
        Bound({"bound_token_type": "at+jwt"}, {"bound_token_type": "id_token"}, "token is no at+jwt")
    ),
    "bound_claims": everywhere(
        Bound({"bound_claims": {"level": "red"}}, {"bound_claims": {"level": "gold"}}, "level", LEVELS)
    ),
    "bound_claims_type": everywhere(
        Bound(
            {"bound_claims": {"level": "g*"}, "bound_claims_type": "string"},
            {"bound_claims": {"level": "g*"}, "bound_claims_type": "glob"},
            "level",
            LEVELS,
        )
    ),
    "user_claim": everywhere(Bound({"user_claim": "nobody"}, {"user_claim": "sub"}, "nobody")),
    "user_claim_json_pointer": everywhere(
        Bound({"user_claim": "/sub"}, {"user_claim": "/sub", "user_claim_json_pointer": True}, 'claim "/sub"')
    ),
    "claim_mappings": everywhere(
        Bound({"claim_mappings": {"many": "m"}}, {"claim_mappings": {"level": "m"}}, "many", LEVELS)
    ),
    "groups_claim": everywhere(
        Bound({"groups_claim": "teams"}, {"groups_claim": "many"}, "failed to fetch groups", LEVELS)
    ),
    "expiration_leeway": {"token": EXP_LEEWAY, **at_provider("an ID token without 'exp' is refused anyway")},
    "not_before_leeway": everywhere(
        Bound({"not_before_leeway": -1}, {"not_before_leeway": "15m"}, "token not yet valid", ALONE)
    ),
    "clock_skew_leeway": everywhere(
        Bound({"clock_skew_leeway": -1}, {}, "token not yet valid", {"iat": Ago(-40)})
    ),
    "max_age": {**everywhere(AGE), "renewal": NO_LOGIN},
    "token_bound_cidrs": {
        **everywhere(CIDRS),
        "renewal": "the host binds the token to its blocks; whoever may renew it for its owner is elsewhere",
    },
    "token_strictly_bind_ip": everywhere(
        "the host lets a token be used from the address that it is bound to"
    ),
    "allowed_redirect_uris": {
        "token": NO_BROWSER,
        "browser": REDIRECT,
        "form": REDIRECT,
        "direct": REDIRECT,
        "device": NO_BROWSER,
        "renewal": NO_BROWSER,
    },
    "renew_at_provider": {
        "token": Bound({"renew_at_provider": True}, {}, "refresh token"),
        "browser": "this provider sends a refresh token; in test_jwt_auth_renewals one does not",
        "form": Bound({"renew_at_provider": True}, {}, "refresh token"),
        "direct": "as in the way 'browser', by the same code",
        "device": "as in the way 'browser', by the same code",
        "renewal": "it is what makes this way; test_jwt_auth_renewals switches it on later",
    },
    "oidc_scopes": everywhere("what the provider is asked for; it decides, and the claims are compared"),
    "callback_mode": everywhere("which of these ways it is; a login in another mode is refused at its end"),
    "poll_interval": everywhere("how often a client asks; test_jwt_auth_rates asks too often"),
    "oidc_disable_confirmation": everywhere("whether a page asks, in the way 'direct' only"),
    "verbose_oidc_logging": everywhere("what is logged"),
    "shares_users_across_issuers": everywhere(SEVERAL),
    "shares_groups_across_issuers": everywhere(SEVERAL),
    "bound_cidrs": everywhere(AN_ALIAS),
    "policies": everywhere(AN_ALIAS),
    "ttl": everywhere(AN_ALIAS),
    "max_ttl": everywhere(AN_ALIAS),
    "period": everywhere(AN_ALIAS),
    "num_uses": everywhere(AN_ALIAS),
    "token_explicit_max_ttl": everywhere(TOKEN_SETTING),
    "token_max_ttl": everywhere(TOKEN_SETTING),
    "token_no_default_policy": everywhere(TOKEN_SETTING),
    "token_period": everywhere(TOKEN_SETTING),
    "token_policies": everywhere(TOKEN_SETTING),
    "token_type": everywhere(TOKEN_SETTING),
    "token_ttl": everywhere(TOKEN_SETTING),
    "token_num_uses": everywhere(TOKEN_SETTING),
    "alias_metadata": everywhere(TOKEN_SETTING),
}
CASES = [
    pytest.param(way, bound, id=f"{field}-{way}")
    for field, row in TABLE.items()
    for way, bound in row.items()
    if isinstance(bound, Bound)
]


def test_the_table_has_every_field_and_every_way() -> None:
    """Whoever adds a field to roles has to say what it does on each way."""
    assert set(TABLE) == set(JWTRole.schema)
    for field, row in TABLE.items():
        assert set(row) == set(WAYS), field


def test_the_list_of_bounds_is_complete() -> None:
    """Every bound of it refuses somebody here, and no field of a role that looks like a bound is left out."""
    listed = {bound.field for bound in ROLE_BOUNDS}
    for field in listed:
        assert any(isinstance(cell, Bound) for cell in TABLE[field].values()), field
    named = {name for name in JWTRole.schema if "bound_" in name or name.endswith(("_leeway", "_age"))}
    assert named - listed == {"bound_claims_type", "bound_cidrs"}


@pytest.mark.parametrize(("way", "bound"), CASES)
async def test_a_field_bounds_a_way(browser: Browser, idp: FaultyProvider, way: str, bound: Bound) -> None:
    """The same person is refused by one value of the field and let in by another."""
    now = int(time.time())
    idp.claims = {
        name: now - value if isinstance(value, Ago) else value for name, value in bound.claims.items()
    }
    auth = await WAYS[way](browser, bound.accepts)
    assert auth.alias is not None
    assert auth.alias.name == "ann"
    with pytest.raises((AuthKitError, Refused)) as caught:
        await WAYS[way](browser, bound.refuses)
    if not isinstance(caught.value, Refused):
        assert bound.text in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["users", "groups"])
async def test_attack_users_of_another_issuer(
    browser: Browser, idp: FaultyProvider, monkeypatch: pytest.MonkeyPatch, way: str, name: str
) -> None:
    """On a mount with several issuers no way names a user or a group of another one."""
    # A role that was stored before the second issuer.
    monkeypatch.setattr("jwt_auth.method.find_refusal", lambda role: "")
    issuers, renew = browser.mount.backend.issuers, browser.mount.renew

    async def add_issuer() -> None:
        await issuers.put("ci", JWTIssuer(bound_issuer="https://ci", jwt_validation_pubkeys=public_pem()))

    async def renew_later(auth: Auth) -> Auth:
        await add_issuer()
        return await renew(auth)

    monkeypatch.setattr(browser.mount, "renew", renew_later)
    idp.claims = {"groups": ["ops"]}
    role = {} if name == "users" else {"user_claim": "{iss}|{sub}", "groups_claim": "groups"}
    if way == "renewal" and name == "groups":
        role = {"groups_claim": "groups", "shares_users_across_issuers": True}
    for fields in ({f"shares_{name}_across_issuers": True}, {}):
        if way == "renewal":
            await issuers.delete("ci")
        else:
            await add_issuer()
        if fields:
            assert (await WAYS[way](browser, role | fields)).alias is not None
            continue
        with pytest.raises((AuthKitError, Refused)) as caught:
            await WAYS[way](browser, role)
        if not isinstance(caught.value, Refused):
            assert "role 'web' cannot be used: " in str(caught.value)
