"""The rules of a host as plain functions: time, lifetimes, records, special paths, policies."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from authkit.framework.ttl import Lifetimes, MountLimits, PastMaxTTLError, calculate_ttl, human_duration
from authkit.host.mounts.special_paths import CompiledPaths, PathPatternError
from authkit.host.store.clock import SystemClock
from authkit.host.store.hcl import Block, HCLError, parse_hcl
from authkit.host.store.policies import ACL, PolicyError, decode_text, parse_policy
from authkit.host.store.records import dump, load
from authkit.host.store.times import show_time
from authkit.host.store.tokens import Token
from authkit.logical import Alias, Auth, LeaseOptions, Operation, SpecialPaths, TokenType
from authkit.testing import MovableClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


# --- time --------------------------------------------------------------------------------------


async def test_a_movable_clock_wakes_whoever_is_due() -> None:
    """And nobody else; it moves by durations as operators write them."""
    clock = MovableClock(NOW)
    order: list[int] = []

    async def wait(minutes: int) -> None:
        await clock.wait_until(NOW + minutes * MINUTE)
        order.append(minutes)

    waiting = [asyncio.create_task(wait(minutes)) for minutes in (30, 10, 20)]
    await asyncio.sleep(0)
    clock.tick("15m")
    await waiting[1]
    assert order == [10]
    clock.tick(timedelta(hours=1))
    await asyncio.gather(*waiting)
    assert sorted(order) == [10, 20, 30]
    assert clock.now() == NOW + 75 * MINUTE
    await clock.wait_until(NOW)


async def test_whoever_stops_waiting_is_forgotten() -> None:
    """A cancelled wait does not trip the clock."""
    clock = MovableClock(NOW)
    waiting = asyncio.create_task(clock.wait_until(NOW + HOUR))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    clock.tick("2h")


@pytest.mark.parametrize("step", ["-1s", "soon", timedelta(seconds=-1)])
def test_time_does_not_go_back(step: str | timedelta) -> None:
    """Nor by something that is no duration."""
    clock = MovableClock(NOW)
    with pytest.raises(ValueError):
        clock.tick(step)
    assert clock.now() == NOW


async def test_the_systems_clock() -> None:
    """It tells the time in UTC, and what is past needs no waiting."""
    clock = SystemClock()
    before = datetime.now(UTC)
    await clock.wait_until(before - HOUR)
    await clock.wait_until(clock.now() + timedelta(milliseconds=1))
    assert before < clock.now() < datetime.now(UTC) + MINUTE
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (NOW, "2026-01-01T00:00:00Z"),
        (NOW + timedelta(microseconds=120000), "2026-01-01T00:00:00.12Z"),
        (NOW + timedelta(microseconds=1), "2026-01-01T00:00:00.000001Z"),
    ],
)
def test_times_are_shown_as_go_does(moment: datetime, shown: str) -> None:
    """RFC 3339 without zeros at the end."""
    assert show_time(moment) == shown


# --- lifetimes ---------------------------------------------------------------------------------

LIMITS = MountLimits(default_ttl=HOUR, max_ttl=10 * HOUR)


@pytest.mark.parametrize(
    ("asked", "granted", "capped"),
    [
        (Lifetimes(), HOUR, False),
        (Lifetimes(ttl=2 * HOUR), 2 * HOUR, False),
        (Lifetimes(ttl=20 * HOUR), 10 * HOUR, True),
        (Lifetimes(ttl=2 * HOUR, max_ttl=HOUR), HOUR, True),
        (Lifetimes(max_ttl=MINUTE), MINUTE, True),
        (Lifetimes(ttl=2 * HOUR, explicit_max_ttl=MINUTE), MINUTE, True),
        (Lifetimes(ttl=2 * HOUR, max_ttl=20 * HOUR), 2 * HOUR, False),
        (Lifetimes(increment=3 * HOUR, ttl=2 * HOUR), 3 * HOUR, False),
        (Lifetimes(period=2 * HOUR, ttl=MINUTE, increment=HOUR), 2 * HOUR, False),
        (Lifetimes(period=20 * HOUR), 10 * HOUR, True),
        (Lifetimes(period=2 * HOUR, max_ttl=HOUR), HOUR, True),
        (Lifetimes(period=2 * HOUR, explicit_max_ttl=HOUR), HOUR, True),
        (Lifetimes(ttl=timedelta(seconds=-5)), HOUR, False),
    ],
)
def test_ttl_at_a_login(asked: Lifetimes, granted: timedelta, capped: bool) -> None:
    """What a mount and a backend grant together, and whether the client is warned."""
    ttl, warnings = calculate_ttl(LIMITS, asked, now=NOW)
    assert (ttl, bool(warnings)) == (granted, capped)


@pytest.mark.parametrize(
    ("asked", "age", "granted"),
    [
        (Lifetimes(ttl=2 * HOUR), 9 * HOUR, HOUR),
        (Lifetimes(ttl=2 * HOUR, max_ttl=4 * HOUR), 3 * HOUR, HOUR),
        (Lifetimes(period=2 * HOUR), 1000 * HOUR, 2 * HOUR),
        (Lifetimes(period=2 * HOUR, explicit_max_ttl=5 * HOUR), 4 * HOUR, HOUR),
        (Lifetimes(increment=MINUTE), 9 * HOUR, MINUTE),
    ],
)
def test_ttl_at_a_renewal(asked: Lifetimes, age: timedelta, granted: timedelta) -> None:
    """Limits count from the login; only an explicit one ends a period."""
    assert calculate_ttl(LIMITS, asked, now=NOW + age, issued=NOW)[0] == granted


@pytest.mark.parametrize("asked", [Lifetimes(), Lifetimes(period=HOUR, explicit_max_ttl=9 * HOUR)])
def test_nothing_is_left(asked: Lifetimes) -> None:
    """Past its limit a token is not renewed."""
    with pytest.raises(PastMaxTTLError, match="past the max TTL, cannot renew"):
        calculate_ttl(LIMITS, asked, now=NOW + 10 * HOUR, issued=NOW)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (768 * HOUR, "768h"),
        (90 * MINUTE, "1h30m"),
        (HOUR + timedelta(seconds=5), "1h5s"),
        (timedelta(seconds=75), "1m15s"),
        (2 * MINUTE, "2m"),
        (timedelta(0), "0s"),
    ],
)
def test_words_for_durations(duration: timedelta, words: str) -> None:
    """Without what is zero."""
    assert human_duration(duration) == words


# --- records -----------------------------------------------------------------------------------


def test_records_come_back() -> None:
    """A token with everything in it, nested values included."""
    auth = Auth(
        lease=LeaseOptions(ttl=HOUR, renewable=True, issue_time=NOW),
        internal_data={"role": "dev", "deep": {"a": [1, None, 1.5]}},
        policies=("a", "b"),
        alias=Alias(name="bob", metadata={"k": "v"}),
        group_aliases=(Alias(name="g"),),
        token_type=TokenType.SERVICE,
        metadata={"k": "v"},
    )
    token = Token(key="k", path="auth/x/login", created=NOW, expires=NOW + HOUR, ttl=HOUR, auth=auth)
    assert load(Token, dump(token)) == token


def test_records_grow() -> None:
    """A reader takes the default for what an older writer left out, and skips what a newer one added."""
    assert load(LeaseOptions, b'{"renewable": true, "from_the_future": 1}') == LeaseOptions(renewable=True)
    with pytest.raises(ValueError, match="the stored LeaseOptions cannot be read"):
        load(LeaseOptions, b"[]")


# --- special paths -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("login", ["login"], ["login/", "login/x", "logins", ""]),
        ("login/*", ["login/", "login/x", "login/x/y"], ["login", "x/login/y"]),
        ("log*", ["log", "login", "log/x"], ["lo"]),
        ("+/login", ["a/login", "/login"], ["login", "a/b/login"]),
        ("a/+/c", ["a/b/c"], ["a/c", "a/b/c/d", "a/b/x/c"]),
        ("a/+/c*", ["a/b/c", "a/b/cd", "a/b/c/d/e"], ["a/b", "a/b/x"]),
        ("a/+", ["a/b", "a/"], ["a", "a/b/c"]),
        ("*", ["", "a", "a/b"], []),
    ],
)
def test_open_paths(pattern: str, matching: list[str], others: list[str]) -> None:
    """Exact, by prefix, by whole segments."""
    paths = CompiledPaths(SpecialPaths(unauthenticated=(pattern,)))
    assert all(map(paths.needs_no_token, matching))
    assert not any(map(paths.needs_no_token, others))


@pytest.mark.parametrize("pattern", ["a*b", "**", "+*", "a+", "a/b+/c", "*/a"])
def test_patterns_that_fail_the_mount(pattern: str) -> None:
    """A wildcard in the wrong place; for `sudo` paths nothing is a wildcard but a star at the end."""
    with pytest.raises(PathPatternError, match="invalid use of wildcards"):
        CompiledPaths(SpecialPaths(unauthenticated=(pattern,)))
    CompiledPaths(SpecialPaths(root=(pattern,)))


def test_sudo_paths_know_no_segments() -> None:
    """A `+` there is a plus sign."""
    paths = CompiledPaths(SpecialPaths(root=("a/+", "b/*")))
    assert paths.needs_sudo("a/+")
    assert not paths.needs_sudo("a/x")
    assert paths.needs_sudo("b/x")


# --- policies ----------------------------------------------------------------------------------


def test_hcl() -> None:
    """Blocks, lists over several lines, comments of three kinds, escapes, heredocs."""
    text = """
    # one
    path "a/*" { // two
        capabilities = ["read",
            "list"]   /* three
        */
        comment = <<EOT
some { text
EOT
    }
    path "q\\"x" {}
    name = "ignored"
    """
    assert parse_hcl(text) == [
        Block("path", "a/*", {"capabilities": ["read", "list"], "comment": "some { text\n"}),
        Block("path", 'q"x', {}),
    ]


def test_policies_in_json() -> None:
    """As programs write them."""
    text = '{"path": {"a/*": {"capabilities": ["read"]}, "b": {"policy": "write"}}}'
    rules = parse_policy("p", text).rules
    assert rules["a/*"] == {"read"}
    assert rules["b"] == {"create", "read", "update", "delete", "list"}


@pytest.mark.parametrize(
    "text",
    [
        'path "a" {',
        "path { }}",
        'path "a" { capabilities = [',
        'path "a" = 3 }',
        "{",
        "[]",
        '{"path": {"a": 5}}',
        'path "a" { x = "\\q" }',
        "\x00",
        'path "a" ' + "{ x " * 100,
        "x" * (1024 * 1024 + 1),
        'foo = "x" path "a" { capabilities = ["read"] }',
        'path = "a"',
        '{"foo": 1, "path": {"a": {"capabilities": ["read"]}}}',
        '{"path": "a"}',
        '{"path": {"a": [{"capabilities": ["read"]}]}}',
    ],
)
def test_texts_that_are_no_policy(text: str) -> None:
    """They are refused in bounded time, with a reason."""
    with pytest.raises((HCLError, PolicyError)):
        parse_policy("p", text)


@pytest.mark.parametrize(
    "text",
    [
        'path "a" { capabilities = ["deny"] capabilities = ["read"] }',
        '{"path": {"a": {"capabilities": ["deny"], "capabilities": ["read"]}}}',
        '{"path": {"a": {"capabilities": ["deny"]}}, "path": {"a": {"capabilities": ["read"]}}}',
    ],
)
def test_what_is_set_twice(text: str) -> None:
    """It is refused: the one that counts might allow what the other denies."""
    with pytest.raises(PolicyError, match="twice"):
        parse_policy("p", text)


def test_blocks_of_one_path() -> None:
    """They add up, also in a list of JSON."""
    for text in (
        'path "a" { capabilities = ["deny"] } path "a" { capabilities = ["read"] }',
        '{"path": [{"a": {"capabilities": ["deny"]}}, {"a": {"capabilities": ["read"]}}]}',
    ):
        assert parse_policy("p", text).rules["a"] == {"deny", "read"}


def test_policy_that_is_not_ascii() -> None:
    """It is no base64, and no error."""
    text = 'path "a" {} # für alle'
    assert decode_text(text) == text


@pytest.mark.parametrize(
    "attributes",
    [
        'capabilities = ["fly"]',
        'capabilities = "read"',
        'denied_parameters = { "a" = [] }',
        'policy = "fly"',
        'policy = ["read"]',
        'capabilities = [["read"]]',
        "capabilities = [read]",
    ],
)
def test_rules_that_are_refused(attributes: str) -> None:
    """A rule that would not be enforced is refused, not ignored."""
    with pytest.raises(PolicyError, match="failed to parse policy"):
        parse_policy("p", f'path "a" {{ {attributes} }}')


def acl(*rules: tuple[str, str]) -> ACL:
    """What rules (a pattern, capabilities separated by blanks) allow together, a policy each."""
    policies = []
    for number, (pattern, words) in enumerate(rules):
        listed = ", ".join(f'"{word}"' for word in words.split())
        policies.append(parse_policy(f"p{number}", f'path "{pattern}" {{ capabilities = [{listed}] }}'))
    return ACL(policies, {"identity.entity.id": "e-1"}.get)


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ([("a/b", "read")], "a/b", True),
        ([("a/b", "read")], "a/b/", False),
        ([("a/*", "read")], "a/b/c", True),
        ([("a/*", "read")], "a", False),
        ([("a*", "read")], "abc", True),
        ([("a/+/c", "read")], "a/x/c", True),
        ([("a/+/c", "read")], "a/x/y/c", False),
        ([("a/*", "read"), ("a/b/*", "list")], "a/b/c", False),
        ([("a/*", "read"), ("a/b", "deny")], "a/b", False),
        ([("a/+/c", "deny"), ("a/*", "read")], "a/x/c", False),
        ([("a/*", "deny"), ("a/b", "read")], "a/b", True),
        ([("a", "read"), ("a", "deny")], "a", False),
        ([("a", "read"), ("a", "update")], "a", True),
        ([("+/b", "read"), ("a/+", "deny")], "a/b", False),
        ([("a/b", "read")], "//a/b", True),
        ([("identity/{{identity.entity.id}}", "read")], "identity/e-1", True),
        ([("identity/{{ identity.entity.id }}/{{identity.entity.id}}", "read")], "identity/e-1/e-1", True),
        ([("identity/{{identity.entity.metadata.x}}", "read")], "identity/e-1", False),
        ([("a/*", "read"), ("a/{{identity.entity.id}}", "deny")], "a/e-1", False),
        ([], "a", False),
    ],
)
def test_which_rule_decides(rules: list[tuple[str, str]], path: str, allowed: bool) -> None:
    """The most specific one alone; the same pattern adds up, and `deny` beats it all."""
    assert acl(*rules).allows(Operation.READ, path) is allowed


def test_operations_and_capabilities() -> None:
    """Each operation needs its own; help none; a list is found with and without its slash."""
    everything = acl(("a", "create read update delete patch sudo"), ("l", "list"), ("m/", "list"))
    for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE, Operation.PATCH):
        assert everything.allows(operation, "a", sudo=True)
    assert everything.allows(Operation.LIST, "l/")
    assert everything.allows(Operation.LIST, "m/")
    assert not everything.allows(Operation.LIST, "a/")
    assert acl().allows(Operation.HELP, "anything")
    assert not acl(("a", "read")).allows(Operation.READ, "a", sudo=True)
    assert not everything.allows(Operation.RENEW, "a")
