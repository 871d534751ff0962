"""Lookups at particular providers, each against a local fake of its HTTP API."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest
from jwt_auth.providers.kubernetes import KubernetesProvider
from jwt_auth.providers.okta import MAX_PAGES
from jwt_auth.providers.registry import BUILT_IN, find_destinations, find_shown, make_provider, verify_names
from jwt_auth.texts.words import say
from oidc_factories import Clock, jwk, jwks

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc import Lookup, UserDirectory, add_claims, set_claim

INITIALIZING = 'error initializing "{}" provider_config: '
DECODING = "1 error(s) decoding:\n\n* '{}' expected type '{}', got unconvertible type '{}'"
CLAIMS = {"sub": "ann", "email": "ann@acme.example", "oid": "1234", "groups": ["a", "b"]}


def lookup(claims=CLAIMS, token="token", **options):
    """A user whose groups are asked for."""
    options = {"user_claim": "sub", "groups_claim": "groups", **options}
    return Lookup(claims, access_token=None if token is None else Secret(token), **options)


async def refusal(provider, *arguments, **options):
    """The text of the refusal; nothing that a provider sent is in it."""
    with pytest.raises(LoginError) as caught:
        await provider.fetch_groups(lookup(*arguments, **options))
    assert "sesame" not in caught.value.public
    return caught.value.public


# --- which provider ----------------------------------------------------------------------------


def test_without_settings_there_is_no_provider():
    """As for most operators."""
    assert make_provider({}, {}) is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"fetch_groups": True}, "'provider' field not found in provider_config"),
        ({"provider": 5}, "'provider' field not found in provider_config"),
        ({"provider": "Azure"}, 'provider "Azure" not found in custom providers'),
        ({"provider": ""}, 'provider "" not found in custom providers'),
        (
            {"provider": "azure", "fetch_groups": "true"},
            INITIALIZING.format("azure") + DECODING.format("fetch_groups", "bool", "string"),
        ),
        (
            {"provider": "gsuite", "groups_recurse_max_depth": -1},
            INITIALIZING.format("gsuite") + "'gsuite_recurse_max_depth' must be a positive integer",
        ),
        (
            {"provider": "gsuite", "groups_recurse_max_depth": True},
            INITIALIZING.format("gsuite") + DECODING.format("groups_recurse_max_depth", "int", "bool"),
        ),
        (
            {"provider": "okta", "api_token": ["sesame"]},
            INITIALIZING.format("okta") + DECODING.format("api_token", "string", "slice"),
        ),
    ],
)
def test_settings_that_name_no_provider_are_refused(settings, text):
    """In the words that operators know; no value is repeated."""
    with pytest.raises(ValueError) as caught:
        make_provider(settings, {})
    assert str(caught.value) == text


def test_null_and_unknown_settings_do_not_matter():
    """Terraform sends them; whole numbers may arrive as floats."""
    assert make_provider({"provider": "azure", "fetch_groups": None, "color": "red"}, {})
    assert make_provider({"provider": "okta", "groups_cap": 5.0}, {})


async def test_a_provider_that_overrides_nothing_leaves_the_token_s_claims():
    """As the one for the keys of a cluster."""
    assert await UserDirectory().fetch_groups(lookup()) == CLAIMS["groups"]
    assert await UserDirectory().fetch_user_info(lookup()) == {}


def test_every_setting_of_a_built_in_provider_is_declared():
    """Others cannot be written; the secret ones are never shown, whichever provider is named."""
    secret = {name: find_secrets(provider) for name, provider in BUILT_IN.items() if find_secrets(provider)}
    assert secret == {"gsuite": {"gsuite_service_account"}, "okta": {"api_token"}}
    assert not find_shown(BUILT_IN) & frozenset().union(*secret.values())
    assert find_destinations(BUILT_IN) == ["gsuite_service_account", "org_url"]


def find_secrets(provider):
    """The settings that are never shown."""
    return {name for name, declared in provider.model.schema.items() if declared.sensitive}


def test_settings_that_no_provider_has():
    """Refused by their name; what a nameless or unknown provider has, another check refuses."""
    for settings in ({}, {"provider": "azure", "fetch_groups": True}, {"provider": "x", "a": 1}, {"a": 1}):
        verify_names(BUILT_IN, settings)
    with pytest.raises(ValueError, match=r"^provider 'azure' has no setting 'api_tokn'$"):
        verify_names(BUILT_IN, {"provider": "azure", "api_tokn": "s3cr3t"})


# --- what is done with it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "claims", "expected"),
    [
        ("groups", {}, {"groups": "new"}),
        ("groups", {"groups": ["old"], "a": 1}, {"groups": "new", "a": 1}),
        ("https://x/y", {}, {"https://x/y": "new"}),
        ("/a", {}, {"a": "new"}),
        ("/a/b", {"a": {"b": 1, "c": 2}}, {"a": {"b": "new", "c": 2}}),
        ("/a/b", {"a": {}}, {"a": {"b": "new"}}),
        ("/a/b", {}, {}),
        ("/a/b", {"a": "text"}, {"a": "text"}),
        ("/a/b/c", {"a": {"x": 1}}, {"a": {"x": 1}}),
        ("/a/1/b", {"a": [0, {"b": 1}]}, {"a": [0, {"b": "new"}]}),
        ("/a/1", {"a": [0, 1]}, {"a": [0, "new"]}),
        ("/a/2", {"a": [0, 1]}, {"a": [0, 1]}),
        ("/a/-", {"a": [0]}, {"a": [0]}),
        ("/a~1b/~0", {"a/b": {}}, {"a/b": {"~": "new"}}),
    ],
)
def test_a_claim_is_set_where_it_would_be_found(name, claims, expected):
    """Where there is a parent; the claims of the token stay as they were."""
    before = json.dumps(claims)
    assert set_claim(claims, name, "new") == expected
    assert json.dumps(claims) == before


def test_claims_that_were_verified_are_not_replaced():
    """Whatever a provider says of the user, who that is and for whom was decided before."""
    token = {"iss": "i", "sub": "ann", "email": "old", "a": {"b": 1}}
    others = {"iss": "j", "sub": "bob", "aud": "x", "azp": "x", "exp": 1, "nbf": 1, "iat": 1, "nonce": "n"}
    assert add_claims(token, others | {"email": "new", "a": {"c": 2}}) == {
        "iss": "i",
        "sub": "ann",
        "email": "new",
        "a": {"c": 2},
    }


# --- SecureAuth, IBM ISAM ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "groups"),
    [
        ("secureauth", "a, b,c", ["a", " b", "c"]),
        ("secureauth", "", [""]),
        ("secureauth", ["a,b"], ["a,b"]),
        ("secureauth", None, None),
        ("ibmisam", "a b  c", ["a", "b", "", "c"]),
        ("ibmisam", "a,b", ["a,b"]),
        ("ibmisam", {"a": 1}, {"a": 1}),
    ],
)
async def test_a_string_of_groups_is_split(name, value, groups):
    """Not trimmed; anything else is left as it is."""
    provider = make_provider({"provider": name}, {})
    assert await provider.fetch_groups(lookup({"groups": value})) == groups


# --- Okta --------------------------------------------------------------------------------------


class Okta:
    """The groups of users, two to a page."""

    def __init__(self, **users):
        self.users = users
        self.requests = []
        self.status = 200
        self.next_page = "https://acme.okta.example{path}?after={after}"
        self.content = None

    def answer(self, request):
        self.requests.append(request)
        assert request.headers["authorization"] == "SSWS sesame"
        assert request.headers["accept"] == "application/json"
        if self.status != 200:
            return httpx.Response(self.status, text="sesame")
        path = request.url.raw_path.decode().partition("?")[0]
        *_, user, last = path.split("/")
        assert last == "groups"
        groups, after = self.users[user], int(request.url.params.get("after", 0))
        page = [{"id": "1", "profile": {"name": name}} for name in groups[after : after + 2]]
        headers = [("link", '<https://acme.okta.example/api>; rel="self"')]
        if len(groups) > after + 2:
            url = self.next_page.format(path=path, after=after + 2)
            headers.append(("link", f'<{url}>; rel="next"'))
        return httpx.Response(200, json=page if self.content is None else self.content, headers=headers)

    def provider(self, discovery_url="https://acme.okta.example/oauth2/default", **settings):
        settings = {"provider": "okta", "fetch_groups": True, "api_token": "sesame", **settings}
        fields = {"oidc_discovery_url": discovery_url}
        return make_provider(settings, fields, transport=httpx.MockTransport(self.answer))


FULL = {"sub": "ann", "groups": [f"g{number}" for number in range(100)]}


async def test_okta_is_asked_when_the_tokens_list_may_be_cut():
    """All pages, over the escaped name of the user."""
    okta = Okta(**{"ann%40acme%20x": ["a", "b", "c", "", "d"]})
    assert await okta.provider().fetch_groups(lookup({**FULL, "sub": "ann@acme x"})) == ["a", "b", "c", "d"]
    assert len(okta.requests) == 3
    assert {request.url.host for request in okta.requests} == {"acme.okta.example"}


@pytest.mark.parametrize(
    ("settings", "claims", "groups"),
    [
        ({}, {"groups": ["x", "y"]}, ["x", "y"]),
        ({"groups_filter": "^x"}, {"groups": ["x", "y", 5, None]}, ["x"]),
        ({"groups_cap": 2}, {"groups": ["x"]}, ["x"]),
        ({"fetch_groups": False}, FULL, FULL["groups"]),
        ({"fetch_groups": False}, {"groups": "x"}, "x"),
        ({"fetch_groups": False, "api_token": ""}, {"groups": {}}, {}),
    ],
)
async def test_okta_is_not_asked_when_the_token_says_it_all(settings, claims, groups):
    """A list below the cap is complete."""
    okta = Okta()
    assert await okta.provider(**settings).fetch_groups(lookup(claims)) == groups
    assert okta.requests == []


@pytest.mark.parametrize(
    "claims", [FULL, {"sub": "ann"}, {"sub": "ann", "groups": "x"}, {"sub": "ann", "groups": ["x", "y"]}]
)
async def test_okta_is_asked_for_everything_else(claims):
    """No list, or one that reaches the cap; filtered like the token's."""
    okta = Okta(ann=["red", "blue", "redder"])
    groups = await okta.provider(groups_cap=2, groups_filter="red").fetch_groups(lookup(claims))
    assert groups == ["red", "redder"]


@pytest.mark.parametrize(
    "next_page",
    [
        "https://evil.example{path}?after={after}",
        "http://acme.okta.example{path}?after={after}",
        "https://acme.okta.example:8443{path}?after={after}",
        "https://acme.okta.example@evil.example{path}?after={after}",
        "//evil.example{path}?after={after}",
    ],
)
async def test_the_api_token_follows_no_page_to_another_origin(next_page):
    """A link to elsewhere fails the lookup, and nothing is sent there."""
    okta = Okta(ann=["a", "b", "c"])
    okta.next_page = next_page
    text = await refusal(okta.provider(), FULL)
    assert text == "unable to fetch groups from Okta API: the next page is on another host"
    assert len(okta.requests) == 1


async def test_a_relative_next_page_is_followed():
    """It is on the same origin by nature."""
    okta = Okta(ann=["a", "b", "c"])
    okta.next_page = "{path}?after={after}"
    assert await okta.provider().fetch_groups(lookup(FULL)) == ["a", "b", "c"]


async def test_a_circle_of_pages_ends():
    """After two hundred."""
    okta = Okta(ann=["a", "b", "c"])
    okta.next_page = "https://acme.okta.example{path}"
    text = await refusal(okta.provider(), FULL)
    assert text.endswith("okta API pagination exceeded 200 pages; possible circular Link header")
    assert len(okta.requests) == MAX_PAGES


async def test_what_okta_sends_with_an_error_is_for_the_log():
    """The caller reads the status; the log what was sent, but for the token that Okta was asked with."""
    okta = Okta(ann=[])
    okta.status = 403
    with pytest.raises(LoginError) as caught:
        await okta.provider().fetch_groups(lookup(FULL))
    assert caught.value.public == "unable to fetch groups from Okta API: okta api returned 403 Forbidden"
    assert caught.value.detail == "[masked]"


@pytest.mark.parametrize("content", [{}, "x", 5])
async def test_an_answer_that_is_no_list_is_a_failure(content):
    """Not a user without groups."""
    okta = Okta(ann=["a"])
    okta.content = content
    assert "no list of groups" in await refusal(okta.provider(), FULL)


@pytest.mark.parametrize("content", [[{}], [5, None, []], [{"profile": 5}], [{"profile": {"name": 5}}], []])
async def test_entries_without_a_name_are_skipped(content):
    """Whatever is in a list of groups."""
    okta = Okta(ann=["a"])
    okta.content = content
    assert await okta.provider().fetch_groups(lookup(FULL)) == []


@pytest.mark.parametrize(
    ("claims", "options", "text"),
    [
        ({}, {}, 'unable to locate "sub" in claims for Okta user lookup'),
        ({"sub": 5}, {}, 'claim "sub" is not a string; cannot use for Okta user lookup'),
        ({"sub": ""}, {}, 'claim "sub" is empty; cannot use for Okta user lookup'),
        ({"sub": "a"}, {"user_claim": "/x/y"}, 'unable to locate "/x/y" in claims for Okta user lookup'),
    ],
)
async def test_a_user_is_needed(claims, options, text):
    """Without one nobody is asked."""
    okta = Okta()
    assert await refusal(okta.provider(), claims, **options) == text
    assert okta.requests == []


@pytest.mark.parametrize(
    "user",
    [
        "me",
        "Me",
        "\uff4d\uff45",
        ".",
        "..",
        "ann/../bob",
        "ann/factors",
        "ann?x",
        "ann#x",
        "a\nb",
        "ann%2fx",
        "a\\b",
    ],
)
async def test_a_user_id_asks_for_nobody_else(user):
    """`me` is the owner of the API token for Okta; a slash, a dot or a question mark is another request."""
    okta = Okta(me=["admins"])
    text = await refusal(okta.provider(), {**FULL, "sub": user})
    assert text.startswith('claim "sub" cannot be used for Okta user lookup: it ')
    assert okta.requests == []


async def test_a_filter_that_takes_too_long_refuses_the_login():
    """Names are influenced by users: none of them stops the process, or passes because time is over."""
    okta, evil = Okta(), "a" * 60 + "b"
    provider = okta.provider(groups_filter="(a|aa)+$", fetch_groups=False)
    served = []

    async def serve_others():
        while True:
            served.append(1)
            await asyncio.sleep(0.001)

    others = asyncio.create_task(serve_others())
    assert await refusal(provider, {"groups": ["a", evil]}) == (
        "the groups_filter takes too long for the groups of this user"
    )
    others.cancel()
    assert len(served) > 10


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("^(app|ops)-", ["app-a", "ops-b"]),
        ("-[ab]$", ["app-a", "ops-b"]),
        ("(?i)APP", ["app-a"]),
        ("(?:b|c)", ["ops-b"]),
        (r"^\w{3}-[[:alpha:]]\z", ["app-a", "ops-b"]),
        (r"(?P<x>p)+?-", ["app-a"]),
        (r"[^]a-z-]", ["\xe9"]),
        ("a{1000}", []),
        ("(?:(p{1,10}){1,10}-){1,10}", ["app-a"]),
        ("(?:a{0})p{2,}", ["app-a"]),
    ],
)
async def test_patterns_of_go_are_taken(pattern, names):
    """Found anywhere in a name; one with a line break never passes."""
    groups = ["app-a", "ops-b", "app-a\n", "\xe9", "app-" + "a" * 1100]
    provider = Okta().provider(groups_filter=pattern)
    assert await provider.fetch_groups(lookup({"groups": groups})) == names


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        r"(a)\1",
        "(?=a)",
        "(?<!a)b",
        "(?>a)",
        "a++",
        "a**",
        "a{1001}",
        "a{1,1001}",
        "((a?){500}){500}b",
        "(?:(a{10}){10}b{2}){11}",
        "a)",
        "a{e<=1}",
        "a{,3}",
        "a(?i)b",
        r"\pL",
        r"\Qa\E",
        r"\K",
        "(?R)",
        "[a",
        "[z-a]",
        r"\L<x>",
        "(*FAIL)",
        "(?(1)a|b)",
        "(?#x)",
        "*a",
        "x" * 1001,
    ],
)
def test_other_patterns_are_refused(pattern):
    """When they are written: what Go does not know, and what would mean something else here."""
    with pytest.raises(ValueError, match="invalid groups_filter regex: "):
        Okta().provider(groups_filter=pattern)


async def test_the_user_may_be_another_claim():
    """`user_id_claim` is for Okta what the user claim is for the alias."""
    okta = Okta(u1=["a"])
    provider = okta.provider(user_id_claim="/okta/id")
    assert await provider.fetch_groups(lookup({**FULL, "okta": {"id": "u1"}})) == ["a"]


async def test_without_a_claim_and_without_asking_there_are_no_groups():
    """The refusal is that of a token without them."""
    assert await refusal(Okta().provider(fetch_groups=False), {}) == '"groups" claim not found in token'


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"org_url": "http://acme.okta.example"}, "org_url must use https"),
        ({"org_url": "acme.okta.example"}, "org_url must use https"),
        ({"org_url": "https://"}, "org_url must include a host"),
        ({"org_url": "https://[x"}, "org_url must include a host"),
        ({"org_url": "https://a b"}, "the URL is not of the form"),
        ({"org_url": "https://user:sesame@acme.okta.example"}, "org_url must not hold credentials"),
        ({"org_url": "https://[::1]evil.example"}, "the URL is not of the form"),
        (
            {"discovery_url": ""},
            "'org_url' must be set in provider_config or oidc_discovery_url must be configured",
        ),
        ({"discovery_url": "http://issuer.example"}, "org_url must use https"),
        ({"api_token": ""}, "'api_token' is required in provider_config when fetch_groups=true"),
        ({"api_token": "a\nb"}, "the bearer token is not a line of ASCII text"),
        ({"groups_cap": -1}, "groups_cap must be >= 0"),
        ({"groups_filter": "("}, "invalid groups_filter regex: "),
    ],
)
def test_settings_of_okta_are_checked(settings, text):
    """When they are written."""
    with pytest.raises(ValueError, match=r'^error initializing "okta" provider_config: ') as caught:
        Okta().provider(**settings)
    assert text in str(caught.value)


# --- Azure -------------------------------------------------------------------------------------


class Graph:
    """Microsoft Graph for one access token."""

    def __init__(self):
        self.owner = "1234"
        self.groups = ["g1", "g2"]
        self.status = 200
        self.content = None
        self.pages = []
        self.next_url = ""
        self.asked = []

    def answer(self, request):
        self.asked.append(f"{request.method} {request.url}")
        assert request.headers["authorization"] == "Bearer token"
        if self.status != 200:
            return httpx.Response(self.status, text='{"error": "sesame"}')
        if request.url.path.endswith("/me"):
            return httpx.Response(200, json={"id": self.owner})
        if self.pages:
            self.next_url = f"https://{request.url.host}/v1.0/next?$skiptoken={len(self.pages)}"
        if request.method == "GET":
            link = {"@odata.nextLink": self.next_url} if self.pages[1:] else {}
            return httpx.Response(200, json={"value": self.pages.pop(0), **link})
        assert json.loads(request.content) == {"securityEnabledOnly": False}
        assert request.headers["content-type"] == "application/json"
        link = {"@odata.nextLink": self.next_url} if self.next_url else {}
        content = {"value": self.groups, **link}
        return httpx.Response(200, json=content if self.content is None else self.content)

    def provider(self, **settings):
        return make_provider(
            {"provider": "azure", **settings}, {}, transport=httpx.MockTransport(self.answer)
        )


ME = "https://graph.microsoft.com/v1.0/me"
GRAPH = "unable to fetch groups from Microsoft Graph API: "


def overage(url="https://graph.windows.net/t/users/1234/getMemberObjects", **claims):
    """The claims of a user with more groups than a token holds."""
    sources = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": url}}}
    return {"sub": "ann", "oid": "1234"} | sources | claims


async def test_groups_in_the_token_are_used():
    """Graph is asked only for those that are not there."""
    graph = Graph()
    assert await graph.provider().fetch_groups(lookup()) == ["a", "b"]
    assert graph.asked == []


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (
            "https://graph.windows.net/t/users/1234/getMemberObjects",
            "https://graph.microsoft.com/v1.0/t/users/1234/getMemberObjects",
        ),
        ("https://GRAPH.microsoftazure.us:443/t", "https://graph.microsoft.us/v1.0/t"),
        ("https://graph.microsoft.com/v1.0/t?a=b", "https://graph.microsoft.com/v1.0/t?a=b"),
        ("https://microsoftgraph.chinacloudapi.cn/t", "https://microsoftgraph.chinacloudapi.cn/t"),
        ("https://dod-graph.microsoft.us/t", "https://dod-graph.microsoft.us/t"),
    ],
)
async def test_groups_that_the_token_points_at_are_fetched(url, asked):
    """From where the retired API is now, at the hosts of every cloud."""
    graph = Graph()
    assert await graph.provider().fetch_groups(lookup(overage(url))) == ["g1", "g2"]
    assert graph.asked == [f"POST {asked}"]


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({}, 'unable to locate groups claim "groups" in _claim_names'),
        ({"_claim_names": 5}, 'unable to locate groups claim "groups" in _claim_names'),
        ({"_claim_names": {"groups": 5}}, 'unable to locate groups claim "groups" in _claim_names'),
        ({"_claim_names": {"groups": "s"}}, "unable to locate /_claim_sources/s/endpoint in claims"),
        (
            {"_claim_names": {"groups": "s"}, "_claim_sources": {"s": {"endpoint": 5}}},
            "unable to locate /_claim_sources/s/endpoint in claims",
        ),
        (overage("http://graph.windows.net/t"), "the endpoint is not an https URL"),
        (overage("https://graph.windows.net@evil.example/t"), "the endpoint is not an https URL"),
        (overage("https://[x"), "the endpoint is not an https URL"),
        (overage(""), "the endpoint is not an https URL"),
        (overage("https://graph.windows.net:8443/t"), "the endpoint is not an https URL"),
        (overage("https://evil.example/t"), "the endpoint is not at a host of Microsoft Graph"),
        (
            overage("https://graph.microsoft.com.evil.example/t"),
            "the endpoint is not at a host of Microsoft Graph",
        ),
        (overage("https://[::1]graph.microsoft.com/t"), "the endpoint is not an https URL"),
    ],
)
async def test_claims_that_point_nowhere_are_refused(claims, text):
    """And no token is sent."""
    graph = Graph()
    assert await refusal(graph.provider(), claims) == (
        f'"groups" claim not found in token: unable to get claim sources: {text}'
    )
    assert graph.asked == []


async def test_the_configured_host_is_the_only_one():
    """For a cloud of its own; Microsoft's other hosts get no token then."""
    graph = Graph()
    provider = graph.provider(graph_host="graph.other.example")
    claims = overage("https://graph.other.example/t?a=b")
    assert await provider.fetch_groups(lookup(claims)) == ["g1", "g2"]
    assert (await refusal(provider, overage())).endswith("the endpoint is not at a host of Microsoft Graph")
    always = graph.provider(graph_host="graph.other.example", fetch_groups=True)
    assert await always.fetch_groups(lookup()) == ["g1", "g2"]
    assert {each.split("/")[2] for each in graph.asked} == {"graph.other.example"}


@pytest.mark.parametrize("host", ["https://a.example", "A.example", "a.example:8443", "a@b", "a/b", "a b", 5])
def test_a_configured_host_is_checked(host):
    """When it is written."""
    with pytest.raises(ValueError):
        Graph().provider(graph_host=host)


@pytest.mark.parametrize("always", [True, False])
async def test_all_pages_of_groups_are_read(always):
    """A list that was cut would leave out groups, or let a bound on their absence pass."""
    graph = Graph()
    graph.pages = [["g3"], ["g4", "g5"]]
    provider = graph.provider(fetch_groups=always)
    assert await provider.fetch_groups(lookup(overage())) == ["g1", "g2", "g3", "g4", "g5"]


@pytest.mark.parametrize(
    "next_url",
    [
        "https://evil.example/t",
        "http://graph.microsoft.com/t",
        "https://graph.microsoft.us/t",
        "https://graph.microsoft.com:8443/t",
        "https://graph.microsoft.com@evil.example/t",
        "/t",
        5,
    ],
)
async def test_the_access_token_follows_no_page_to_another_host(next_url):
    """The login is refused: the list is not complete."""
    graph = Graph()
    graph.next_url = next_url
    text = await refusal(graph.provider(), overage())
    assert text.endswith(
        "failed to get groups: the list of groups is not complete: its next page is on another host"
    )
    assert len(graph.asked) == 1


async def test_a_circle_of_pages_of_groups_ends():
    """After a hundred, and not with a part of the groups."""
    graph = Graph()
    graph.pages = [["g"]] * 200
    text = await refusal(graph.provider(), overage())
    assert text.endswith("the list of groups is not complete: it has more than 100 pages")
    assert len(graph.asked) == 101


async def test_a_groups_claim_with_a_slash_is_looked_up_as_it_is():
    """No pointer is built from its name."""
    graph, claims = Graph(), overage()
    claims["_claim_names"] = {"https://x/groups": "src1"}
    provider = graph.provider()
    assert await provider.fetch_groups(lookup(claims, groups_claim="https://x/groups")) == ["g1", "g2"]


async def test_all_groups_are_fetched_of_the_tokens_own_user():
    """The owner of the access token is compared with the user of the JWT first."""
    graph = Graph()
    assert await graph.provider(fetch_groups=True).fetch_groups(lookup()) == ["g1", "g2"]
    assert graph.asked == [f"GET {ME}?$select=id", f"POST {ME}/getMemberObjects"]


@pytest.mark.parametrize("owner", ["5678", "", None, 1234, ["1234"]])
async def test_an_access_token_of_somebody_else_is_refused(owner):
    """Whoever has two accounts does not log in as one with the groups of the other."""
    graph = Graph()
    graph.owner = owner
    text = await refusal(graph.provider(fetch_groups=True))
    assert text == GRAPH + "the access token belongs to another user"
    assert len(graph.asked) == 1


@pytest.mark.parametrize("claims", [{"sub": "ann"}, {"oid": ""}, {"oid": None}, {"oid": 1234}])
async def test_without_an_object_id_nothing_ties_the_two_tokens(claims):
    """Two absent ids are not the same one."""
    graph = Graph()
    graph.owner = claims.get("oid")
    text = await refusal(graph.provider(fetch_groups=True), claims)
    assert text == GRAPH + "the token has no oid claim to compare the access token's owner with"


async def test_tokens_of_one_exchange_belong_together():
    """Where both came from the same code there is nothing to compare."""
    graph = Graph()
    provider = graph.provider(fetch_groups=True)
    assert await provider.fetch_groups(lookup({"sub": "ann"}, is_same_user=True)) == ["g1", "g2"]
    assert graph.asked == [f"POST {ME}/getMemberObjects"]


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (None, "token unavailable to call Microsoft Graph API"),
        ("", "access token is empty. Cannot call Microsoft Graph API"),
        ("a\nb", "access token is malformed. Cannot call Microsoft Graph API"),
        ("tökén", "access token is malformed. Cannot call Microsoft Graph API"),
    ],
)
@pytest.mark.parametrize("always", [True, False])
async def test_without_an_access_token_graph_is_not_asked(token, text, always):
    """The caller has to bring one."""
    graph = Graph()
    found = await refusal(graph.provider(fetch_groups=always), overage(), token)
    assert found == (GRAPH if always else '"groups" claim not found in token: ') + text
    assert graph.asked == []


@pytest.mark.parametrize("always", [True, False])
async def test_what_graph_sends_with_an_error_is_for_the_log(always):
    """The caller reads the status."""
    graph = Graph()
    graph.status = 401
    with pytest.raises(LoginError) as caught:
        await graph.provider(fetch_groups=always).fetch_groups(lookup(overage()))
    assert caught.value.public.endswith("failed to get groups: 401 Unauthorized")
    assert caught.value.detail == '{"error": "sesame"}'


@pytest.mark.parametrize("content", [{}, [], {"value": None}, {"value": "g1"}, 5])
async def test_an_answer_without_groups_is_a_failure(content):
    """Not a user without groups."""
    graph = Graph()
    graph.content = content
    assert (await refusal(graph.provider(), overage())).endswith(
        "failed to get groups: an answer without groups"
    )


# --- Kubernetes --------------------------------------------------------------------------------

ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def pod(tmp_path):
    """A pod's files; the certificate may be any."""
    from oidc_provider import certificate

    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(certificate("ca", "ca", "p384", "p384", is_ca=True))
    return tmp_path


async def test_the_pods_token_goes_to_the_cluster_alone(pod):
    """Its API server is asked at its own address, whatever another document would name; the token rotates."""
    sent = []

    def answer(request):
        sent.append((str(request.url), request.headers["authorization"]))
        if request.url.path == "/openid/v1/jwks":
            return httpx.Response(200, content=jwks(jwk("rsa", kid=f"key-{len(sent)}")))
        metadata = {"issuer": "https://kubernetes.default.svc", "jwks_uri": "https://evil.example/keys"}
        return httpx.Response(200, json=metadata)

    provider = KubernetesProvider(
        {}, folder=str(pod), environment=ENVIRONMENT, transport=httpx.MockTransport(answer)
    )
    clock = Clock()
    keys = provider.keys(timer=clock)
    assert await keys.find_keys("key-1")
    (pod / "token").write_text("second")
    clock.now += 10
    assert await keys.find_keys("key-2")
    assert sent == [
        ("https://10.0.0.1/openid/v1/jwks", "Bearer first"),
        ("https://10.0.0.1/openid/v1/jwks", "Bearer second"),
    ]
    (pod / "token").unlink()
    clock.now += 10
    with pytest.raises(LoginError) as caught:
        await keys.find_keys("key-4")
    assert say(caught.value).public.endswith("get keys failed: no usable answer")
    assert "No such file" in caught.value.detail
    await keys.close()


def test_an_ipv6_address_is_put_into_brackets(pod):
    """As in any URL."""
    environment = ENVIRONMENT | {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    (status,) = KubernetesProvider({}, folder=str(pod), environment=environment).keys().status()
    assert status.source == "https://[fd00::1]:443/openid/v1/jwks"


@pytest.mark.parametrize("field", ["oidc_discovery_url", "oidc_discovery_ca_pem", "jwks_url", "jwks_ca_pem"])
def test_the_cluster_is_the_only_source(pod, field):
    """Another one beside it is a mistake."""
    with pytest.raises(ValueError, match=f"^{field} must not be set when using the kubernetes provider$"):
        KubernetesProvider({}, fields={field: "x"}, folder=str(pod), environment=ENVIRONMENT)


@pytest.mark.parametrize("missing", ["token", "ca.crt", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_outside_of_a_pod_there_is_no_cluster(pod, missing):
    """The operator reads what is missing."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    (pod / missing).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=missing):
        KubernetesProvider({}, folder=str(pod), environment=environment)


# --- all of them -------------------------------------------------------------------------------


async def test_no_lookup_logs_a_token(caplog):
    """Neither the caller's nor the operator's."""
    caplog.set_level(logging.DEBUG)
    okta = Okta(ann=["a"])
    await okta.provider().fetch_groups(lookup(FULL))
    graph = Graph()
    await graph.provider(fetch_groups=True).fetch_groups(lookup())
    assert "sesame" not in caplog.text
    assert "Bearer" not in caplog.text
