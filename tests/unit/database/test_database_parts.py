"""The author's class, settings, statements and the masking of texts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from database_fakes import Settings, ShelfDatabase, ShelfError
from hypothesis import given
from hypothesis import strategies as st

from authkit import Secret, field
from authkit.database import (
    CredentialType,
    Database,
    DatabaseSettings,
    ExpirationChange,
    NewUser,
    PasswordChange,
    SQLSettings,
    UserDeletion,
)
from authkit.database.errors import LONG, PIECE, failure_text, hide_secrets, secrets_of
from authkit.errors import InternalError, UserError

MOMENT = datetime(2026, 11, 28, 20, 47, 8, tzinfo=UTC)


# --- the class ---------------------------------------------------------------------------------


def test_a_class_has_its_settings_by_its_brackets() -> None:
    """Also one that derives from another plugin."""
    assert ShelfDatabase.settings_type is Settings

    class Later(ShelfDatabase, name="later", version="2.0.0"):
        """The next release."""

    assert (Later.settings_type, Later.version) == (Settings, "v2.0.0")
    Later.verify_servable()


def test_what_cannot_be_served_says_why() -> None:
    """When the class is defined, or at the latest when it is served."""

    class Half(Database[Settings, object], name="half"):
        async def connect(self) -> object:
            return object()

    with pytest.raises(TypeError, match="has no change_password, create_user, delete_user, disconnect, ping"):
        Half.verify_servable()

    class Nameless(ShelfDatabase):
        """A base for others."""

    with pytest.raises(TypeError, match="Nameless cannot be served"):
        Nameless.verify_servable()
    with pytest.raises(TypeError, match=r"Blocking\.ping is not async"):

        class Blocking(ShelfDatabase, name="blocking"):
            def ping(self, connection: object) -> None:  # type: ignore[override]
                pass

    with pytest.raises(TypeError, match="time_limit is not between 0 and 80 s"):

        class Slow(ShelfDatabase, name="slow"):
            time_limit = timedelta(seconds=90)

    with pytest.raises(TypeError, match="unlike 'a b'"):

        class Odd(ShelfDatabase, name="a b"):
            pass


def test_a_secret_has_a_name_that_servers_hide() -> None:
    """Any other is shown to whoever may read the configuration."""
    with pytest.raises(TypeError, match=r"Leaky\.api_key: a server shows it"):

        class Leaky(DatabaseSettings):
            api_key: Secret = field(default="")


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "pg://u%40:p%2F%3F%27@host/db"),
        ({"disable_escaping": True}, "pg://u@:p/?'@host/db"),
        ({"connection_url": "pg://host"}, "pg://host"),
    ],
)
def test_a_url_is_filled_once(settings: dict[str, object], url: str) -> None:
    """Escaped as parts of a URL, unless the operator says otherwise."""
    given = {
        "connection_url": "pg://{{username}}:{{password}}@host/db",
        "username": "u@",
        "password": "p/?'",
        **settings,
    }
    assert SQLSettings(**given).url.reveal() == url


def test_settings_of_sql_are_checked() -> None:
    """A URL is needed, and values are not filled a second time."""
    with pytest.raises(UserError, match="connection_url cannot be empty"):
        SQLSettings.overlaid(None, {"connection_url": ""})
    with pytest.raises(UserError, match="cannot contain the template variables"):
        SQLSettings(connection_url="x", username="{{password}}", password="p").verify()
    assert SQLSettings(connection_url="x", max_open_connections=0).open_connections == 4


# --- statements --------------------------------------------------------------------------------


def test_statements_are_split_and_filled() -> None:
    """As the official plugins do."""
    user = NewUser(
        username="v-app",
        password=Secret("pa-ss"),
        expiration=MOMENT,
        commands=("CREATE '{{name}}' '{{password}}' UNTIL '{{expiration}}'; GRANT x TO {{username}}",),
    )
    assert user.statements() == (
        "CREATE 'v-app' 'pa-ss' UNTIL '2026-11-28 20:47:08+0000'",
        "GRANT x TO v-app",
    )
    assert "pa-ss" not in repr(user)


def test_no_statements_is_the_default_or_an_error() -> None:
    """A user that nothing creates must not be handed out."""
    with pytest.raises(UserError, match="empty creation statements"):
        NewUser(username="v", password=Secret("p")).statements()
    change = PasswordChange(username="v", password=Secret("p"))
    assert change.statements(default=["ALTER {{name}} '{{password}}'"]) == ("ALTER v 'p'",)
    later = ExpirationChange(username="v", expiration=None)
    assert later.statements(default=["X {{expiration}}"]) == ("X ",)
    with pytest.raises(UserError, match="empty revocation statements"):
        UserDeletion(username="v", commands=(" ;",)).statements()


@pytest.mark.parametrize("placeholder", ["{{nam}}", "{{ name }}", "{{password}}"])
def test_an_unknown_placeholder_is_refused(placeholder: str) -> None:
    """A user of that name would be made, or dropped in place of the one that is meant."""
    with pytest.raises(UserError, match=r"unknown placeholder .* there are {{name}}, {{username}}$"):
        UserDeletion(username="v", commands=(f'DROP ROLE "{placeholder}"',)).statements()


@pytest.mark.parametrize("kind", ["rsa_private_key", "client_certificate"])
def test_a_user_without_a_password_gets_no_empty_one(kind: str) -> None:
    """Anybody could log in: statements that were written for passwords are refused."""
    user = NewUser(
        username="v",
        password=Secret(""),
        credential_type=CredentialType(kind),
        commands=("CREATE '{{name}}' PASSWORD '{{password}}'",),
    )
    with pytest.raises(UserError, match=r"unknown placeholder {{password}}"):
        user.statements()


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a\\b", "a`b", "a\0b", "a\nb", "a$$b"])
def test_a_value_that_could_end_a_quoted_text_is_refused(name: str) -> None:
    """Whatever it comes from: names of static roles, passwords of a policy."""
    with pytest.raises(InternalError, match="cannot carry safely") as refused:
        UserDeletion(username=name, commands=("DROP '{{name}}'",)).statements()
    assert name not in str(refused.value)


# --- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("near 'hunter2-and-more-of-it'", "near '[password]'"),
        ("cut hunter2-and-mo", "cut [password]"),
        ("more-of-it at the beginning", "[password] at the beginning"),
        ("twice hunter2-and-more-of-it hunter2-and-more-of-it", "twice [password] [password]"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_a_long_secret_is_masked_whole_and_in_pieces(text: str, shown: str) -> None:
    """Databases quote statements cut off."""
    assert hide_secrets(text, {"hunter2-and-more-of-it": "password"}) == shown


@given(st.text(), st.text(), st.text(min_size=1, max_size=40))
def test_a_secret_is_masked_wherever_it_is(before: str, after: str, secret: str) -> None:
    """Whatever is around it, and whatever it consists of; unless the mask itself has it."""
    shown = hide_secrets(before + secret + after, {secret: "password"})
    assert secret not in shown or secret in "[password]"
    if len(secret) >= LONG:
        pieces = {secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)}
        assert not [piece for piece in pieces if piece in shown and piece not in "[password]"]


def test_a_secret_is_masked_in_every_form() -> None:
    """As it stands in a URL, in a literal of SQL, and in Python's quotes; a short one as a whole."""
    secrets = {"it's a/b": "password", "x": "private_key"}
    text = "it's a/b, it''s a/b, it%27s%20a%2Fb, it%27s+a%2Fb, x"
    assert hide_secrets(text, secrets) == "[password], [password], [password], [password], [private_key]"


@pytest.mark.parametrize(
    ("url", "text", "shown"),
    [
        ("pg://u:s3cr/et-word@h", "no port: 's3cr', no path: 'et-word@h'", "no port: '', no path: '@h'"),
        ("pg://h/?password=s3cr%zz&no=1", "token: s3cr%zz, no", "token: , no"),
        ("host=h password=s3cr et-word", 'missing "=" after "et-word" of h', 'missing "=" after "" of h'),
        ("password='s3cr et-word' host=s3cr-h", "s3cr et-word, et-word", ", "),
        ("password = s3cr host = h", "s3cr at h", " at h"),
    ],
)
def test_passwords_of_urls_that_are_wrong_are_hidden(url: str, text: str, shown: str) -> None:
    """A driver quotes the part that it does not understand."""
    found = secrets_of(None, {"connection_url": url})
    assert hide_secrets(text, found).replace("[password]", "") == shown


def test_what_is_quoted_of_a_fresh_password_is_hidden_however_short() -> None:
    """Statements that lack quotes have a database complain of a part. Of a lasting one, pieces stay."""
    password, text = "a1b2c3-D4e5F6-g7h8i9", 'syntax error at or near "D4e5F6" of "role"'
    shown = hide_secrets(text, {password: "password"}, [password])
    assert shown == 'syntax error at or near "[password]" of "role"'
    assert hide_secrets(text, {password: "password"}) == text
    assert hide_secrets('"role"', {}, ["a role"]) == '"role"'  # a short one is masked whole


@pytest.mark.parametrize(
    "text", ["can't read '{}'", 'near "(" "{}"', "bei \xbb{}\xab", "de \xab {} \xbb", "`{}`"]
)
def test_a_quoted_piece_is_found_behind_other_marks_and_in_other_languages(text: str) -> None:
    """PostgreSQL and MySQL speak the language of their server; an apostrophe begins no quotation."""
    password = "a1b2c3-D4e5F6-g7h8i9"
    shown = hide_secrets(text.format("D4e5F6"), {password: "password"}, [password])
    assert "D4e5F6" not in shown
    assert hide_secrets(text.format("role"), {password: "password"}, [password]) == text.format("role")


def test_a_secret_is_masked_in_a_text_whose_white_space_was_made_one() -> None:
    """As in a file of a password that ends with a newline."""
    error = ShelfError("no s3\tcret, nor hunter2\n")
    text = failure_text(
        error, (ShelfError,), {"s3\tcret": "password", "hunter2\n": "password"}, what="", connection=""
    )
    assert text == "no [password], nor [password]"


def test_a_long_url_is_searched_in_little_time() -> None:
    """Who may configure one connection cannot stop the others: a quadratic search would take minutes."""
    began = time.process_time()
    for url in ("://" + ":" * 200_000, "password=" + " a" * 200_000, "password" + " " * 200_000):
        secrets_of(None, {"connection_url": url})
    assert time.process_time() - began < 20


def test_the_text_of_a_database_is_searched_up_to_a_length() -> None:
    """It may send any; what is left of a secret where the text is cut off is not shown."""
    secret = "0123456789abcdefghijklmnopqrstuvwxyz" * 300
    text = failure_text(
        ShelfError(secret), (ShelfError,), {secret: "password"}, what="creating", connection="a"
    )
    assert not set(text) - set("[password]")


def test_the_secrets_of_a_connection() -> None:
    """Those of its fields, and a password in its URL, whether the settings are right or not."""
    raw = {"password": "p", "private_key": "k", "connection_url": "pg://u:in-url@host/db", "port": 1}
    assert secrets_of(None, raw) == {"p": "password", "k": "private_key", "in-url": "password"}
    for url in ("pg://{{username}}:{{password}}@h/db", "pg://u:in-url{{password}}@h/db"):
        secrets = secrets_of(None, {"connection_url": url})
        assert hide_secrets("password authentication failed", secrets) == "password authentication failed"
    assert secrets == {"in-url": "password"}
    assert secrets_of(Settings(host="h"), {}) == {}
    assert secrets_of(Settings(host="h", password=4711), {"password": 4711}) == {"4711": "password"}
