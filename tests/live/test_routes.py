"""Handlers of an author's own on a real server: answers in each form, and the special paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from livebed.client import Client, ServerError
from livebed.plugins import python_plugin
from livebed.server import Server

LAUNCHER = '''
from datetime import timedelta

from authkit import AuthMethod, Identity, Str, login, serve
from authkit.framework import Answer, Listing, Raw, Redirect, delete, list_, patch, read, write


class Forms(AuthMethod, name="forms", version="0.1.0"):
    """Answer in each form."""

    async def is_known(self, id: Str) -> bool:
        return id == "known"

    @login("login")
    async def log_in(self, name: Str) -> Identity:
        """Log in."""
        return Identity(name=name)

    @write("thing/{id}", exists=is_known)
    async def put(self, id: Str, text: Str = "") -> None:
        """Put a thing."""

    @read("thing/{id}")
    async def get(self, id: Str, verbose: Str = "") -> dict[str, str] | None:
        """Get a thing."""
        return {"id": id, "verbose": verbose} if id == "known" else None

    @patch("thing/{id}")
    async def change(self, id: Str, text: Str = "") -> Answer:
        """Change a thing."""
        return Answer({"text": text}, warnings=["changed"])

    @delete("thing/{id}")
    async def drop(self, id: Str) -> None:
        """Drop a thing."""

    @list_("thing")
    async def things(self, empty: Str = "") -> Listing:
        """List things."""
        return Listing([] if empty else ["known"], {"known": {"size": 1}})

    @read("raw")
    async def raw(self) -> Raw:
        """Answer with four letters, which are base64 as well."""
        return Raw("abcd", "text/plain", 201)

    @read("away", unauthenticated=True)
    async def away(self) -> Redirect:
        """Send somebody away."""
        return Redirect("https://elsewhere.test/x?y=z")

    @read("wrapped")
    async def wrapped(self) -> Answer:
        """Answer wrapped."""
        return Answer({"inside": "yes"}, wrap_ttl=timedelta(minutes=5))

    @read("error")
    async def error(self) -> dict[str, str]:
        """Answer with what looks like an error."""
        return {"error": "by accident"}

    @write("rotate/{id}", sudo=True)
    async def rotate(self, id: Str) -> Answer:
        """Rotate."""
        return Answer({"rotated": id})


serve(Forms)
'''
POLICY = 'path "auth/forms/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }'


@dataclass(frozen=True)
class Forms:
    """A mount of the plugin, seen by an operator and by somebody without `sudo`."""

    root: Client
    user: Client


@pytest.fixture(scope="module")
def forms(server: Server) -> Iterator[Forms]:
    """The plugin, enabled, and a token whose policy allows everything but `sudo`."""
    root = server.client
    python_plugin(server.plugin_directory, "forms", LAUNCHER, version="v0.1.0").register(root)
    root.write("sys/auth/forms", type="forms")
    root.call("PUT", "sys/policies/acl/forms", {"policy": POLICY})
    token = root.write("auth/token/create", policies=["forms"])["auth"]["client_token"]
    yield Forms(root, root.with_token(token))
    root.delete("sys/auth/forms")


def test_empty_answers(forms: Forms) -> None:
    """Nothing is "not found" for a read and a list, and "no content" for everything else."""
    statuses = {
        ("GET", "thing/unknown"): 404,
        ("GET", "thing/known"): 200,
        ("LIST", "thing?empty=1"): 404,
        ("LIST", "thing"): 200,
        ("POST", "thing/known"): 204,
        ("POST", "thing/new"): 204,
        ("DELETE", "thing/known"): 204,
        ("GET", "nowhere"): 404,
        ("GET", "login"): 405,
    }
    for (method, path), status in statuses.items():
        assert forms.user.raw(method, f"auth/forms/{path}").status_code == status, (method, path)
    # No policy but root's allows a HEAD (Vault 1.21).
    assert forms.root.raw("HEAD", "auth/forms/thing/known").status_code == 405


def test_data_and_warnings(forms: Forms) -> None:
    """Query and body reach the handler; lists tell more about their keys; unknown fields are warned of."""
    assert forms.user.read("auth/forms/thing/known", verbose="v") == {"id": "known", "verbose": "v"}
    listed = forms.user.call("LIST", "auth/forms/thing")["data"]
    assert listed == {"keys": ["known"], "key_info": {"known": {"size": 1}}}
    answer = forms.user.write("auth/forms/thing/new", id="other", odd=1)
    ignored, replaced = answer["warnings"]
    assert ignored == "Endpoint ignored these unrecognized parameters: [odd]"
    assert replaced.endswith(
        "replaced the value of these parameters with the values captured from the endpoint's path: [id]"
    )
    patched = forms.user.call(
        "PATCH",
        "auth/forms/thing/known",
        {"text": "new"},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert (patched["data"], patched["warnings"]) == ({"text": "new"}, ["changed"])


def test_answers_that_are_no_envelope(forms: Forms) -> None:
    """A raw body arrives byte by byte; a redirect needs no token here; a wrapped answer can be unwrapped."""
    raw = forms.user.raw("GET", "auth/forms/raw")
    assert (raw.status_code, raw.text, raw.headers["Content-Type"]) == (201, "abcd", "text/plain")
    away = forms.root.with_token("").raw("GET", "auth/forms/away", follow_redirects=False)
    assert (away.status_code, away.headers["Location"]) == (307, "https://elsewhere.test/x?y=z")
    wrapped = forms.user.call("GET", "auth/forms/wrapped")["wrap_info"]
    assert 0 < wrapped["ttl"] <= 300
    inside = forms.root.call("POST", "sys/wrapping/unwrap", {"token": wrapped["token"]})
    assert inside["data"] == {"inside": "yes"}
    assert forms.user.raw("GET", "auth/forms/error").status_code == 500


def test_special_paths(forms: Forms) -> None:
    """A path with sudo is closed to a policy without it, and open to root; the others need a token."""
    with pytest.raises(ServerError) as caught:
        forms.user.write("auth/forms/rotate/one")
    assert caught.value.status == 403
    assert forms.root.write("auth/forms/rotate/one")["data"] == {"rotated": "one"}
    assert forms.root.with_token("").raw("GET", "auth/forms/thing/known").status_code == 403
    document = forms.root.call("GET", "sys/internal/specs/openapi")["paths"]
    assert document["/auth/forms/rotate/{id}"]["x-vault-sudo"] is True
    assert document["/auth/forms/away"]["x-vault-unauthenticated"] is True
