"""Logins at a provider, from the authorization URL to the claims."""

from __future__ import annotations

from oidc_login_provider import ACCESS_TOKEN, CODE, REQUEST, FakeProvider, half_hash


async def test_a_code_becomes_claims():
    """A code is exchanged, its ID token verified, and userinfo added."""
    provider = FakeProvider()
    provider.claims["c_hash"] = half_hash(CODE)
    client = provider.client()
    tokens = await client.exchange(CODE, REQUEST)
    claims = await client.verify_id_token(
        tokens.id_token, REQUEST, access_token=tokens.access_token, code=CODE
    )
    claims = await client.add_userinfo(tokens.access_token, claims)
    await client.close()
    assert (claims["sub"], claims["groups"]) == ("ann", ["red"])
    assert (tokens.access_token.reveal(), tokens.expires_in, tokens.refresh_token) == (
        ACCESS_TOKEN,
        3600,
        None,
    )
    assert provider.forms() == [
        {
            "grant_type": "authorization_code",
            "code": CODE,
            "redirect_uri": REQUEST.redirect_uri,
            "code_verifier": REQUEST.verifier,
        }
    ]
