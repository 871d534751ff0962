"""Token parameters on a real server: what a role asks for, and what the token then is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from livebed.client import ServerError
from livebed.mfa import second_factor, totp
from livebed.mounts import Mount
from livebed.tokens import SUBJECT

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
"""Two addresses of this machine, for clients that are not the same."""


def role_login(mount: Mount, name: str, *, jwt: str = "", **fields: Any) -> dict[str, Any]:
    """Write a role and log in with it."""
    mount.write_role(name, **fields)
    return mount.login(name, jwt)


# --- token types -------------------------------------------------------------------------------


def test_batch_token(standing: Mount) -> None:
    """A batch token works and belongs to the entity, but has no accessor and is never renewed or revoked."""
    auth = role_login(standing, "batch", token_type="batch")

    assert auth["token_type"] == "batch"
    assert auth["client_token"].startswith("hvb." if not standing.server.program.is_bao else "b.")
    assert (auth["accessor"], auth["renewable"], auth["lease_duration"]) == ("", False, 3600)
    seen = standing.client.with_token(auth["client_token"]).read("auth/token/lookup-self")
    assert (seen["type"], seen["entity_id"]) == ("batch", auth["entity_id"])
    assert seen["policies"] == ["default"]
    with pytest.raises(ServerError, match="batch tokens cannot be renewed") as refused:
        standing.renew(auth)
    assert refused.value.status == 400
    with pytest.raises(ServerError, match="batch tokens cannot be revoked"):
        standing.client.write("auth/token/revoke", token=auth["client_token"])


@pytest.mark.parametrize("contradiction", [{"token_period": "1h"}, {"token_num_uses": 3}])
def test_batch_token_with_what_it_cannot_have(standing: Mount, contradiction: dict[str, Any]) -> None:
    """A role that asks for a periodic batch token, or for one of few uses, is refused when it is written."""
    with pytest.raises(ServerError, match="'token_type' cannot be 'batch'") as refused:
        standing.write_role("contradiction", token_type="batch", **contradiction)

    assert refused.value.status == 400
    assert "contradiction" not in standing.client.list(f"auth/{standing.path}/role")


@pytest.mark.parametrize(
    ("of_the_role", "of_the_mount", "made"),
    [
        ("default", "default-service", "service"),
        ("service", "default-service", "service"),
        ("batch", "default-service", "batch"),
        ("default", "default-batch", "batch"),
        ("service", "default-batch", "service"),
        ("service", "batch", "batch"),
        ("batch", "service", "service"),
    ],
)
def test_type_of_role_and_mount(standing: Mount, of_the_role: str, of_the_mount: str, made: str) -> None:
    """The role chooses where the mount only has a default; a mount that says one type means it."""
    standing.tune(token_type=of_the_mount)
    try:
        assert role_login(standing, "typed", token_type=of_the_role)["token_type"] == made
    finally:
        standing.tune(token_type="default-service")


def test_type_that_the_help_advertises(standing: Mount) -> None:
    """Ours takes `default-service`, which help pages show as the default; the Go plugin refuses it."""
    if standing.is_peer:
        with pytest.raises(ServerError, match="invalid 'token_type' value"):
            standing.write_role("advertised", token_type="default-service")
    else:
        assert role_login(standing, "advertised", token_type="default-service")["token_type"] == "service"


def test_unknown_type_is_refused(standing: Mount) -> None:
    """A type that does not exist is refused when the role is written."""
    with pytest.raises(ServerError, match="invalid 'token_type' value") as refused:
        standing.write_role("unknown", token_type="eternal")

    assert refused.value.status == 400


# --- lifetimes ---------------------------------------------------------------------------------


def test_periodic_token_lives_beyond_its_ttl(standing: Mount) -> None:
    """Each renewal lasts one period, whatever is asked for, as often as somebody renews."""
    auth = role_login(standing, "periodic", token_ttl="1s", token_period="3s")
    assert (auth["lease_duration"], auth["renewable"]) == (3, True)
    assert standing.lookup(auth)["period"] == 3

    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        assert standing.renew(auth, increment="1h")["auth"]["lease_duration"] == 3
        time.sleep(0.3)

    assert standing.lookup(auth)["policies"] == ["default"]


def test_period_is_capped_by_the_longest_lifetime(standing: Mount) -> None:
    """A period above `token_max_ttl` is cut, and the client is told."""
    standing.write_role("capped", token_period="1h", token_ttl=0, token_max_ttl="2m")

    answer = standing.client.login_answer(standing.path, role="capped", jwt=standing.issuer.token())

    assert answer["auth"]["lease_duration"] == 120
    assert "exceeded the effective max_ttl" in "".join(answer["warnings"])


def test_period_above_the_mounts_limit_is_refused(standing: Mount) -> None:
    """A period that the mount could not grant is refused when the role is written."""
    with pytest.raises(ServerError, match="greater than the backend's maximum lease TTL") as refused:
        standing.write_role("endless", token_period="1000h")

    assert refused.value.status == 400


def test_explicit_max_ttl_caps_every_renewal(standing: Mount) -> None:
    """The limit is fixed at login: neither an increment nor a later role stretches it."""
    auth = role_login(standing, "explicit", token_ttl="1m", token_explicit_max_ttl="2m")
    assert auth["lease_duration"] == 60
    assert standing.lookup(auth)["explicit_max_ttl"] == 120

    standing.write_role("explicit", token_ttl="1h", token_explicit_max_ttl="10h")
    renewed = standing.renew(auth, increment="1h")

    assert 60 < renewed["auth"]["lease_duration"] <= 120
    assert "exceeded the effective max_ttl" in "".join(renewed["warnings"])


def test_explicit_max_ttl_ends_a_periodic_token(standing: Mount) -> None:
    """A periodic token with an explicit limit cannot be renewed beyond it."""
    auth = role_login(standing, "limited", token_ttl=0, token_period="2m", token_explicit_max_ttl="3m")
    assert auth["lease_duration"] == 120

    standing.write_role("limited", token_ttl=0, token_period="1h", token_explicit_max_ttl="3m")

    assert 120 < standing.renew(auth)["auth"]["lease_duration"] <= 180


def test_max_ttl_caps_the_mounts_default(standing: Mount) -> None:
    """A role with only `token_max_ttl` gets that, and the client is told that it was cut."""
    standing.write_role("short", token_ttl=0, token_max_ttl="5m")

    answer = standing.client.login_answer(standing.path, role="short", jwt=standing.issuer.token())

    assert answer["auth"]["lease_duration"] == 300
    assert "exceeded the effective max_ttl" in "".join(answer["warnings"])


def test_max_ttl_caps_an_increment(standing: Mount) -> None:
    """A renewal gives what the client asks for, up to `token_max_ttl` since the login."""
    auth = role_login(standing, "increments", token_ttl="10m", token_max_ttl="20m")

    assert standing.renew(auth, increment="90s")["auth"]["lease_duration"] == 90
    capped = standing.renew(auth, increment="5h")

    assert 1190 <= capped["auth"]["lease_duration"] <= 1200
    assert "exceeded the effective max_ttl" in "".join(capped["warnings"])


def test_ttl_above_the_max_is_refused(standing: Mount) -> None:
    """A role whose lifetime exceeds its own limit is refused when it is written."""
    with pytest.raises(ServerError, match="'token_ttl' cannot be greater than 'token_max_ttl'") as refused:
        standing.write_role("upside-down", token_ttl="2h", token_max_ttl="1h")

    assert refused.value.status == 400


def test_lifetime_of_the_mount_where_the_role_has_none(standing: Mount) -> None:
    """Without lifetimes in the role the token has the mount's, at login and at renewals."""
    auth = role_login(standing, "plain", token_ttl=0)
    assert auth["lease_duration"] == standing.default_lease_seconds

    standing.tune(default_lease_ttl="30m")
    try:
        assert standing.login("plain")["lease_duration"] == 1800
        assert standing.renew(auth)["auth"]["lease_duration"] == 1800
    finally:
        standing.tune(default_lease_ttl=0)


def test_renewal_takes_the_lifetimes_of_today(standing: Mount) -> None:
    """A role that became stricter, or periodic, is so for tokens that are renewed; policies stay."""
    auth = role_login(standing, "changing", token_policies=["old"])

    standing.write_role("changing", token_ttl="5m", token_max_ttl="10m", token_policies=["new"])
    renewed = standing.renew(auth)["auth"]
    assert renewed["lease_duration"] == 300
    assert renewed["token_policies"] == ["default", "old"]
    assert standing.renew(auth, increment="5h")["auth"]["lease_duration"] <= 600

    standing.write_role("changing", token_ttl=0, token_max_ttl=0, token_period="7m")
    assert standing.renew(auth)["auth"]["lease_duration"] == 420


def test_renewal_without_its_role(standing: Mount) -> None:
    """Once the role is gone a renewal is the caller's mistake (400) with ours, a failure (500) with the peer.

    A refusal is no fault of the server; either way the token keeps the expiry that it had.
    """
    auth = role_login(standing, "gone")
    expiry = standing.lookup(auth)["expire_time"]
    standing.client.delete(f"auth/{standing.path}/role/gone")

    with pytest.raises(ServerError, match="role gone does not exist during renewal") as refused:
        standing.renew(auth)

    assert refused.value.status == (500 if standing.is_peer else 400)
    assert standing.lookup(auth)["expire_time"] == expiry


# --- uses, addresses, policies -----------------------------------------------------------------


def test_uses_are_counted(standing: Mount) -> None:
    """A token of two uses is good for two requests."""
    auth = role_login(standing, "twice", token_num_uses=2)
    assert auth["num_uses"] == 2
    user = standing.client.with_token(auth["client_token"])

    assert user.read("auth/token/lookup-self")["num_uses"] in {1, 2}
    user.read("auth/token/lookup-self")
    with pytest.raises(ServerError) as refused:
        user.read("auth/token/lookup-self")

    assert refused.value.status == 403


def test_login_from_another_address_is_denied(standing: Mount) -> None:
    """A role bound to an address logs in from there, and nobody else with the same JWT."""
    standing.write_role("bound", token_bound_cidrs=[f"{HERE}/32"])
    token = standing.issuer.token()

    with standing.client.coming_from(ELSEWHERE) as stranger, pytest.raises(ServerError) as refused:
        stranger.login(standing.path, "bound", token)

    assert refused.value.status == 403
    assert "permission denied" in refused.value.text
    assert standing.login("bound", token)["metadata"] == {"role": "bound"}


def test_token_is_bound_to_its_addresses(standing: Mount) -> None:
    """A token is worth nothing outside the blocks of its role: neither lookup nor renewal."""
    auth = role_login(standing, "tied", token_bound_cidrs=f"192.0.2.0/24, {HERE}")

    with standing.client.coming_from(ELSEWHERE) as elsewhere:
        thief = elsewhere.with_token(auth["client_token"])
        for method, path in (("GET", "lookup-self"), ("POST", "renew-self"), ("POST", "revoke-self")):
            assert thief.raw(method, f"auth/token/{path}").status_code == 403

    owner = standing.client.with_token(auth["client_token"])
    assert owner.read("auth/token/lookup-self")["bound_cidrs"] == ["192.0.2.0/24", HERE]
    assert owner.write("auth/token/renew-self")["auth"]["lease_duration"] == 3600


def test_block_that_is_none(standing: Mount) -> None:
    """Ours refuses a typo of a block, for which the Go plugin lets nobody in ever after."""
    typo: dict[str, Any] = {"token_bound_cidrs": ["127.0.0.1/33"]}
    if standing.is_peer:
        with pytest.raises(ServerError, match="permission denied") as refused:
            role_login(standing, "typo", **typo)
        assert refused.value.status == 403
        return

    with pytest.raises(ServerError, match=r'error parsing address "127.0.0.1/33"') as refused:
        standing.write_role("typo", **typo)
    assert refused.value.status == 400


def test_no_default_policy(standing: Mount) -> None:
    """A role may leave out the default policy; with none at all the token may do nothing."""
    auth = role_login(standing, "own", token_policies=["own"], token_no_default_policy=True)
    assert auth["policies"] == ["own"]
    assert standing.renew(auth)["auth"]["policies"] == ["own"]

    nothing = role_login(standing, "nothing", token_policies=[], token_no_default_policy=True)
    assert not nothing["policies"]
    user = standing.client.with_token(nothing["client_token"])
    assert user.raw("GET", "auth/token/lookup-self").status_code == 403


def test_policies_are_cleaned(standing: Mount) -> None:
    """Case, outer blanks and repetitions of policy names mean nothing."""
    auth = role_login(standing, "untidy", token_policies=" Dev , dev,ADMIN,,default, admin")

    assert auth["policies"] == ["admin", "default", "dev"]
    assert auth["token_policies"] == ["admin", "default", "dev"]


@pytest.mark.parametrize("policy", ["root", " ROOT ", "response-wrapping", "control-group"])
def test_policy_that_no_login_may_have(standing: Mount, policy: str) -> None:
    """No role gives root, nor what belongs to the server itself: 400 and no token.

    Ours refuses the role. The Go plugin takes it, so that each login fails and leaves an entity behind.
    """
    if standing.is_peer and standing.server.program.is_bao and policy == "control-group":
        pytest.skip("OpenBao has no control groups, and the Go plugin leaves the name to the server")
    client, token = standing.client, standing.issuer.token(sub=f"wants {policy}")
    accessors, entities = (set(client.list(path)) for path in ("auth/token/accessors", "identity/entity/id"))

    with pytest.raises(ServerError, match=policy.strip().lower()) as refused:
        role_login(standing, "mighty", jwt=token, token_policies=["dev", policy])

    assert refused.value.status == 400
    # Tokens of other tests may have run out meanwhile.
    assert set(client.list("auth/token/accessors")) <= accessors
    assert len(set(client.list("identity/entity/id")) - entities) == (1 if standing.is_peer else 0)
    assert ("mighty" in client.list(f"auth/{standing.path}/role")) == standing.is_peer


# --- what the token says about itself ----------------------------------------------------------


def test_operator_sees_where_a_token_comes_from(standing: Mount) -> None:
    """Looked up by accessor a token tells path, name, metadata, role and entity, and not itself."""
    standing.write_role("described", claim_mappings={"department": "unit"})
    auth = standing.login("described", standing.issuer.token(department="finance"))

    seen = standing.client.write("auth/token/lookup-accessor", accessor=auth["accessor"])["data"]

    assert seen["id"] == ""
    assert seen["path"] == f"auth/{standing.path}/login"
    assert seen["display_name"] == f"{standing.path}-{SUBJECT}"
    assert seen["meta"] == auth["metadata"] == {"role": "described", "unit": "finance"}
    assert seen["orphan"] is True
    assert seen["entity_id"] == auth["entity_id"]


def test_login_can_be_wrapped(standing: Mount) -> None:
    """A client that asks for a wrapped answer gets the token once, by unwrapping."""
    body = {"role": "dev", "jwt": standing.issuer.token()}
    stranger = standing.client.with_token("")

    wrapped = stranger.call("POST", f"auth/{standing.path}/login", body, headers={"X-Vault-Wrap-TTL": "60"})
    assert wrapped["auth"] is None
    wrapper = wrapped["wrap_info"]["token"]
    standing.client.secrets.extend([body["jwt"], wrapper])
    auth = stranger.with_token(wrapper).write("sys/wrapping/unwrap")["auth"]
    standing.client.secrets.append(auth["client_token"])

    assert auth["metadata"] == {"role": "dev"}
    assert standing.lookup(auth)["policies"] == ["default"]


# --- second factor -----------------------------------------------------------------------------


def test_second_factor_of_the_server_is_untouched(standing: Mount) -> None:
    """A login on a mount with enforced MFA gives no token until the server has seen the second factor."""
    entity_id = standing.login()["entity_id"]
    stranger = standing.client.with_token("")
    with second_factor(standing) as factor:
        key = factor.enrol(entity_id)
        standing.client.secrets.append(key)

        pending = standing.login()
        assert pending["client_token"] == ""
        assert not pending["policies"]
        required = pending["mfa_requirement"]
        (constraint,) = required["mfa_constraints"].values()
        assert [each["id"] for each in constraint["any"]] == [factor.method_id]

        def validate(code: str) -> dict[str, Any]:
            body = {"mfa_request_id": required["mfa_request_id"], "mfa_payload": {factor.method_id: [code]}}
            return stranger.write("sys/mfa/validate", **body)

        with pytest.raises(ServerError) as refused:
            validate("wrong")
        assert refused.value.status == 403
        auth = validate(totp(key))["auth"]

    standing.client.secrets.append(auth["client_token"])
    assert auth["entity_id"] == entity_id
    assert auth["metadata"] == {"role": "dev"}
    assert standing.lookup(auth)["policies"] == ["default"]
    assert standing.renew(auth)["auth"]["lease_duration"] == 3600


def test_quota_of_one_role(standing: Mount) -> None:
    """The server asks the plugin for the role of a login: a rate limit on one role spares the others."""
    standing.write_role("busy")
    quota = f"sys/quotas/rate-limit/{standing.path}"
    limit = {"path": f"auth/{standing.path}/", "role": "busy", "rate": 2, "interval": "1m"}
    standing.client.call("POST", quota, limit)
    try:
        body = {"role": "busy", "jwt": "no token"}
        stranger, path = standing.client.with_token(""), f"auth/{standing.path}/login"
        statuses = [stranger.raw("POST", path, body).status_code for _ in range(4)]

        assert statuses == [400, 400, 429, 429]
        assert standing.login("dev")["metadata"] == {"role": "dev"}
        assert stranger.raw("POST", path, {"role": "nobody", "jwt": "no token"}).status_code == 400
    finally:
        standing.client.delete(quota)
