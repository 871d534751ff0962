"""An OpenID provider on a loopback HTTP server that logs anybody in at once, and does wrong what tests wish.

Without faults it is a good provider of code flow, implicit flow, device flow, refresh and userinfo, strict
about its codes: a wrong verifier, redirect URI or secret and a code's second use are refused. Pages to click
through are left to a real provider (tests/live/provider).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from canaries import canary
from cryptography.hazmat.primitives.asymmetric import rsa
from identity_provider import DISCOVERY, Answer, Asked, Provider

__all__ = ["EVIL_TEXT", "Fault", "FaultyProvider"]

EVIL_TEXT = "<script>alert(document.domain)</script>"
EVIL_ISSUER = "https://evil.example"
SLOW_SECONDS = 120.0
"""Longer than anybody waits; the answer comes at once when the provider stops."""
LIFETIME_SECONDS = 600
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = {
    "authorization_code": ("code", "code-"),
    "refresh_token": ("refresh_token", "refresh-"),
    DEVICE_GRANT: ("device_code", "device-"),
}
"""In which field of the form each of them has its code, and how these codes begin."""


class Fault(StrEnum):
    """What the provider does wrong, in the order of a login."""

    HALF_WRITTEN = auto()
    """Every answer ends in its middle."""
    DISCOVERY_ISSUER = auto()
    """Its metadata has the issuer of somebody else."""
    AUTHORIZATION_DENIED = auto()
    """It sends people back with `access_denied`."""
    AUTHORIZATION_HTML = auto()
    """It sends people back with `server_error` and HTML in `error_description`."""
    AUTHORIZATION_STATE = auto()
    """It sends people back with a state that is not theirs."""
    AUTHORIZATION_ISSUER = auto()
    """It sends people back with the issuer of somebody else (RFC 9207)."""
    TOKEN_INVALID_GRANT = auto()
    TOKEN_INVALID_CLIENT = auto()
    TOKEN_HTML_DESCRIPTION = auto()
    """An OAuth error with HTML in `error_description`."""
    TOKEN_HTML = auto()
    """Status 200 and a page in place of tokens."""
    TOKEN_SERVER_ERROR = auto()
    """Status 503 and a page."""
    TOKEN_SLOW = auto()
    """No answer in two minutes."""
    TOKEN_HUGE = auto()
    """An answer of 16 MiB."""
    NO_ACCESS_TOKEN = auto()
    NO_ID_TOKEN = auto()
    NO_REFRESH_TOKEN = auto()
    ISS = auto()
    AUD = auto()
    """The ID token is for another client."""
    AUD_SEVERAL = auto()
    """The ID token is for this client and another one, without `azp`."""
    AZP = auto()
    """The ID token was made for another client."""
    NONCE = auto()
    NO_NONCE = auto()
    AT_HASH = auto()
    EXPIRED = auto()
    NO_SUB = auto()
    ALG_NONE = auto()
    NO_KID = auto()
    """Several keys are published, and the ID token does not say which of them signed it."""
    UNKNOWN_KID = auto()
    SIGNATURE = auto()
    """The ID token says a published key's id, and was signed with another one."""
    USERINFO_SUB = auto()
    """Userinfo is somebody else's."""
    USERINFO_NO_SUB = auto()
    USERINFO_ERROR = auto()
    """Status 500."""
    USERINFO_REFUSED = auto()
    """Status 401."""
    USERINFO_HTML = auto()
    """Status 200 and a page."""
    DEVICE_SLOW_DOWN = auto()
    """Every poll of a device is too early for it."""
    DEVICE_DENIED = auto()
    """Somebody has said no to the device."""


@cache
def signing_key(name: str) -> rsa.RSAPrivateKey:
    """Return the key of that name; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(name: str) -> dict[str, Any]:
    """Return the public half of a key as an entry of a key set."""
    described = jwt.get_algorithm_by_name("RS256").to_jwk(signing_key(name).public_key(), as_dict=True)
    return {**described, "kid": name, "alg": "RS256", "use": "sig"}


@dataclass
class FaultyProvider(Provider):
    """Serve it with `identity_provider.serve`; everything may be changed while it runs."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk("one")])
    client_id: str = "client-1"
    client_secret: str = field(default_factory=lambda: canary(secrets.token_urlsafe(8)), repr=False)
    """Empty for a client that has PKCE alone."""
    client_methods: tuple[str, ...] = ("client_secret_basic",)
    """How the client may show who it is, and what the metadata say about it."""
    faults: set[Fault] = field(default_factory=set)
    announces_issuer: bool = False
    """Whether it says that it sends people back with its issuer, and does so (RFC 9207)."""
    sub: str = "ann"
    """Who logs in."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Further claims of the ID token."""
    userinfo: dict[str, Any] = field(
        default_factory=lambda: {"email": "ann@example.com", "groups": ["dev", "ops"]}
    )
    """What the userinfo endpoint says beside `sub`."""
    forms: list[dict[str, str]] = field(default_factory=list)
    """Every form that the token endpoint has got."""
    reused: list[str] = field(default_factory=list)
    """The codes that came more than once: to which `invalid_grant` was the answer."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """What each code, refresh token or device code stands for: the parameters with which the login began."""
    used: set[str] = field(default_factory=set, repr=False)
    access_tokens: set[str] = field(default_factory=set, repr=False)
    approved: set[str] = field(default_factory=set, repr=False)
    """Device codes that somebody has confirmed."""
    now: Callable[[], float] = time.time
    """Its clock: seconds since 1970."""

    # --- the part of the person ------------------------------------------------------------------

    def log_in(self, url: str) -> dict[str, str]:
        """Open the URL of a login and consent; return the parameters with which somebody is sent back."""
        asked = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        state = "a state of somebody else" if Fault.AUTHORIZATION_STATE in self.faults else asked["state"]
        if Fault.AUTHORIZATION_DENIED in self.faults:
            return {"error": "access_denied", "state": state}
        if Fault.AUTHORIZATION_HTML in self.faults:
            return {"error": "server_error", "error_description": EVIL_TEXT, "state": state}
        if asked["response_type"] == "id_token":
            return {"id_token": self.id_token(asked), "state": state}
        back = {"code": self.remember("code-", asked), "state": state}
        if Fault.AUTHORIZATION_ISSUER in self.faults:
            return back | {"iss": EVIL_ISSUER}
        return back | ({"iss": self.url} if self.announces_issuer else {})

    def approve_devices(self) -> None:
        """Confirm every device that asks at present."""
        self.approved.update(code for code in self.codes if code.startswith("device-"))

    def remember(self, prefix: str, what: dict[str, str]) -> str:
        """Return a new code that begins like this."""
        code = f"{prefix}{secrets.token_urlsafe()}"
        self.codes[code] = what
        return code

    # --- the endpoints ---------------------------------------------------------------------------

    def delay(self, asked: Asked) -> float:
        """Return how many seconds the answer takes."""
        if asked.path == "/token" and Fault.TOKEN_SLOW in self.faults:
            return SLOW_SECONDS
        return super().delay(asked)

    def respond(self, asked: Asked) -> Answer:
        """Return the answer to a request."""
        endpoints = {
            DISCOVERY: self.metadata,
            "/keys": self.key_set,
            "/authorize": self.authorize,
            "/token": self.token,
            "/userinfo": self.tell_user,
            "/device": self.device,
        }
        endpoint = endpoints.get(asked.path)
        if endpoint is None or asked.target in self.answers:
            answer = super().respond(asked)
        else:
            answer = endpoint(asked)
        return replace(answer, sent=len(answer.body) // 2) if Fault.HALF_WRITTEN in self.faults else answer

    def metadata(self, asked: Asked) -> Answer:
        """Return the discovery document."""
        issuer = EVIL_ISSUER if Fault.DISCOVERY_ISSUER in self.faults else self.url
        return as_json(
            self.document(issuer)
            | {
                "userinfo_endpoint": f"{self.url}/userinfo",
                "device_authorization_endpoint": f"{self.url}/device",
                "response_types_supported": ["code", "id_token"],
                "response_modes_supported": ["query", "form_post"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": list(self.client_methods),
                "authorization_response_iss_parameter_supported": self.announces_issuer,
            }
        )

    def key_set(self, asked: Asked) -> Answer:
        """Return the public keys."""
        several = [public_jwk("two")] if Fault.NO_KID in self.faults else []
        return as_json({"keys": self.keys + several})

    def authorize(self, asked: Asked) -> Answer:
        """Send a browser back at once, by query."""
        back = urlencode(self.log_in(asked.target))
        return Answer(302, headers={"Location": f"{asked.query['redirect_uri']}?{back}"})

    def device(self, asked: Asked) -> Answer:
        """Begin the login of a device (RFC 8628 section 3.2)."""
        if not self.is_client(asked):
            return error("invalid_client", 401)
        return as_json(
            {
                "device_code": self.remember("device-", {"scope": asked.form.get("scope", "")}),
                "user_code": "BCDF-GHJK",
                "verification_uri": f"{self.url}/verify",
                "verification_uri_complete": f"{self.url}/verify?user_code=BCDF-GHJK",
                "expires_in": LIFETIME_SECONDS,
                "interval": 1,
            }
        )

    def token(self, asked: Asked) -> Answer:
        """Exchange a code, a refresh token or a device code for tokens."""
        self.forms.append(asked.form)
        wrong = self.wrong_answer()
        if wrong is not None:
            return wrong
        if not self.is_client(asked):
            return error("invalid_client", 401)
        refusal = self.refuse(asked.form)
        if refusal:
            return error(refusal)
        code = given_code(asked.form)
        self.used.add(code)
        return as_json(self.tokens(self.codes[code]))

    def tell_user(self, asked: Asked) -> Answer:
        """Return userinfo for an access token."""
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.access_tokens or Fault.USERINFO_REFUSED in self.faults:
            return error("invalid_token", 401)
        if Fault.USERINFO_ERROR in self.faults:
            return Answer(500, "out of order")
        if Fault.USERINFO_HTML in self.faults:
            return page(200)
        sub = "mallory" if Fault.USERINFO_SUB in self.faults else self.sub
        return as_json(({} if Fault.USERINFO_NO_SUB in self.faults else {"sub": sub}) | self.userinfo)

    # --- what decides ----------------------------------------------------------------------------

    def wrong_answer(self) -> Answer | None:
        """Return what the token endpoint answers whatever it is asked, `None` when it behaves."""
        answers = {
            Fault.TOKEN_INVALID_GRANT: error("invalid_grant"),
            Fault.TOKEN_INVALID_CLIENT: error("invalid_client", 401),
            Fault.TOKEN_HTML_DESCRIPTION: error("invalid_request", description=EVIL_TEXT),
            Fault.TOKEN_HTML: page(200),
            Fault.TOKEN_SERVER_ERROR: page(503),
        }
        if Fault.TOKEN_HUGE in self.faults:
            return Answer(200, " " * (16 << 20))
        return next((answer for fault, answer in answers.items() if fault in self.faults), None)

    def is_client(self, asked: Asked) -> bool:
        """Whether the client shows who it is, in one of its ways."""
        form = asked.form
        if not self.client_secret:
            return form.get("client_id") == self.client_id
        basic = asked.headers.get("authorization", "")
        shown = []
        if basic and "client_secret_basic" in self.client_methods:
            shown = [unquote_plus(each) for each in decode(basic.removeprefix("Basic ")).split(":")]
        elif "client_secret_post" in self.client_methods:
            shown = [form.get("client_id", ""), form.get("client_secret", "")]
        return shown == [self.client_id, self.client_secret]

    def refuse(self, form: dict[str, str]) -> str:
        """Return the OAuth error of an exchange, empty when nothing is wrong with it."""
        grant, code = form.get("grant_type", ""), given_code(form)
        if grant not in GRANTS:
            return "unsupported_grant_type"
        if code in self.used:
            self.reused.append(code)
        if code in self.used or code not in self.codes or not code.startswith(GRANTS[grant][1]):
            return "invalid_grant"
        if grant == DEVICE_GRANT:
            return self.refuse_device(code)
        return "" if grant == "refresh_token" or is_proven(form, self.codes[code]) else "invalid_grant"

    def refuse_device(self, code: str) -> str:
        """Return the error of a device's poll (RFC 8628 section 3.5), empty when it may have its tokens."""
        if Fault.DEVICE_SLOW_DOWN in self.faults:
            return "slow_down"
        if Fault.DEVICE_DENIED in self.faults:
            return "access_denied"
        return "" if code in self.approved else "authorization_pending"

    # --- the tokens ------------------------------------------------------------------------------

    def tokens(self, began: dict[str, str]) -> dict[str, Any]:
        """Return what the token endpoint answers when all is well."""
        access = f"access-{secrets.token_urlsafe()}"
        self.access_tokens.add(access)
        made: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "id_token": self.id_token(began, access),
            "refresh_token": self.remember("refresh-", began),
        }
        left_out = {
            Fault.NO_ACCESS_TOKEN: "access_token",
            Fault.NO_ID_TOKEN: "id_token",
            Fault.NO_REFRESH_TOKEN: "refresh_token",
        }
        for fault, name in left_out.items():
            if fault in self.faults:
                del made[name]
        return made

    def id_token(self, began: dict[str, str], access_token: str = "") -> str:
        """Return an ID token for a login that began with these parameters."""
        now = int(self.now())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": self.sub,
            "aud": self.client_id,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "auth_time": now,
        }
        if "nonce" in began:
            claims["nonce"] = began["nonce"]
        if access_token:
            claims["at_hash"] = half_hash(access_token)
        return self.sign(self.spoil(claims | self.claims))

    def spoil(self, claims: dict[str, Any]) -> dict[str, Any]:
        """Return the claims with the faults that are on."""
        wrong: dict[Fault, dict[str, Any]] = {
            Fault.ISS: {"iss": EVIL_ISSUER},
            Fault.AUD: {"aud": "another-client"},
            Fault.AUD_SEVERAL: {"aud": [self.client_id, "another-client"]},
            Fault.AZP: {"azp": "another-client"},
            Fault.NONCE: {"nonce": "a nonce of somebody else"},
            Fault.NO_NONCE: {"nonce": None},
            Fault.AT_HASH: {"at_hash": half_hash("another access token")},
            Fault.EXPIRED: {"exp": int(self.now()) - LIFETIME_SECONDS},
            Fault.NO_SUB: {"sub": None},
        }
        for fault in self.faults & wrong.keys():
            claims = claims | wrong[fault]
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any]) -> str:
        """Sign, or do not sign, with the faults that are on."""
        if Fault.ALG_NONE in self.faults:
            return jwt.encode(claims, "", algorithm="none")
        kid = "nobody" if Fault.UNKNOWN_KID in self.faults else "one"
        key = signing_key("a stranger" if Fault.SIGNATURE in self.faults else "one")
        headers = {} if Fault.NO_KID in self.faults else {"kid": kid}
        return jwt.encode(claims, key, algorithm="RS256", headers=headers)


def given_code(form: dict[str, str]) -> str:
    """Return what a form wants to exchange."""
    name, _ = GRANTS.get(form.get("grant_type", ""), ("", ""))
    return form.get(name, "")


def is_proven(form: dict[str, str], began: dict[str, str]) -> bool:
    """Whether verifier and redirect URI are those with which a login began."""
    proven = challenge_of(form.get("code_verifier", "")) == began.get("code_challenge", "")
    return proven and form.get("redirect_uri") == began["redirect_uri"]


def as_json(value: dict[str, Any]) -> Answer:
    """Answer with JSON."""
    return Answer(200, json.dumps(value))


def error(code: str, status: int = 400, *, description: str = "no luck") -> Answer:
    """Answer with an OAuth error (RFC 6749 section 5.2)."""
    return Answer(status, json.dumps({"error": code, "error_description": description}))


def page(status: int) -> Answer:
    """Answer with a page for people."""
    return Answer(status, f"<html><body>{EVIL_TEXT}</body></html>", {"Content-Type": "text/html"})


def half_hash(text: str) -> str:
    """Return the `at_hash` of a token for RS256 (OpenID Connect Core 1.0 section 3.1.3.6)."""
    return encode(hashlib.sha256(text.encode()).digest()[:16])


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return encode(hashlib.sha256(verifier.encode()).digest())


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> str:
    """Return the text in base64, empty when it is none."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
