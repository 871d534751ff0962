"""Access tokens for Google's APIs: a service account's, somebody's whom it acts for, or this machine's.

google-auth makes them. It is synchronous: it runs in a thread, and the session of the lookup makes its
requests, with its limits of time and size. Two parts are ours: which files are read, and where the account of
this machine is asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlencode

from google.auth import credentials, exceptions, impersonated_credentials, transport
from google.oauth2 import credentials as users
from google.oauth2 import service_account

from authkit import Value
from authkit.oidc import FetchError, HTTPSession, check_url

__all__ = ["METADATA_HOST", "TOKEN_URL", "GoogleAccount", "fetch_token", "find_default", "load_account"]

TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
CLOUD_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
METADATA_HOST: Final = "metadata.google.internal"
"""Answers with a machine's credentials, in plain http: no proxy may lead there, nor does one with Google's
own client (cloud.google.com/go/compute/metadata)."""

METADATA_URL: Final = f"http://{METADATA_HOST}/computeMetadata/v1/instance/service-accounts/default/token"

MAX_FILE_CHARACTERS: Final = 64 * 1024

_REQUIRED: Final = {
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
    "service_account": ("client_email", "private_key"),
}


class GoogleAccount(Value, frozen=True):
    """A service account with its key, or a user who logged in with gcloud."""

    info: Mapping[str, Any]
    """Set by Google: what the file of the credentials holds; nothing for the account of this machine."""

    unshown: ClassVar = ("info",)


MACHINE: Final = GoogleAccount({})


def load_account(text: str, open_file: Callable[[str], str] | None = None) -> GoogleAccount:
    """Return the account in a JSON text, or in the file of that name.

    Raises:
        ValueError: there is none; nothing of the text is repeated.
    """
    raw = text
    if not text.lstrip().startswith("{"):
        try:
            raw = (open_file or read_file)(text)
        except (OSError, ValueError):
            # Without the cause: that of bytes that are no UTF-8 repeats them.
            raise ValueError("neither JSON nor a file that can be read") from None
    try:
        info = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("not valid JSON") from None
    if not isinstance(info, dict):
        raise ValueError("not a JSON object")
    required = _REQUIRED.get(str(info.get("type")))
    if required is None:
        raise ValueError("its type is neither service_account nor authorized_user")
    if not all(isinstance(info.get(name), str) and info[name] for name in required):
        raise ValueError(f"it needs {', '.join(required)}")
    token_url = info.setdefault("token_uri", TOKEN_URL)
    is_text = isinstance(token_url, str) and isinstance(info.get("private_key_id", ""), str)
    if not is_text or check_url(token_url).scheme != "https":
        raise ValueError("its token_uri is not an https URL")
    return GoogleAccount(info)


def find_default(environment: Mapping[str, str] = os.environ) -> GoogleAccount:
    """Return the account in the file that the environment or gcloud names, else that of this machine.

    Raises:
        OSError, ValueError: a file is named that holds none.
    """
    named = environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        return load_account(read_file(named))
    home = environment.get("CLOUDSDK_CONFIG") or os.path.join(environment.get("HOME", ""), ".config/gcloud")
    path = os.path.join(home, "application_default_credentials.json")
    return load_account(read_file(path)) if os.path.isfile(path) else MACHINE


def read_file(path: str) -> str:
    """Return the text of a small regular file.

    A pipe or a terminal such as `/dev/ptmx` might block for ever, and operators may name any path.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        return file.read(MAX_FILE_CHARACTERS)


def fetch_token(
    account: GoogleAccount,
    principal: str,
    subject: str,
    scopes: Sequence[str],
    session: HTTPSession,
    loop: asyncio.AbstractEventLoop,
) -> str:
    """Return an access token. It blocks: call it in a thread; `loop` is that of the session.

    Args:
        principal: the service account that the account signs for; empty for the account itself.
        subject: whom the token is for. Users and machines have tokens for themselves only.

    Raises:
        FetchError: Google gives none, or the account's key cannot be used.
    """
    try:
        if principal:
            source = _make_credentials(account, [CLOUD_SCOPE], "")
            options = {"target_scopes": list(scopes), "subject": subject or None}
            # google-auth puts it into a path as it is; quoting leaves the address of an account alone.
            made = impersonated_credentials.Credentials(source, quote(principal, safe="@"), **options)
        else:
            made = _make_credentials(account, scopes, subject)
        made.refresh(_Request(session, loop))
    except (exceptions.GoogleAuthError, ArithmeticError, LookupError, TypeError, ValueError):
        # Of several kinds where a lifetime is no number. Without the cause: it repeats the answer.
        raise FetchError("an answer without access_token") from None
    token = made.token
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise FetchError("an answer without access_token")
    return token


def _make_credentials(account: GoogleAccount, scopes: Sequence[str], subject: str) -> Any:
    if not account.info:
        return _Machine(scopes)
    if account.info["type"] == "authorized_user":
        names = _REQUIRED["authorized_user"]
        return users.Credentials(None, token_uri=TOKEN_URL, **{name: account.info[name] for name in names})
    try:
        made = service_account.Credentials.from_service_account_info(
            account.info, scopes=list(scopes), subject=subject or None
        )
        made.sign_bytes(b"")
    except (ValueError, TypeError):
        raise FetchError("the service account's key cannot be used") from None
    return made


class _Machine(credentials.Credentials):
    """The account of this machine. google-auth's own would take the address from the environment."""

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__()
        self._scopes = scopes

    def refresh(self, request: Callable[..., Any]) -> None:
        """Ask the machine."""
        url = f"{METADATA_URL}?{urlencode({'scopes': ','.join(self._scopes)})}"
        self.token = json.loads(request(url, headers={"Metadata-Flavor": "Google"}).data).get("access_token")


class _Request(transport.Request):
    """What google-auth asks with. An answer with another status than 200 is a `FetchError`."""

    def __init__(self, session: HTTPSession, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> _Response:
        """Return the answer."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        kind, authorization = given.pop("content-type", "application/json"), given.pop("authorization", "")
        if method == "GET":
            asked = self._session.get(url, headers=given)
        else:
            asked = self._session.post(url, body or b"", kind, authorization=authorization)
        answer = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        if not isinstance(answer.content, dict):
            raise FetchError("an answer without access_token")
        return _Response(json.dumps(answer.content).encode())


class _Response(Value, frozen=True):
    """An answer with status 200."""

    data: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
