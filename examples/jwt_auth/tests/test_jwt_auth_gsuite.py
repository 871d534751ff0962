"""Google Workspace: groups and custom fields against a local fake of Google's APIs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from jwt_auth.providers.registry import make_provider
from oidc_factories import private_key, private_pem
from oidc_provider import http_answer, serve

from authkit.errors import LoginError
from authkit.oidc import Lookup

pytest.importorskip("google.auth", reason="install google-auth, the extra 'gsuite' of the example")
from jwt_auth.providers.google import MACHINE, GoogleAccount, find_default, load_account
from jwt_auth.providers.gsuite import MAX_REQUESTS, SCOPES, GSuiteProvider

ACCOUNT = {
    "type": "service_account",
    "client_email": "robot@project.example",
    "private_key_id": "key-1",
    "private_key": private_pem("rsa"),
    "token_uri": "https://oauth2.googleapis.com/token",
}
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
CLAIMS = {"email": "ann@acme.example", "groups": ["from-token"]}


class Google:
    """The token endpoint, the Directory API and the rest that a provider asks."""

    def __init__(self):
        self.groups = {"ann@acme.example": ["a@acme.example", "b@acme.example", "c@acme.example"]}
        self.users = {}
        self.asked = []
        self.assertions = []
        self.status = 200
        self.page = None

    def answer(self, request):
        url = request.url
        self.asked.append(f"{url.host}{url.path}")
        if self.status != 200 and "admin" in url.host:
            return httpx.Response(self.status, text="sesame")
        if url.host == "oauth2.googleapis.com":
            return self.give_token(parse_qs(request.content.decode()))
        if url.host == "metadata.google.internal":
            assert request.headers["metadata-flavor"] == "Google"
            return httpx.Response(200, json={"access_token": "machine"})
        if url.host == "iamcredentials.googleapis.com":
            assert request.headers["authorization"] == "Bearer machine"
            payload = json.loads(json.loads(request.content)["payload"])
            return httpx.Response(200, json={"signedJwt": jwt.encode(payload, private_key("rsa"), "RS256")})
        assert request.headers["authorization"] == "Bearer granted"
        if "/users/" in url.path:
            assert url.params["projection"] == "custom"
            return httpx.Response(200, json=self.users[url.path.rpartition("/")[2]])
        return self.give_groups(url.params)

    def give_token(self, form):
        if form["grant_type"] == ["refresh_token"]:
            assert form["refresh_token"] == ["r"]
        else:
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
            public = private_key("rsa").public_key()
            self.assertions.append(jwt.decode(form["assertion"][0], public, ["RS256"], options=options))
        return httpx.Response(200, json={"access_token": "granted", "expires_in": 3599})

    def give_groups(self, params):
        if self.page is not None:
            return httpx.Response(200, json=self.page)
        groups, start = self.groups.get(params["userKey"], []), int(params.get("pageToken", 0))
        page = {"groups": [{"email": email} for email in groups[start : start + 2]]}
        if len(groups) > start + 2:
            page["nextPageToken"] = str(start + 2)
        return httpx.Response(200, json=page if groups else {})

    def provider(self, account=ACCOUNT, find_machine=find_default, **settings):
        settings = {
            "gsuite_service_account": json.dumps(account) if isinstance(account, dict) else account,
            "gsuite_admin_impersonate": "admin@acme.example",
            "fetch_groups": True,
            **settings,
        }
        return GSuiteProvider(
            settings,
            transport=httpx.MockTransport(self.answer),
            find_machine=find_machine,
        )


def lookup(claims=CLAIMS, user_claim="email"):
    """A user whose groups are asked for."""
    return Lookup(claims, user_claim=user_claim, groups_claim="groups")


# --- groups ------------------------------------------------------------------------------------


async def test_the_groups_of_a_user_are_fetched():
    """All pages, in Google's order, in the name of the administrator."""
    google = Google()
    assert await google.provider().fetch_groups(lookup()) == [
        "a@acme.example",
        "b@acme.example",
        "c@acme.example",
    ]
    assert (
        google.asked
        == ["oauth2.googleapis.com/token"] + ["admin.googleapis.com/admin/directory/v1/groups"] * 2
    )
    (assertion,) = google.assertions
    begins, ends = assertion.pop("iat"), assertion.pop("exp")
    assert abs(begins - time.time()) < 60
    assert ends - begins <= 3600
    assert assertion == {
        "iss": "robot@project.example",
        "sub": "admin@acme.example",
        "aud": "https://oauth2.googleapis.com/token",
        "scope": " ".join(SCOPES),
    }


@pytest.mark.parametrize(
    ("depth", "found"),
    [
        (0, ["a", "b"]),
        (1, ["a", "b", "c"]),
        (2, ["a", "b", "c", "d"]),
        (9, ["a", "b", "c", "d"]),
        (9.0, ["a", "b", "c", "d"]),
    ],
)
async def test_groups_of_groups_are_followed_as_deep_as_asked(depth, found):
    """Each once, circles too."""
    google = Google()
    google.groups = {"ann@acme.example": ["a", "b"], "a": ["b", "c"], "b": ["a"], "c": ["d"], "d": ["a", "d"]}
    assert await google.provider(groups_recurse_max_depth=depth).fetch_groups(lookup()) == found
    assert len(google.asked) <= 7


async def test_a_domain_is_passed_on():
    """Only when one is set."""
    google, asked = Google(), []
    google.give_groups = lambda params: asked.append(dict(params)) or httpx.Response(200, json={})
    await google.provider().fetch_groups(lookup())
    await google.provider(domain="acme.example").fetch_groups(lookup())
    assert [params.get("domain") for params in asked] == [None, "acme.example"]
    assert {params["userKey"] for params in asked} == {"ann@acme.example"}


async def test_without_asking_the_tokens_groups_stay():
    """They are not destroyed, and nobody is asked."""
    google = Google()
    provider = google.provider(fetch_groups=False)
    assert await provider.fetch_groups(lookup()) == ["from-token"]
    assert await provider.fetch_groups(lookup({})) is None
    assert google.asked == []


async def test_pages_without_end_are_given_up():
    """A login is not kept for ever."""
    google = Google()
    google.page = {"groups": [], "nextPageToken": "again"}
    with pytest.raises(LoginError, match=f"more than {MAX_REQUESTS} pages"):
        await google.provider().fetch_groups(lookup())


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({}, 'unable to locate "/email" in claims'),
        ({"email": 5}, 'claim "/email" could not be converted to string'),
    ],
)
async def test_a_user_is_needed(claims, text):
    """The user claim is a pointer if it looks like one."""
    with pytest.raises(LoginError) as caught:
        await Google().provider().fetch_groups(lookup(claims, "/email"))
    assert caught.value.public == text


async def test_what_google_sends_with_an_error_is_for_the_log():
    """The caller reads the status."""
    google = Google()
    google.status = 403
    with pytest.raises(LoginError) as caught:
        await google.provider().fetch_groups(lookup())
    assert caught.value.public == "unable to fetch groups from the Directory API: 403 Forbidden"
    assert caught.value.detail == "sesame"
    provider = google.provider(fetch_user_info=True, user_custom_schemas="a")
    with pytest.raises(LoginError, match="unable to fetch user info from the Directory API: 403 Forbidden"):
        await provider.fetch_user_info(lookup())


@pytest.mark.parametrize(
    "account", [ACCOUNT, USER | {"client_secret": "sesame/1", "refresh_token": "sesame 2"}]
)
async def test_what_google_repeats_of_a_request_shows_no_secret(account):
    """An endpoint may send back the form that it refuses: neither a log nor `explain` shows what is in it."""
    sent = []

    def repeat(request):
        sent.append(request.content.decode())
        return httpx.Response(400, text=f"refused: {sent[-1]} or {parse_qs(sent[-1])}")

    google = Google()
    google.answer = repeat
    with pytest.raises(LoginError) as caught:
        await google.provider(account).fetch_groups(lookup())
    assert caught.value.detail.startswith("refused: ")
    assert sent
    for name, (value,) in parse_qs(sent[0]).items():
        assert (value not in caught.value.detail) == (name in {"assertion", "client_secret", "refresh_token"})
    assert "sesame" not in caught.value.detail


@pytest.mark.parametrize("page", [[], "x", {"groups": 5}, {"nextPageToken": 5}])
async def test_an_answer_that_is_no_page_is_a_failure(page):
    """Not a user without groups."""
    google = Google()
    google.page = page
    with pytest.raises(LoginError, match="no page of groups"):
        await google.provider().fetch_groups(lookup())


async def test_entries_without_an_address_are_skipped():
    """Whatever is in a page."""
    google = Google()
    google.page = {"groups": [{}, 5, {"email": 5}, {"email": ""}, {"email": "a"}]}
    assert await google.provider().fetch_groups(lookup()) == ["a"]


# --- custom fields -----------------------------------------------------------------------------


async def test_custom_fields_become_claims_by_schema():
    """For the schemas that were asked for."""
    google = Google()
    google.users = {"ann@acme.example": {"customSchemas": {"work": {"team": "red"}}}}
    provider = google.provider(fetch_user_info=True, user_custom_schemas="work,home")
    assert await provider.fetch_user_info(lookup()) == {"work": {"team": "red"}}


@pytest.mark.parametrize("user", [{}, {"customSchemas": 5}, [], "x"])
async def test_a_user_without_custom_fields_adds_nothing(user):
    """Which is no failure."""
    google = Google()
    google.users = {"ann@acme.example": user}
    provider = google.provider(fetch_user_info=True, user_custom_schemas="work")
    assert await provider.fetch_user_info(lookup()) == {}


@pytest.mark.parametrize("settings", [{}, {"user_custom_schemas": "a"}, {"fetch_user_info": True}])
async def test_custom_fields_are_fetched_only_when_asked_for(settings, caplog):
    """Both the switch and the schemas are needed; schemas alone look like a mistake."""
    google = Google()
    assert await google.provider(**settings).fetch_user_info(lookup()) == {}
    assert google.asked == []
    assert ("fetch_user_info is not" in caplog.text) == ("user_custom_schemas" in settings)


# --- credentials -------------------------------------------------------------------------------


async def test_a_key_file_is_read_each_time(tmp_path):
    """An operator replaces it without a write."""
    google, path = Google(), tmp_path / "key.json"
    path.write_text(json.dumps(ACCOUNT))
    provider = google.provider(str(path))
    await provider.fetch_groups(lookup())
    path.write_text(json.dumps(ACCOUNT | {"client_email": "other@project.example"}))
    await provider.fetch_groups(lookup())
    assert [claims["iss"] for claims in google.assertions] == [
        "robot@project.example",
        "other@project.example",
    ]
    path.unlink()
    with pytest.raises(LoginError, match="error parsing service account JSON: neither JSON nor a file"):
        await provider.fetch_groups(lookup())


async def test_a_token_serves_several_lookups():
    """Also such as come at the same moment; another account has another token."""
    google = Google()
    provider = google.provider(fetch_user_info=True, user_custom_schemas="x")
    google.users["ann@acme.example"] = {}
    lookups = [provider.fetch_groups(lookup()) for _ in range(5)]
    await asyncio.gather(*lookups, provider.fetch_user_info(lookup()))
    assert google.asked.count("oauth2.googleapis.com/token") == 1


async def test_a_principal_is_impersonated_with_the_machines_credentials():
    """Google signs for it; the subject is the administrator."""
    google = Google()
    provider = google.provider("", lambda: MACHINE, impersonate_principal="robot@project.example")
    assert await provider.fetch_groups(lookup())
    assert google.asked[:3] == [
        "metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
        "iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/robot@project.example:signJwt",
        "oauth2.googleapis.com/token",
    ]
    assert google.assertions[0]["sub"] == "admin@acme.example"


async def test_without_anything_else_the_machines_own_credentials_are_used():
    """Somebody's who logged in there, for one."""
    google = Google()
    provider = google.provider("", lambda: GoogleAccount(USER))
    assert await provider.fetch_groups(lookup())


@pytest.mark.parametrize("error", [ValueError("sesame"), FileNotFoundError("sesame")])
async def test_a_machine_without_credentials_is_a_failure(error):
    """Of the lookup, not of the configuration's read."""

    def find():
        raise error

    provider = Google().provider("", find)
    with pytest.raises(LoginError, match="failed to find application default credentials") as caught:
        await provider.fetch_groups(lookup())
    assert "sesame" not in caught.value.public + caught.value.detail


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/no/such/file/sesame", "neither JSON nor a file that can be read"),
        ("{sesame", "not valid JSON"),
        ('{"type": "sesame"}', "its type is neither"),
        ('{"type": "service_account"}', "it needs client_email, private_key"),
        ('{"type": "authorized_user", "client_id": 5}', "it needs client_id, client_secret, refresh_token"),
        (json.dumps(ACCOUNT | {"token_uri": "http://sesame.example"}), "its token_uri is not an https URL"),
        (json.dumps(ACCOUNT | {"token_uri": 5}), "its token_uri is not an https URL"),
        (json.dumps(ACCOUNT | {"token_uri": "https://"}), "the URL is not of the form"),
        (json.dumps(ACCOUNT | {"private_key_id": 5}), "its token_uri is not an https URL"),
        ("{" + "[" * 100_000, "not valid JSON"),
    ],
)
def test_other_credentials_are_refused_when_they_are_written(text, reason):
    """Nothing of them is repeated: the file may be any."""
    with pytest.raises(ValueError, match=r"^error parsing service account JSON: ") as caught:
        Google().provider(text)
    assert reason in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_json_list_is_no_credentials():
    """Not even in a file."""
    with pytest.raises(ValueError, match="not a JSON object"):
        load_account("x", lambda path: "[]")


def test_a_file_that_would_block_is_not_read(tmp_path):
    """A configuration names the file, and the whole process would wait: a pipe, a terminal, a directory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Where it is not refused, somebody who writes lets the test go on.
    writer = threading.Timer(5, lambda: os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)))
    writer.start()
    try:
        for path in (pipe, "/dev/ptmx", tmp_path):
            with pytest.raises(ValueError, match="neither JSON nor a file that can be read"):
                load_account(str(path))
    finally:
        writer.cancel()


@pytest.mark.parametrize("key", ["garbage", private_pem("p256")])
async def test_a_key_that_cannot_sign_is_a_failure(key):
    """Of the lookup, in words of ours."""
    with pytest.raises(LoginError, match="the service account's key"):
        await Google().provider(ACCOUNT | {"private_key": key}).fetch_groups(lookup())


@pytest.mark.parametrize(
    "content", [{}, [], {"access_token": 5}, {"access_token": ""}, {"access_token": "a\nb"}]
)
async def test_an_answer_without_a_token_is_a_failure(content):
    """Nothing is asked without one."""
    google = Google()
    google.give_token = lambda form: httpx.Response(200, json=content)
    with pytest.raises(LoginError, match="an answer without access_token"):
        await google.provider().fetch_groups(lookup())


def test_the_machines_credentials_are_found(tmp_path):
    """The file that is named, then gcloud's, then the machine's own."""
    path, folder = tmp_path / "key.json", tmp_path / "gcloud"
    path.write_text(json.dumps(ACCOUNT))
    assert find_default({"GOOGLE_APPLICATION_CREDENTIALS": str(path)}).info == ACCOUNT
    assert find_default({"CLOUDSDK_CONFIG": str(folder)}) is MACHINE
    folder.mkdir()
    (folder / "application_default_credentials.json").write_text(json.dumps(USER))
    assert find_default({"CLOUDSDK_CONFIG": str(folder)}).info.items() >= USER.items()
    with pytest.raises(FileNotFoundError):
        find_default({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none")})


def test_credentials_show_no_secret():
    """Neither in a representation nor in an error."""
    user = USER | {"client_secret": "sesame", "refresh_token": "sesame"}
    shown = repr(load_account(json.dumps(ACCOUNT))) + repr(load_account(json.dumps(user)))
    assert "PRIVATE KEY" not in shown
    assert "sesame" not in shown


@pytest.mark.parametrize("user", ["", "me", "my_customer", "a/b", "..", "a?b", "a#b", "a\nb"])
async def test_a_user_key_asks_for_nobody_else(user):
    """Without a name the API lists every group of the company; a word may mean the caller."""
    google = Google()
    provider = google.provider(fetch_groups=True, fetch_user_info=True, user_custom_schemas="x")
    for ask in (provider.fetch_groups, provider.fetch_user_info):
        with pytest.raises(LoginError) as caught:
            await ask(Lookup({"email": user}, user_claim="email", groups_claim="groups"))
        assert caught.value.public.startswith('claim "email" cannot name a user: it ')
    assert google.asked == []


async def test_the_machines_credentials_take_no_proxy(monkeypatch):
    """They come in plain http: whoever runs the proxy would have them."""
    asked = []

    def look_up(host, port, **options):
        asked.append(host.decode() if isinstance(host, bytes) else host)
        raise OSError("there is no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with serve(http_answer(b'{"access_token": "stolen"}')) as (port, requests):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        provider = GSuiteProvider({"fetch_groups": True}, find_machine=lambda: MACHINE)
        with pytest.raises(LoginError, match="unable to fetch groups from the Directory API") as caught:
            await provider.fetch_groups(Lookup(CLAIMS, user_claim="email", groups_claim="groups"))
    assert "there is no such host" in caught.value.detail
    assert requests == []
    assert asked == ["metadata.google.internal"]


def test_without_google_auth_the_configuration_is_refused(monkeypatch):
    """And says what to install; other providers do without."""
    monkeypatch.delitem(sys.modules, "jwt_auth.providers.gsuite")
    monkeypatch.delitem(sys.modules, "jwt_auth.providers.google")
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ValueError, match=r"the package google.auth is missing; install .* extra 'gsuite'$"):
        make_provider({"provider": "gsuite"}, {})
    assert make_provider({"provider": "azure"}, {})


@pytest.mark.parametrize("expires_in", ["sesame", 1e300, [], {}])
async def test_an_odd_lifetime_of_a_token_is_refused_and_not_repeated(expires_in):
    """google-auth raises several kinds of errors for it, with Google's words in their texts."""
    google = Google()
    google.give_token = lambda form: httpx.Response(
        200, json={"access_token": "granted", "expires_in": expires_in}
    )
    with pytest.raises(LoginError, match="an answer without access_token") as caught:
        await google.provider().fetch_groups(lookup())
    assert "sesame" not in str(caught.value)


async def test_a_principal_does_not_choose_another_path():
    """The machine's token goes to what it was asked for, and google-auth does not quote a name."""
    google = Google()
    paths, answer = [], google.answer

    def note(request):
        paths.append(request.url.raw_path.decode())
        return answer(request)

    google.answer = note
    provider = google.provider("", lambda: MACHINE, impersonate_principal="a@b/../../evil?x#")
    await provider.fetch_groups(lookup())
    (asked,) = (path for path in paths if "serviceAccounts" in path or "evil" in path)
    assert asked.startswith("/v1/projects/-/serviceAccounts/a@b%2F..%2F..%2Fevil%3Fx%23:")


@pytest.mark.parametrize("name", ["binary", "a\0b"])
def test_bytes_of_a_file_are_not_repeated(tmp_path, name):
    """The text of a failed login is anybody's to read."""
    (tmp_path / "binary").write_bytes(b"sesame\xc3(")
    with pytest.raises(ValueError, match=r"^neither JSON nor a file that can be read$") as caught:
        load_account(str(tmp_path / name))
    assert caught.value.__suppress_context__
