"""Access tokens for Google's APIs: a service account's, somebody's whom it acts for, or this machine's.

What is asked with them is left to `jwt_auth.providers.gsuite`. Facts: Google Identity, "Using
OAuth 2.0 for Server to Server Applications", "Application Default Credentials" and the IAM Service
Account Credentials API v1, as golang.org/x/oauth2/google follows them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from authkit import Value
from authkit.oidc import FetchError, HTTPSession, SigningKey, check_url

__all__ = ["AuthorizedUser", "ServiceAccount", "TokenSource", "find_default_credentials", "load_credentials"]

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
IAM_URL = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
METADATA_HOST = "metadata.google.internal"
"""Answers with a machine's credentials, in plain http: no proxy may lead there, nor does one with Google's
own client (cloud.google.com/go/compute/metadata)."""

METADATA_URL = f"http://{METADATA_HOST}/computeMetadata/v1/instance/service-accounts/default/token"
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

ASSERTION_LIFETIME = 600
"""Seconds. It is used at once."""

MAX_FILE_CHARACTERS = 64 * 1024

_FORM = "application/x-www-form-urlencoded"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccount(Value, frozen=True):
    """A service account with its key."""

    email: str
    """Set by Google."""
    key_id: str
    """Set by Google."""
    private_key: str
    """Set by Google: PEM."""
    token_url: str = TOKEN_URL
    """Set by Google: where an assertion is exchanged."""

    unshown: ClassVar = ("private_key",)

    async def fetch_token(self, session: HTTPSession, scopes: Sequence[str], subject: str, now: float) -> str:
        """Return an access token for `subject`, or for the account itself if that is empty.

        Raises:
            FetchError: Google gives none.
        """
        claims = _assertion_claims(self.email, self.token_url, scopes, subject, now)
        return await _exchange(session, self.token_url, self._load_key().sign(claims))

    def _load_key(self) -> SigningKey:
        try:
            key = SigningKey(self.private_key, kid=self.key_id)
        except ValueError as error:
            raise FetchError("the service account's key cannot be used") from error
        if key.algorithm != "RS256":
            raise FetchError("the service account's key is no RSA key")
        return key


class AuthorizedUser(Value, frozen=True):
    """Somebody who logged in with gcloud on this machine."""

    client_id: str
    """Set by gcloud."""
    client_secret: str
    """Set by gcloud."""
    refresh_token: str
    """Set by gcloud."""

    unshown: ClassVar = ("client_secret", "refresh_token")

    async def fetch_token(self, session: HTTPSession, scopes: Sequence[str], subject: str, now: float) -> str:
        """Return an access token of this user; nobody else's can be had. Raises what the others raise."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
        }
        answer = await session.post(TOKEN_URL, urlencode(form).encode(), _FORM)
        return _read_token(answer.content, "access_token")


class MachineAccount:
    """The service account of the machine in Google's cloud that the process runs on."""

    async def fetch_token(self, session: HTTPSession, scopes: Sequence[str], subject: str, now: float) -> str:
        """Return an access token of that account; nobody else's can be had. Raises what the others raise."""
        url = f"{METADATA_URL}?{urlencode({'scopes': ','.join(scopes)})}"
        answer = await session.get(url, headers={"Metadata-Flavor": "Google"})
        return _read_token(answer.content, "access_token")


class Impersonation:
    """A service account that this machine's credentials may sign for."""

    def __init__(self, principal: str, source: TokenSource) -> None:
        self._principal = principal
        self._source = source

    async def fetch_token(self, session: HTTPSession, scopes: Sequence[str], subject: str, now: float) -> str:
        """Return an access token for `subject`, by an assertion that Google signs for the principal.

        Raises:
            FetchError: Google gives none.
        """
        own = await self._source.fetch_token(session, [CLOUD_SCOPE], "", now)
        claims = _assertion_claims(self._principal, TOKEN_URL, scopes, subject, now)
        url = f"{IAM_URL}/{quote(self._principal, safe='')}:signJwt"
        body = json.dumps({"payload": json.dumps(claims)}).encode()
        answer = await session.post(url, body, "application/json", authorization=f"Bearer {own}")
        return await _exchange(session, TOKEN_URL, _read_token(answer.content, "signedJwt"))


TokenSource = ServiceAccount | AuthorizedUser | MachineAccount | Impersonation


def load_credentials(text: str, open_file: Callable[[str], str] | None = None) -> TokenSource:
    """Return the credentials in a JSON text, or in the file of that name.

    Raises:
        ValueError: there are none; nothing of the text is repeated.
    """
    raw = text
    if not text.lstrip().startswith("{"):
        try:
            raw = (open_file or read_file)(text)
        except OSError:
            raise ValueError("neither JSON nor a file that can be read") from None
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("not valid JSON") from None
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    if content.get("type") == "authorized_user":
        return AuthorizedUser(*_get_texts(content, "client_id", "client_secret", "refresh_token"))
    if content.get("type") != "service_account":
        raise ValueError("its type is neither service_account nor authorized_user")
    email, private_key = _get_texts(content, "client_email", "private_key")
    token_url, key_id = content.get("token_uri", TOKEN_URL), content.get("private_key_id", "")
    if (
        not isinstance(token_url, str)
        or not isinstance(key_id, str)
        or check_url(token_url).scheme != "https"
    ):
        raise ValueError("its token_uri is not an https URL")
    return ServiceAccount(email, key_id, private_key, token_url)


def find_default_credentials(environment: Mapping[str, str] = os.environ) -> TokenSource:
    """Return the credentials of this machine: of the file that the environment or gcloud names, or its own.

    Raises:
        ValueError: a file is named that holds none.
    """
    named = environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        return load_credentials(read_file(named))
    home = environment.get("CLOUDSDK_CONFIG") or os.path.join(environment.get("HOME", ""), ".config/gcloud")
    path = os.path.join(home, "application_default_credentials.json")
    return load_credentials(read_file(path)) if os.path.isfile(path) else MachineAccount()


def read_file(path: str) -> str:
    """Return the text of a small file.

    Whoever writes a configuration names it, and the event loop waits for it. Opening a pipe, or reading a
    terminal such as `/dev/ptmx`, may never return: only a regular file is read.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        return file.read(MAX_FILE_CHARACTERS)


def _assertion_claims(
    issuer: str, audience: str, scopes: Sequence[str], subject: str, now: float
) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "scope": " ".join(scopes),
        "iat": int(now),
        "exp": int(now) + ASSERTION_LIFETIME,
    }
    return claims | ({"sub": subject} if subject else {})


async def _exchange(session: HTTPSession, url: str, assertion: str) -> str:
    form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
    return _read_token((await session.post(url, form, _FORM)).content, "access_token")


def _read_token(content: Any, name: str) -> str:
    token = content.get(name) if isinstance(content, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise FetchError(f"an answer without {name}")
    return token


def _get_texts(content: Mapping[str, Any], *names: str) -> list[str]:
    values = [content.get(name) for name in names]
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) != len(names):
        raise ValueError(f"it needs {', '.join(names)}")
    return texts
