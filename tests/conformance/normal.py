"""Answers without what differs from run to run: ids, tokens and times become numbered placeholders.

The same id gets the same placeholder within one case, so that relations between answers stay visible.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Normalizer"]

_PATTERNS = {
    "token": re.compile(r"hv[sb]\.[A-Za-z0-9_-]{8,}"),
    "uuid": re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    "mount": re.compile(r"\b(?:auth_)?[a-z]+_[0-9a-f]{8}\b"),
    "cluster": re.compile(r"\bvault-cluster-[0-9a-f]{8}\b"),
    "lease": re.compile(r"\bh[0-9a-f]{64}\b"),
    "accessor": re.compile(r"\b[A-Za-z0-9]{24}\b"),
}
_USER = re.compile(r"\bv-[a-z]+-[A-Za-z0-9_.]+-[A-Za-z0-9]{20}-\d{10}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_DURATION = re.compile(r'"((?:\d+h)?(?:\d+m)?(?:\d+s)?)"')
_PART = re.compile(r"(\d+)([hms])")
_REFERENCE = re.compile(r"\(request [0-9a-f]{8}\)")
_ONLY_ELAPSED = re.compile(r'TTL of "(\d+s)" exceeded the effective max_ttl of "\1"')
_LEFT = frozenset({"ttl", "lease_duration", "lease_ttl"})
_MOMENTS = frozenset({"creation_time", "last_renewal_time", "server_time_utc"})
_HASHES = frozenset({"running_sha256", "sha256", "running_plugin_version", "command"})
_GENERATED = frozenset({"password", "rsa_private_key"})
STEP = 5
"""Seconds: what is left of a lifetime is rounded up to these, since a test takes some of it."""


class Normalizer:
    """Normalizes the answers of one case."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def value(self, value: Any, key: str = "") -> Any:
        """Return the value without what varies."""
        if key == "custom_metadata" and not value:
            return None  # a server shows `{}` until it has read it from its storage
        if isinstance(value, dict):
            return {self.text(name): self.value(each, name) for name, each in sorted(value.items())}
        if key == "warnings" and isinstance(value, list):
            # A renewal is told so once a second of the token's longest lifetime has passed.
            kept = [each for each in map(self.text, value) if not _ONLY_ELAPSED.match(each)]
            return kept if kept or not value else None
        if isinstance(value, list):
            return [self.value(each, key) for each in value]
        if isinstance(value, str):
            if key in _GENERATED and len(value) >= 20:
                return f"<{key}>"
            return f"<{key}>" if key in _HASHES else self.text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if key == "modify_index":  # a server counts some changes of other groups
                return "<index>"
            if key in _MOMENTS:
                return "<moment>"
            if key in _LEFT:
                return rounded(value)
        return value

    def text(self, text: str) -> str:
        """Return the text without what varies."""
        text = _USER.sub("<user>", text)
        for kind, pattern in _PATTERNS.items():
            text = pattern.sub(lambda match, kind=kind: self._placeholder(kind, match[0]), text)
        text = _DURATION.sub(lambda match: f'"{rounded(_seconds(match[1]))}s"' if match[1] else '""', text)
        return _REFERENCE.sub("(request <reference>)", _TIME.sub("<time>", text))

    def _placeholder(self, kind: str, found: str) -> str:
        if found not in self._seen:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._seen[found] = f"<{kind} {self._counts[kind]}>"
        return self._seen[found]


def rounded(seconds: int) -> int:
    """Return the seconds, rounded up to the next step."""
    return -(-seconds // STEP) * STEP


def _seconds(duration: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in _PART.findall(duration))
