"""Values of the API as texts, for the page and the command line: pairs, masked tokens, explained logins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from authkit.values import Value

__all__ = [
    "Explained",
    "Granted",
    "Step",
    "masked",
    "reference_in",
    "shown_entity",
    "shown_pairs",
    "shown_settings",
]

SHOWN_OF_TOKEN = 8
"""Characters of a masked token: enough to tell two apart."""

_REFERENCE = re.compile(r"\(reference ([A-Za-z0-9_-]{4,64})\)")

_ORDER = ("time", "role", "remote_addr", "expected", "had", "error", "detail")
"""Of the members of an explanation; others follow them."""


class Granted(Value, frozen=True):
    """The result of a login. Read from its answer."""

    token: str
    accessor: str
    renewable: bool
    entity_id: str
    facts: list[tuple[str, str]]
    warnings: list[str]

    unshown: ClassVar = ("token",)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Granted:
        """Parse the answer to a login. Missing parts are empty."""
        auth = answer.get("auth") or {}
        facts = {
            "Policies": auth.get("policies"),
            "Identity policies": auth.get("identity_policies"),
            "Type": auth.get("token_type"),
            "Lifetime": _duration(auth.get("lease_duration")),
            "Renewable": auth.get("renewable"),
            "Uses": auth.get("num_uses") or "not limited",
            "Metadata": auth.get("metadata"),
            "Accessor": auth.get("accessor"),
        }
        return cls(
            token=str(auth.get("client_token", "")),
            accessor=str(auth.get("accessor", "")),
            renewable=auth.get("renewable") is True,
            entity_id=str(auth.get("entity_id", "")),
            facts=shown_pairs(facts),
            warnings=[str(text) for text in answer.get("warnings") or []],
        )


class Step(Value, frozen=True):
    """One check of an explained login."""

    title: str
    passed: bool | None
    """`None` if the explanation does not say."""
    facts: list[tuple[str, str]]
    """What was expected, what was had, and why it failed."""

    @property
    def verdict(self) -> str:
        """`passed`, `failed`, or empty."""
        return "" if self.passed is None else "passed" if self.passed else "failed"


class Explained(Value, frozen=True):
    """An explained login, as the page and `authkit explain` show it. Read from the answer."""

    allowed: bool
    facts: list[tuple[str, str]]
    steps: list[Step]

    @property
    def verdict(self) -> str:
        """The sentence that says so."""
        return "The login is allowed." if self.allowed else "The login is denied."

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Explained:
        """Parse an explanation. Missing parts are empty; a login is denied unless it says `allowed`."""
        checks = answer.get("checks")
        facts = {name: value for name, value in answer.items() if name not in ("allowed", "checks")}
        return cls(
            allowed=answer.get("allowed") is True,
            facts=_named(facts),
            steps=[_step(each) for each in checks] if isinstance(checks, list) else [],
        )


def masked(token: str) -> str:
    """Return the beginning of a token."""
    return token[:SHOWN_OF_TOKEN] + "…" if len(token) > SHOWN_OF_TOKEN else "…"


def shown_pairs(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts. Entries without a value are dropped."""
    return [(name, _text(value)) for name, value in data.items() if value not in (None, "", [], {})]


def shown_settings(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return settings that are neither empty nor zero nor false."""
    return shown_pairs({name: value for name, value in data.items() if value})


def shown_entity(entity: Mapping[str, Any], groups: list[str]) -> list[tuple[str, str]]:
    """Return the settings of an entity to show, with the names of its groups."""
    aliases = entity.get("aliases")
    facts = {
        "Name": entity.get("name"),
        "Aliases": [
            f"{alias.get('name')} at {alias.get('mount_path')}"
            for alias in (aliases if isinstance(aliases, list) else [])
            if isinstance(alias, Mapping)
        ],
        "Groups": groups,
        "Policies": entity.get("policies"),
        "Metadata": entity.get("metadata"),
        "Disabled": entity.get("disabled") or None,
        "Id": entity.get("id"),
    }
    return shown_pairs(facts)


def reference_in(texts: Sequence[str]) -> str:
    """Return the reference that explains a denial; empty without one."""
    found = _REFERENCE.search(" ".join(texts))
    return found[1] if found else ""


def _step(value: object) -> Step:
    if not isinstance(value, Mapping):
        return Step(_text(value), None, [])
    passed = value.get("passed")
    rest = {key: each for key, each in value.items() if key not in ("name", "passed")}
    return Step(
        title=_text(value.get("name") or "check"),
        passed=passed if isinstance(passed, bool) else None,
        facts=_named(rest),
    )


def _named(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the members of an explanation in a fixed order, the well-known ones first."""
    ordered = {name: data[name] for name in _ORDER if name in data} | dict(data)
    return [(name.replace("_", " "), text) for name, text in shown_pairs(ordered)]


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(filter(None, parts)) or "without end"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(member)}" for key, member in value.items())
    if isinstance(value, Sequence):
        return ", ".join(map(_text, value))
    return json.dumps(value, default=str)
