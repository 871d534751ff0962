"""The smallest example as a plugin of one file on a real server: a shebang, and the example as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from canaries import canary
from livebed.client import Client, ServerError
from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shared_pin" / "shared_pin.py"
PIN, WRONG_PIN = canary("pin"), canary("wrong-pin")


@dataclass(frozen=True)
class Teams:
    """A mount of the example with the team `dev`."""

    server: Server
    plugin: Plugin
    path: str

    @property
    def client(self) -> Client:
        """The operator's client."""
        return self.server.client

    def write(self, name: str, **fields: Any) -> None:
        """Write a team."""
        self.client.secrets.extend(fields[key] for key in ("pin",) if key in fields)
        self.client.write(f"auth/{self.path}/role/{name}", **fields)

    def login(self, role: str = "dev", member: str = "alice", pin: str = PIN) -> dict[str, Any]:
        """Log in; return the `auth` of the answer."""
        answer = self.client.login_answer(self.path, role=role, member=member, pin=pin)
        auth: dict[str, Any] = answer["auth"]
        return auth


@pytest.fixture(scope="module")
def teams(server: Server) -> Iterator[Teams]:
    """The example, registered and enabled as an operator would do it."""
    plugin = python_plugin(server.plugin_directory, "shared_pin", EXAMPLE.read_text())
    plugin.register(server.client)
    mount = Teams(server, plugin, "pins")
    server.client.write(f"sys/auth/{mount.path}", type=plugin.name)
    mount.write("dev", pin=PIN, token_policies=["dev"], token_ttl="1h")
    yield mount
    server.client.delete(f"sys/auth/{mount.path}")


def test_right_pin_logs_in(teams: Teams) -> None:
    """Who knows the PIN gets the team's token and an entity of their own, whatever the case of their name."""
    auth = teams.login()

    assert auth["policies"] == ["default", "dev"]
    assert auth["metadata"]["team"] == "dev"
    assert (auth["lease_duration"], auth["renewable"]) == (3600, True)
    assert teams.login(member="ALICE")["entity_id"] == auth["entity_id"]
    assert teams.login(member="bob")["entity_id"] != auth["entity_id"]
    entity = teams.client.read(f"identity/entity/id/{auth['entity_id']}")
    assert [alias["name"] for alias in entity["aliases"]] == ["dev/alice"]
    seen = teams.client.with_token(auth["client_token"]).read("auth/token/lookup-self")
    assert seen["display_name"] == f"{teams.path}-dev/alice"


@pytest.mark.parametrize("pin", [WRONG_PIN, PIN[:-1], PIN + "1", PIN.upper(), " " + PIN])
def test_wrong_pin_is_denied(teams: Teams, pin: str) -> None:
    """Any other PIN is 403 and says nothing more."""
    with pytest.raises(ServerError) as refused:
        teams.login(pin=pin)

    assert refused.value.status == 403
    assert refused.value.errors == ["permission denied"]


def test_server_locks_nobody_out(teams: Teams) -> None:
    """The server counts failures of its own methods only: below the plugin's limit nothing is held back."""
    for _ in range(8):
        with pytest.raises(ServerError) as refused:
            teams.login(pin=WRONG_PIN)
        assert refused.value.status == 403

    assert teams.login()["policies"] == ["default", "dev"]


def test_too_many_wrong_pins_hold_back_that_team(teams: Teams) -> None:
    """Above the limit in the configuration the team gets 429, the right PIN included; no other team does."""
    teams.write("tried", pin=PIN)
    teams.write("other", pin=PIN)
    teams.client.write(f"auth/{teams.path}/config", wrong_pins=3)
    stranger = teams.client.with_token("")
    statuses = []
    try:
        for pin in (WRONG_PIN, WRONG_PIN, PIN, WRONG_PIN, WRONG_PIN, PIN):
            body = {"role": "tried", "member": "alice", "pin": pin}
            statuses.append(stranger.raw("POST", f"auth/{teams.path}/login", body).status_code)
        assert teams.login("other")["metadata"]["team"] == "other"
    finally:
        teams.client.delete(f"auth/{teams.path}/config")

    assert statuses == [403, 403, 200, 403, 429, 429]
    assert teams.login("tried")["metadata"]["team"] == "tried"


@pytest.mark.parametrize("missing", ["role", "member", "pin"])
def test_incomplete_login_is_refused(teams: Teams, missing: str) -> None:
    """A login without one of its parts is the caller's mistake, and names the part."""
    body = {"role": "dev", "member": "alice", "pin": PIN}
    del body[missing]

    with pytest.raises(ServerError, match=missing) as refused:
        teams.client.login_answer(teams.path, **body)

    assert refused.value.status == 400


def test_pin_is_never_shown(teams: Teams) -> None:
    """Reading a team shows its token parameters and not its PIN, in the API and in the command line."""
    answer = teams.client.raw("GET", f"auth/{teams.path}/role/dev")

    assert answer.json()["data"]["token_policies"] == ["dev"]
    assert PIN not in answer.text
    assert PIN not in teams.client.cli("read", f"auth/{teams.path}/role/dev")
    assert "dev" in teams.client.list(f"auth/{teams.path}/role")


def test_team_needs_a_pin(teams: Teams) -> None:
    """A team without a PIN would let everybody in: it is refused, and so is taking the PIN away."""
    for name, fields in (("open", {}), ("open", {"pin": ""}), ("dev", {"pin": ""})):
        with pytest.raises(ServerError, match="pin") as refused:
            teams.client.write(f"auth/{teams.path}/role/{name}", **fields)
        assert refused.value.status == 400

    assert "open" not in teams.client.list(f"auth/{teams.path}/role")
    assert teams.login()["policies"] == ["default", "dev"]


def test_changing_a_team_keeps_its_pin_and_the_new_pin_counts(teams: Teams) -> None:
    """A write of something else leaves the PIN; a new PIN counts at once, and the old one no longer."""
    changed = "1234-after-somebody-has-left"
    teams.write("ops", pin=PIN, token_ttl="1h")
    teams.write("ops", token_ttl="30m")
    assert teams.login("ops")["lease_duration"] == 1800

    teams.write("ops", pin=changed)

    assert teams.login("ops", pin=changed)["lease_duration"] == 1800
    with pytest.raises(ServerError) as refused:
        teams.login("ops")
    assert refused.value.status == 403


def test_renewal_ends_with_the_team(teams: Teams) -> None:
    """A renewal takes the lifetimes of today while the team exists, and is refused with 400 afterwards."""
    teams.write("brief", pin=PIN, token_ttl="1h")
    auth = teams.login("brief")
    teams.write("brief", token_ttl="20m")
    assert (
        teams.client.write("auth/token/renew", token=auth["client_token"])["auth"]["lease_duration"] == 1200
    )

    teams.client.delete(f"auth/{teams.path}/role/brief")

    with pytest.raises(ServerError, match="role brief does not exist during renewal") as refused:
        teams.client.write("auth/token/renew", token=auth["client_token"])
    assert refused.value.status == 400


def test_member_who_has_left(teams: Teams) -> None:
    """Who has left the team is refused at login, and at the renewal of a token from before."""
    teams.write("crew", pin=PIN, token_ttl="1h")
    leaver, stayer = teams.login("crew", member="Lena"), teams.login("crew", member="stan")
    teams.write("crew", left=["LENA"])

    with pytest.raises(ServerError) as refused:
        teams.login("crew", member="lena")
    assert refused.value.status == 403
    with pytest.raises(ServerError) as refused:
        teams.client.write("auth/token/renew", token=leaver["client_token"])
    assert refused.value.status == 403

    renewed = teams.client.write("auth/token/renew", token=stayer["client_token"])
    assert renewed["auth"]["lease_duration"] == 3600


def test_teams_survive_a_reload(teams: Teams) -> None:
    """Another process knows the teams and renews the tokens of the one before it."""
    auth = teams.login()

    teams.client.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"auth/{teams.path}/"]})

    assert teams.login()["entity_id"] == auth["entity_id"]
    assert (
        teams.client.write("auth/token/renew", token=auth["client_token"])["auth"]["lease_duration"] == 3600
    )


def test_no_pin_reaches_the_log(teams: Teams) -> None:
    """Neither right nor wrong PINs are in the server's log, where the plugin logs at every level."""
    teams.login()
    with pytest.raises(ServerError):
        teams.login(pin=WRONG_PIN)
    with pytest.raises(ServerError):
        teams.login(role="nobody")
    teams.client.raw(
        "POST", f"auth/{teams.path}/login", {"role": {"x": PIN}, "member": [PIN], "pin": {PIN: 1}}
    )

    log = teams.server.log()

    assert PIN not in log
    assert WRONG_PIN not in log
