"""An OpenID provider in the process of a test: it answers as a good one does, or as its test wishes."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qsl

import httpx
from canaries import canary
from oidc_factories import NOW, Clock, b64, jwk, jwks, make_token

from authkit.masking import Secret
from authkit.oidc import AuthorizationRequest, ClientAuthentication, DiscoveredKeys, OIDCClient

ISSUER = "https://issuer.example"
CLIENT = "client-1"
CODE = "a-code-of-the-provider"
ACCESS_TOKEN = canary("access-token")
REQUEST = AuthorizationRequest(
    redirect_uri="http://localhost:8250/oidc/callback",
    state="st_12345678901234567890",
    nonce="n_12345678901234567890",
    verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    created=NOW,
)


def half_hash(text, algorithm="sha256"):
    """What `at_hash` and `c_hash` hold."""
    digest = hashlib.new(algorithm, text.encode()).digest()
    return b64(digest[: len(digest) // 2])


class FakeProvider:
    """A provider. Change its attributes to make it a bad one."""

    def __init__(self, *entries):
        self.keys = list(entries or [jwk("rsa", kid="one")])
        self.metadata = {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/keys",
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "device_authorization_endpoint": f"{ISSUER}/device",
        }
        self.claims = {
            "iss": ISSUER,
            "sub": "ann",
            "aud": CLIENT,
            "exp": NOW + 300,
            "iat": NOW,
            "nonce": REQUEST.nonce,
            "at_hash": half_hash(ACCESS_TOKEN),
        }
        self.signed = {"kid": "one"}
        self.tokens = {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600}
        self.userinfo = {"sub": "ann", "groups": ["red"]}
        self.answers = {}
        self.requests = []

    @property
    def id_token(self):
        """A new ID token."""
        return make_token(self.claims, **self.signed)

    def forms(self, path="/token"):
        """The forms that this endpoint has got."""
        return [
            dict(parse_qsl(request.content.decode(), strict_parsing=True))
            for request in self.requests
            if request.url.path == path
        ]

    def count(self, path):
        """How often this path was asked for."""
        return sum(request.url.path == path for request in self.requests)

    def client(self, authentication=None, **options):
        """A client at this provider, with a clock that stands still."""
        keys = DiscoveredKeys(ISSUER, timer=Clock(), transport=httpx.MockTransport(self._answer))
        how = authentication or ClientAuthentication.by_secret(Secret("the secret of the client"))
        return OIDCClient(
            keys, **{"client_id": CLIENT, "authentication": how, "now": lambda: NOW + 1} | options
        )

    async def _answer(self, request):
        self.requests.append(request)
        path = request.url.path
        answer = self.answers.get(path)
        if callable(answer):
            return await answer(request)
        if answer is not None:
            status, body, *kind = answer
            return httpx.Response(
                status, content=body, headers={"content-type": kind[0] if kind else "text/html"}
            )
        return httpx.Response(200, content=self._document(path), headers={"content-type": "application/json"})

    def _document(self, path):
        if path == "/.well-known/openid-configuration":
            return json.dumps(self.metadata).encode()
        if path == "/keys":
            return jwks(*self.keys)
        if path == "/token":
            return json.dumps({**self.tokens, "id_token": self.id_token}).encode()
        return json.dumps(self.userinfo).encode()
