"""Records that the official plugin has stored: this one takes over its mounts, and gives them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jwt_auth_mounts import JWTMount

from authkit.logical import StorageEntry

RECORDED = json.loads(Path(__file__).with_name("official_records.json").read_text())["records"]
MORE_KEYS = {
    "_version",
    "bound_issuers",
    "bound_token_type",
    "callback_mode",
    "oidc_disable_confirmation",
    "poll_interval",
    "renew_at_provider",
    "shares_groups_across_issuers",
    "shares_users_across_issuers",
    "token_strictly_bind_ip",
}
"""What is stored beside the official plugin's keys; it passes over them."""


async def put(mount: JWTMount, key: str, record: dict[str, Any]) -> None:
    """Store a record as it is."""
    await mount.storage.put(StorageEntry(key, json.dumps(record).encode()))


async def stored(mount: JWTMount, key: str) -> dict[str, Any]:
    """Return what is stored."""
    entry = await mount.storage.get(key)
    assert entry is not None
    record: dict[str, Any] = json.loads(entry.value)
    return record


async def test_recorded_roles_are_read(bare: JWTMount) -> None:
    """Durations, types, lists and older names arrive as the official plugin shows them."""
    for key, record in RECORDED.items():
        await put(bare, key, record)
    full, legacy, browser = [await bare.read(f"role/{name}") for name in ("full", "legacy", "browser")]
    assert full is not None
    assert (full["expiration_leeway"], full["not_before_leeway"], full["clock_skew_leeway"]) == (-1, 30, 120)
    assert (full["token_ttl"], full["token_max_ttl"], full["max_age"]) == (5400, 2592000, 3600)
    assert (full["token_type"], full["token_bound_cidrs"]) == ("service", ["127.0.0.1", "10.0.0.0/8"])
    assert full["bound_claims"] == {"/deep/n": 5, "flag": True, "ratio": 5, "team": ["a", "b*"]}
    assert full["allowed_redirect_uris"] is None
    assert "ttl" not in full
    assert legacy is not None
    assert (legacy["ttl"], legacy["policies"], legacy["num_uses"]) == (3600, ["default", "foo"], 2)
    assert browser is not None
    assert (browser["role_type"], browser["bound_audiences"]) == ("oidc", None)
    config = await bare.read("config")
    assert config is not None
    assert (config["default_role"], config["namespace_in_state"]) == ("plain", False)


@pytest.mark.parametrize("key", [key for key in RECORDED if key != "config"])
async def test_what_is_stored_again_is_the_same(bare: JWTMount, key: str) -> None:
    """A write that changes nothing leaves every key of the record as the official plugin wrote it."""
    await put(bare, key, RECORDED[key])
    kinds = {name: RECORDED[key][name] for name in ("role_type", "bound_claims_type")}
    await bare.write(key, kinds)
    written = await stored(bare, key)
    for name, value in RECORDED[key].items():
        # A legacy copy that is empty is left out, and reads as empty.
        assert (
            written.get(name) == value
            or (name not in written and not value)
            or (not written[name] and not value)
        )
    assert written.keys() - RECORDED[key].keys() == MORE_KEYS


async def test_old_records(bare: JWTMount) -> None:
    """Of a time before types and token parameters: for JWTs, with the older names for the newer ones."""
    old = {"user_claim": "sub", "bound_subject": "ann", "ttl": 60_000_000_000, "policies": ["a"]}
    await put(
        bare,
        "role/old",
        old | {"token_type": "batch", "bound_cidrs": ["10.0.0.0/8"], "no_field_of_ours": "x"},
    )
    found = await bare.read("role/old")
    assert found is not None
    assert (found["role_type"], found["bound_claims_type"]) == ("jwt", "string")
    assert (found["token_ttl"], found["token_policies"], found["token_type"]) == (60, ["a"], "batch")
    assert (found["token_bound_cidrs"], found["ttl"]) == (["10.0.0.0/8"], 60)


async def test_an_old_configuration(bare: JWTMount) -> None:
    """Of a time before pairs, providers and namespaces in states; the last is off then."""
    old = {"jwt_validation_pubkeys": RECORDED["config"]["jwt_validation_pubkeys"], "bound_issuer": "x"}
    await put(bare, "config", old | {"provider_config": None, "jwt_supported_algs": None})
    found = await bare.read("config")
    assert found is not None
    assert (found["namespace_in_state"], found["provider_config"], found["jwks_pairs"]) == (False, {}, [])
    await bare.write("config", old)
    kept = await bare.read("config")
    assert kept is not None
    assert kept["namespace_in_state"] is False


async def test_a_key_that_is_too_weak(bare: JWTMount) -> None:
    """A configuration whose key only the official plugin takes is shown, and verifies nobody."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
    await put(bare, "config", RECORDED["config"] | {"jwt_validation_pubkeys": [pem]})
    await bare.write_role()
    config = await bare.read("config")
    assert config is not None
    assert config["jwt_validation_pubkeys"] == [pem]
    with pytest.raises(Exception, match="error configuring token validator: RSA keys of less than 2048 bits"):
        await bare.login(role="dev", jwt="x")
    status = await bare.read("status")
    assert status is not None
    assert status["problem"].startswith("error configuring token validator: RSA keys")
