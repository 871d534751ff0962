"""The same requests to the method of examples/shared_pin and to the same method in Go: the same answers.

What differs is listed in docs/why.md, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livebed.binaries import find_built
from livebed.client import ServerError
from livebed.pin_methods import pin_in_go, pin_in_python
from livebed.server import Server
from livebed.sidebyside import Answer, Side, Step, mounted, send

PAGE = Path(__file__).resolve().parents[2] / "docs" / "why.md"
UNREADABLE = re.compile("(Field validation failed: )?error (converting input for field|parsing address)")
LONG = re.compile('.* converting input for field "role": longer than 1024 characters')
IGNORED = "Endpoint ignored these unrecognized parameters: [unknown]"
PIN, OTHER_PIN, WRONG_PIN = "4711-only-the-team-knows", "1234-after-somebody-has-left", "0815-a-guess"


def login(*, role: str = "dev", member: str = "ann", pin: str = PIN, keep: str = "") -> Step:
    """Return a login."""
    body = {"role": role, "member": member, "pin": pin}
    return Step(method="POST", path="login", body=body, as_login=True, keep=keep)


def requests() -> Iterator[Step]:
    """All of them, in their order."""
    yield from configuration()
    yield from roles()
    yield from logins()
    yield from limits()
    yield from renewals()


def write(path: str, **fields: Any) -> Step:
    """Return a write."""
    return Step(method="POST", path=path, body=fields)


def read(path: str) -> Step:
    """Return a read."""
    return Step(method="GET", path=path)


def configuration() -> Iterator[Step]:
    """Limits are written, read and deleted."""
    yield read("config")
    yield write("config", wrong_pins=3)
    yield read("config")
    yield write("config")
    yield read("config")
    yield write("config", wrong_pins="7")
    yield read("config")
    yield write("config", wrong_pins="many")
    yield write("config", wrong_pins=None)
    yield read("config")
    yield Step(method="DELETE", path="config")
    yield read("config")
    yield Step(method="DELETE", path="config")


def roles() -> Iterator[Step]:
    """Teams with their token parameters."""
    yield Step(method="LIST", path="role")
    yield read("role/dev")
    yield write("role/dev")
    yield write("role/dev", pin="")
    yield write("role/dev", pin=PIN)
    yield read("role/dev")
    yield write("role/dev", pin="")
    yield write("role/dev", token_policies="dev,ops", token_ttl="1h", left="Eve, bob")
    yield read("role/dev")
    yield write("role/dev", left=["zoe"], token_max_ttl=7200, token_num_uses=3, token_no_default_policy=True)
    yield read("role/dev")
    yield write("role/dev", token_ttl="3h")
    yield write("role/dev", token_ttl="soon")
    yield write("role/dev", token_period="-1s")
    yield write("role/dev", token_max_ttl="9000h")
    yield read("role/dev")
    yield write("role/dev", token_type="batch")
    yield write("role/dev", token_num_uses=0, token_type="batch")
    yield write("role/dev", token_type="nonsense")
    yield write("role/dev", token_bound_cidrs="not an address")
    yield write("role/dev", token_bound_cidrs=["10.0.0.0/8", "127.0.0.1"])
    yield read("role/dev")
    yield write("role/dev", unknown="field")
    yield write("role/OPS", pin=PIN)
    yield read("role/ops")
    yield Step(method="LIST", path="role")
    yield Step(method="GET", path="role?list=true")
    yield Step(method="DELETE", path="role/ops")
    yield Step(method="DELETE", path="role/ops")
    yield read("role/ops")
    yield Step(method="DELETE", path="role/dev")
    yield write("role/a!b", pin=PIN)
    yield read("nowhere")
    yield Step(method="DELETE", path="login")


def logins() -> Iterator[Step]:
    """Who gets in, and what the others are told."""
    yield write("role/dev", pin=PIN, token_policies="dev", token_ttl="1h", left="Eve")
    yield login(keep="first")
    yield Step(method="POST", path="/auth/token/lookup", use="first")
    yield login(member="ANN")
    yield login(role="DEV")
    yield login(member="ann/../bob")
    yield login(pin=WRONG_PIN)
    yield login(pin=PIN + " ")
    yield login(pin=PIN.upper())
    yield login(member="eve")
    yield login(member="EVE", pin=WRONG_PIN)
    yield login(role="nobody")
    yield login(role="..")
    yield login(role="x" * 1025)
    yield login(member="  Ann\n")
    yield Step(method="POST", path="login", body={"role": "dev", "member": 5, "pin": [PIN]}, as_login=True)
    for missing in ("role", "member", "pin"):
        body = {"role": "dev", "member": "ann", "pin": PIN}
        del body[missing]
        yield Step(method="POST", path="login", body=body, as_login=True)
        yield Step(method="POST", path="login", body={**body, missing: ""}, as_login=True)
    yield Step(method="POST", path="login", body={}, as_login=True)
    yield Step(method="GET", path="login", as_login=True)
    yield write("role/far", pin=PIN, token_bound_cidrs="10.0.0.0/8")
    yield login(role="far")
    yield login(role="far", pin=WRONG_PIN)
    yield write("role/near", pin=PIN, token_bound_cidrs="127.0.0.0/8")
    yield login(role="near")
    yield write("role/batch", pin=PIN, token_type="batch", token_ttl="10m")
    yield login(role="batch")
    yield write("role/uses", pin=PIN, token_num_uses=2, token_explicit_max_ttl="2h", token_period="1h")
    yield login(role="uses")


def limits() -> Iterator[Step]:
    """Wrong PINs are counted for each team."""
    yield write("role/tried", pin=PIN)
    yield write("config", wrong_pins=2)
    for pin in (WRONG_PIN, PIN, WRONG_PIN, WRONG_PIN, PIN):
        yield login(role="tried", pin=pin)
    yield login(role="near")
    yield Step(method="DELETE", path="config")
    yield login(role="tried")


def renewals() -> Iterator[Step]:
    """They follow the team as it is now."""
    yield write("role/crew", pin=PIN, token_ttl="1h", token_max_ttl="5h")
    yield login(role="crew", member="ann", keep="ann")
    yield login(role="crew", member="Bob", keep="bob")
    yield write("role/crew", token_ttl="20m")
    yield Step(method="POST", path="/auth/token/renew", use="ann")
    yield Step(method="POST", path="/auth/token/renew", body={"increment": "10m"}, use="ann")
    yield write("role/crew", left="BOB")
    yield Step(method="POST", path="/auth/token/renew", use="bob")
    yield login(role="crew", member="bob")
    yield write("role/crew", pin=OTHER_PIN, token_period="30m")
    yield Step(method="POST", path="/auth/token/renew", use="ann")
    yield login(role="crew", member="ann")
    yield login(role="crew", member="ann", pin=OTHER_PIN)
    yield Step(method="DELETE", path="role/crew")
    yield Step(method="POST", path="/auth/token/renew", use="ann")


@pytest.fixture
def sides(server: Server) -> Iterator[tuple[Side, Side]]:
    """The method in Go and the one in Python, mounted on one server."""
    binary = find_built("shared-pin")
    if binary is None:
        pytest.skip("the method in Go is not built: run scripts/live/build shared-pin")
    folder = server.plugin_directory
    with mounted(server, pin_in_go(folder, binary)) as go, mounted(server, pin_in_python(folder)) as python:
        yield go, python


def test_both_answer_alike(sides: tuple[Side, Side]) -> None:
    """Every request: the same status and body, or a difference that the page names."""
    failures, seen, steps, page = [], set(), list(requests()), PAGE.read_text()
    for number, step in enumerate(steps):
        go, python = (send(step, step.body, side) for side in sides)
        difference = name_difference(step, go, python)
        if difference is None:
            failures.append(f"#{number} {step}\n   go: {go}\n   python: {python}")
        else:
            seen.add(difference)
    assert not failures, "\n".join(failures)
    assert seen - {""} == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert f"the same {len(steps)} requests" in page


def test_both_report_the_same_alias(sides: tuple[Side, Side]) -> None:
    """The entity of a member has the same name on both mounts."""
    names = []
    for side in sides:
        side.client.write(f"auth/{side.path}/role/alike", pin=PIN)
        auth = side.client.login_answer(side.path, role="Alike", member="Ann", pin=PIN)["auth"]
        entity = side.client.read(f"identity/entity/id/{auth['entity_id']}")
        names.append([alias["name"] for alias in entity["aliases"]])
    assert names == [["alike/ann"], ["alike/ann"]]


def test_both_tell_a_server_what_exists(sides: tuple[Side, Side]) -> None:
    """Who may create, and not update, can write a team once."""
    for side in sides:
        policy = f'path "auth/{side.path}/role/*" {{ capabilities = ["create"] }}'
        side.client.write("sys/policies/acl/creator", policy=policy)
        token = side.client.write("auth/token/create", policies=["creator"])["auth"]["client_token"]
        creator = side.client.with_token(token)
        creator.write(f"auth/{side.path}/role/once", pin=PIN)
        with pytest.raises(ServerError) as refused:
            creator.write(f"auth/{side.path}/role/once", pin=OTHER_PIN)
        assert refused.value.status == 403


def name_difference(step: Step, go: Answer, python: Answer) -> str | None:
    """Return which difference of the page two answers show: none is empty, one that it has not is `None`."""
    if go == python:
        return ""
    if go.status == python.status == 400 and UNREADABLE.match(go.text) and UNREADABLE.match(python.text):
        return "texts"
    if (go.text, python.text) == ("relative paths not supported", 'role ".." could not be found'):
        return "unforeseen"
    if (go.status, python.status) == (400, 400) and LONG.fullmatch(python.text):
        return "lengths"
    if step.path.startswith("role/") and python.body and go.body and without_binding(python) == go.body:
        return "more-fields"
    if (go.status, python.status, python.body["warnings"]) == (204, 200, [IGNORED]):
        return "ignored"
    return None


def without_binding(answer: Answer) -> Any:
    """Return the body of a read without what Vault's SDK has not, if it has its default."""
    data = dict(answer.body.get("data") or {})
    return {**answer.body, "data": data} if data.pop("token_strictly_bind_ip", None) is False else None
