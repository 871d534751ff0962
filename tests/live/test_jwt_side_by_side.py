"""The same requests to the official JWT plugin and to ours, on one real server: the answers are the same.

What is meant to differ is listed in docs/jwt-differences.md, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from identity_provider import serve_provider
from jwt_requests import World, requests
from livebed.binaries import find_built
from livebed.factories import our_plugin
from livebed.plugins import go_peer
from livebed.server import Server
from livebed.sidebyside import Answer, Step, make, mounted, send
from livebed.starts import make_certificate
from livebed.tokens import Issuer, usual_issuer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jwt-differences.md"
AT_LEAST = 200
MORE_FIELDS: dict[str, dict[str, Any]] = {
    "role": {
        "bound_issuers": [],
        "bound_token_type": "any",
        "callback_mode": "client",
        "oidc_disable_confirmation": False,
        "poll_interval": 0,
        "renew_at_provider": False,
        "shares_groups_across_issuers": False,
        "shares_users_across_issuers": False,
        "token_strictly_bind_ip": False,
    },
    "config": {"allow_plaintext_key_sources": False, "oidc_client_authentication": ""},
}
"""The row `more-fields` of the page: what reads of ours show beside what the official plugin shows."""
FIELD = re.compile(r'(?:Field validation failed: )?error converting input for field "\w+": ')
"""The row `field-texts` of the page."""
OWN_WARNING = re.compile("begins with http://|were reset to their defaults")
"""The rows `plaintext` and `resets` of the page."""
REFERENCE = re.compile(r" \(reference [a-z2-9]{8}\)$")
"""The row `reference` of the page."""


def test_both_plugins_answer_alike(server: Server) -> None:
    """Every request of jwt_requests.py: the same status and body, or the difference that the page names."""
    binary = find_built("jwt-peer")
    if binary is None:
        pytest.skip("the Go plugin is not built: run scripts/live/build jwt-peer")
    failures, sent = [], 0
    with (
        mounted(server, our_plugin(server)) as ours,
        mounted(server, go_peer(server.plugin_directory, binary)) as peer,
        make_world() as world,
    ):
        for number, step in enumerate(requests(world)):
            body = make(step.body)
            answers = send(step, body, peer), send(step, body, ours)
            sent += 1
            fault = compare(step, *answers)
            if fault:
                failures.append(f"#{number} {step}\n   {fault}\n   peer: {answers[0]}\n   ours: {answers[1]}")
    assert not failures, f"{len(failures)} of {sent} differ:\n" + "\n".join(failures)
    assert sent >= AT_LEAST


def test_the_page_and_the_requests_name_the_same_differences() -> None:
    """Each row of the page is shown by a request, and each difference that a request names has its row."""
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))
    with make_world() as world:
        named = {step.differs for step in requests(world)} - {""}
    assert rows == named | {"field-texts", "more-fields", "reference", "resets"}


def compare(step: Step, peer: Answer, ours: Answer) -> str:
    """Return what is wrong with two answers, nothing when they are as they should be."""
    ours = without_own_warnings(without_reference(ours))
    if FIELD.match(peer.text):
        # How a value fails to be a text or a number is told in Go's words and in ours.
        same_field = FIELD.match(peer.text)[0] == (FIELD.match(ours.text) or [""])[0]
        return "" if peer.status == ours.status and same_field else "another field, or none"
    if step.differs == "help":
        missing = fields_of(peer) - fields_of(ours)
        return f"no field {missing}" if missing or ours.status != peer.status else ""
    if step.differs == "wording":
        same_start = peer.text.partition(":")[0] == ours.text.partition(":")[0]
        return "" if peer != ours and peer.status == ours.status and same_start else "more than wording"
    if step.differs:
        if peer == ours:
            return f"there is no difference {step.differs!r}"
        return "" if step.ours and str(ours).startswith(step.ours) else f"ours is not {step.ours!r}"
    return "" if peer == without_more_fields(step, ours) else "they differ"


def fields_of(answer: Answer) -> set[str]:
    """Return paths, and fields with their types, of the document in an answer to a request for help."""
    document = answer.body["openapi"]
    found = set()
    for path, item in document["paths"].items():
        if path == "/oidc/callback":
            continue  # its fields are the provider's
        for operation in (each for each in item.values() if isinstance(each, dict)):
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            schema = body.get("schema", {})
            name = schema.get("$ref", "").rpartition("/")[2]
            schema = document["components"]["schemas"].get(name, schema)
            for field, described in schema.get("properties", {}).items():
                found.add(f"{path} {field} {described.get('type')}")
    return found


def without_reference(answer: Answer) -> Answer:
    """Return our answer without the reference of a denied login."""
    body = {"errors": [REFERENCE.sub("", answer.text)]} if REFERENCE.search(answer.text) else answer.body
    return replace(answer, body=body)


def without_own_warnings(answer: Answer) -> Answer:
    """Return our answer without the warnings of the rows `plaintext` and `resets`: empty without others."""
    warnings = answer.body.get("warnings") if isinstance(answer.body, dict) else None
    if not warnings or not all(OWN_WARNING.search(warning) for warning in warnings):
        return answer
    return Answer(204, None)


def without_more_fields(step: Step, answer: Answer) -> Answer:
    """Return our answer to a read without the fields that only ours has, if they have their defaults."""
    more = MORE_FIELDS.get(step.path.partition("/")[0], {})
    if step.method != "GET" or not isinstance(answer.body, dict) or not answer.body.get("data"):
        return answer
    data = {name: value for name, value in answer.body["data"].items() if (name, value) not in more.items()}
    return replace(answer, body={**answer.body, "data": data})


@contextmanager
def make_world() -> Iterator[World]:
    """Return what the requests speak of: keys, certificates, the provider."""
    certificate = make_certificate()[0].public_bytes(Encoding.PEM).decode()
    issuer, second, stranger = usual_issuer(), Issuer.ec("two"), Issuer.rsa("stranger")
    with serve_provider(issuer.jwk, second.jwk) as provider:
        yield World(issuer, second, stranger, provider, certificate, certificate)
