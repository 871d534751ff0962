"""Names of users: templates of operators, fields of strangers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.credentials import UsernameTemplate, is_safe, make_default_template, replace_unsafe
from authkit.errors import InternalError, UserError

DEFAULTS = {
    "postgresql": {"max_length": 63},
    "mysql": {"max_length": 32, "display_name": 10, "role_name": 10},
    "mysql-legacy": {"max_length": 16, "display_name": 0, "role_name": 4},
    "mssql": {"max_length": 128, "display_name": 20, "role_name": 20},
    "mongodb": {"max_length": 100, "display_name": 15, "role_name": 15},
    "cassandra": {
        "max_length": 100,
        "display_name": 15,
        "role_name": 15,
        "separator": "_",
        "case": "lower",
    },
    "redis": {"max_length": 100, "display_name": 15, "role_name": 15, "separator": "_", "case": "upper"},
    "snowflake": {"max_length": 255, "display_name": 32, "role_name": 32},
}
"""The shapes of the official plugins' defaults."""

ANYTHING = st.text(max_size=200) | st.sampled_from(
    [
        "{{.RoleName}}",
        "{{random 5}}",
        "'; DROP TABLE users;--",
        'a"b',
        "%s%d%!",
        "\0",
        "\ud800",
        "é" * 40,
        "}}",
    ]
)


def test_the_default_of_postgresql_is_that_of_the_official_plugin() -> None:
    """Operators know it, and copy it to change it."""
    assert make_default_template(max_length=63) == (
        '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) '
        "(unix_time) | truncate 63 }}"
    )


def test_a_default_name_has_its_parts() -> None:
    """Display name and role name are cut, and the time is at the end."""
    template = UsernameTemplate(make_default_template(max_length=63))
    name = template.make(display_name="userpass-bob", role_name="app")
    assert re.fullmatch(r"v-userpass-app-[A-Za-z0-9]{20}-[0-9]{10}", name)


@pytest.mark.parametrize("database", DEFAULTS)
@given(display_name=ANYTHING, role_name=ANYTHING)
def test_a_default_name_fits_whatever_the_fields_hold(
    database: str, display_name: str, role_name: str
) -> None:
    """In bytes, and two of the same fields differ."""
    limits = DEFAULTS[database]
    template = UsernameTemplate(make_default_template(**limits))  # type: ignore[arg-type]
    fields = {"display_name": display_name.replace("\0", ""), "role_name": role_name.replace("\0", "")}
    names = {template.make(**fields) for _ in range(3)}
    assert len(names) == 3
    for name in names:
        assert len(name.encode()) <= int(limits["max_length"])  # type: ignore[call-overload]
        assert name[0].lower() == "v"


def test_a_default_keeps_enough_of_its_random_part() -> None:
    """A template that long names make guessable, or equal, is refused when a plugin is written."""
    with pytest.raises(ValueError, match="fewer than 8 random characters"):
        make_default_template(max_length=128, display_name=64, role_name=64)


def test_a_separator_is_not_template() -> None:
    """It is put into the template as it is."""
    with pytest.raises(ValueError, match="separator"):
        make_default_template(max_length=63, separator='" }}')


@given(field=ANYTHING)
def test_fields_are_data(field: str) -> None:
    """What a stranger's name holds is never read as a template or a format."""
    name = UsernameTemplate("v-{{.DisplayName}}-{{.RoleName | printf `%s`}}")
    expected = re.sub("[\ud800-\udfff]", "\ufffd", f"v-{field}-{field}")
    if "\0" in field:
        with pytest.raises(InternalError, match="has a NUL"):
            name.make(display_name=field, role_name=field)
    else:
        assert name.make(display_name=field, role_name=field) == expected


@given(field=ANYTHING)
def test_names_of_cleaned_fields_are_safe(field: str) -> None:
    """So a layer that puts names into statements need not refuse anybody."""
    template = UsernameTemplate(make_default_template(max_length=63))
    name = template.make(display_name=replace_unsafe(field), role_name=replace_unsafe(field))
    assert is_safe(name)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "unable to initialize username template: missing template"),
        (
            "x" * 100_000,
            "unable to initialize username template: template too large, length of template must",
        ),
        (
            "{{.Foo}}",
            "unable to initialize username template: unable to parse template: line 1: unknown field",
        ),
        ("{{random -1}}", "invalid username template: unable to apply template: line 1: random: length must"),
        (
            "{{truncate 0 .RoleName}}",
            "invalid username template: unable to apply template: line 1: truncate: ",
        ),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_written(text: str, error: str) -> None:
    """The texts begin as a server's."""
    with pytest.raises(UserError) as caught:
        UsernameTemplate(text)
    assert str(caught.value).startswith(error)


def test_a_default_with_a_missing_argument_works() -> None:
    """That of the official MySQL plugin for old servers has one, and cuts off what Go writes for it."""
    legacy = '{{ printf "v-%s-%s-%s" (.RoleName | truncate 4) (random 20) | truncate 16 }}'
    assert re.fullmatch("v-app-[A-Za-z0-9]{10}", UsernameTemplate(legacy).make(role_name="app"))
    with pytest.raises(UserError, match=r"^invalid username template: printf has fewer arguments"):
        UsernameTemplate('{{ printf "v-%s-%s" (random 20) }}')


def test_a_separator_takes_the_place_of_hyphens() -> None:
    """For databases whose names have none."""
    template = UsernameTemplate(make_default_template(max_length=100, separator="_", case="upper"))
    assert re.fullmatch(
        "V_USER_BOB_MY_APP_[A-Z0-9]{20}_[0-9]{10}", template.make(display_name="user-bob", role_name="my-app")
    )


def test_a_template_may_need_a_field() -> None:
    """An empty name in the trial is no mistake; one that is made for a user is."""
    template = UsernameTemplate("{{.DisplayName}}")
    assert not template.is_unique()
    assert template.make(display_name="bob") == "bob"
    with pytest.raises(InternalError, match="is empty"):
        template.make()


@pytest.mark.parametrize(
    ("text", "is_unique"),
    [
        ("{{random 8}}", True),
        ("{{random 7}}", False),
        ("{{random 4}}{{random 4 | uppercase}}", True),
        ('{{printf "v-%s-%s" .DisplayName (random 20) | truncate 40}}', True),
        ("{{uuid | truncate 12}}", True),
        ("{{random 20 | sha256 | truncate 12}}", True),
        ("{{random 2 | sha256}}", False),
        ('{{printf "%063d%s" 1 (random 20)}}', False),
        ('{{if eq .DisplayName "bob"}}{{random 20}}{{end}}fixed', False),
        ("{{.DisplayName}}{{unix_time}}", False),
    ],
)
def test_what_is_random_is_counted(text: str, is_unique: bool) -> None:
    """Not what the template calls: a name needs eight characters that others do not have."""
    assert UsernameTemplate(text).is_unique() is is_unique


@pytest.mark.parametrize("text", ["{{.DisplayName}}-{{random 20}}", "{{.DisplayName}}{{uuid}}"])
def test_a_long_field_may_push_the_random_part_out(text: str) -> None:
    """PostgreSQL cuts names at 63 bytes; what fields hold counts as no random character."""
    template = UsernameTemplate(text)
    assert template.is_unique(display_name="jwt-alice")
    assert not template.is_unique(display_name="jwt-alice" * 7)
    assert not template.is_unique(display_name="\x01" * 63)


@pytest.mark.parametrize(
    "changed",
    [
        "truncate_sha256 80",
        "truncate_sha256 40 | truncate 32",
        "hex",
        "base64",
        "hex | decode_hex | truncate 60",
    ],
)
def test_what_keeps_the_order_mixes_no_random_characters_in(changed: str) -> None:
    """An encoding, and what stays before a hash, begin with the field, which others choose."""
    template = UsernameTemplate(f'{{{{printf "%s-%s" .DisplayName (random 20) | {changed}}}}}')
    assert not template.is_unique(display_name="alice" * 20)


@pytest.mark.parametrize("changed", ["truncate_sha256 40", "truncate_sha256 80", "hex", "base64", "sha256"])
def test_random_characters_count_after_a_change(changed: str) -> None:
    """As digits of a hash, or in the places that an encoding gives them."""
    template = UsernameTemplate(f'{{{{printf "%s-%s" .DisplayName (random 20) | {changed}}}}}')
    assert template.is_unique(display_name="alice")
    long = "alice" * (20 if changed in ("truncate_sha256 40", "sha256") else 2)
    assert template.is_unique(display_name=long)


@pytest.mark.parametrize(("size", "is_unique"), [(15, False), (16, True)])
def test_two_digits_are_one_character(size: int, is_unique: bool) -> None:
    """And are counted when both are there."""
    assert UsernameTemplate(f"{{{{random 20 | hex | truncate {size}}}}}").is_unique() is is_unique


def test_a_template_that_fails_later_shows_no_field() -> None:
    """The error goes to whoever asked for credentials."""
    template = UsernameTemplate("{{if .DisplayName}}{{decode_hex .DisplayName}}{{end}}{{random 8}}")
    assert template.is_unique()
    with pytest.raises(InternalError) as caught:
        template.make(display_name="stranger")
    assert str(caught.value) == (
        "unable to generate username: unable to apply template: line 1: decode_hex: "
        "the argument is not hexadecimal"
    )
