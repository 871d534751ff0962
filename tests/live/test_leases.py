"""Leased credentials of a secrets engine on a real server: issue, renewal, revocation, faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.accounts import AccountsMount
from livebed.client import ServerError
from livebed.server import Server


@pytest.fixture
def accounts(server: Server, tmp_path: Path) -> Iterator[AccountsMount]:
    """The engine, mounted, with a folder for its accounts and the role `app`."""
    with AccountsMount.enabled(server, tmp_path) as mount:
        mount.write_role("app", ttl=60, max_ttl=120)
        yield mount


def test_a_credential_is_leased(accounts: AccountsMount) -> None:
    """The answer has the lease, and the host knows it."""
    answer = accounts.issue("app")

    assert answer["lease_id"].startswith(f"{accounts.path}/creds/app/")
    assert (answer["lease_duration"], answer["renewable"]) == (60, True)
    assert answer["data"]["password"] == "pw-of-" + answer["data"]["name"]
    assert accounts.names() == [answer["data"]["name"]]
    found = accounts.lookup(answer)
    assert (found["renewable"], 50 < found["ttl"] <= 60) == (True, True)


def test_a_lease_is_renewed_within_its_limits(accounts: AccountsMount) -> None:
    """What is longer than the maximum is capped, with the host's own words."""
    lease = accounts.issue("app")

    assert accounts.renew(lease, increment=100)["lease_duration"] == 100
    until = (accounts.folder / lease["data"]["name"]).read_text()
    assert until > ""
    capped = accounts.renew(lease, increment=1000)
    assert 110 <= capped["lease_duration"] <= 120
    assert "exceeded the effective max_ttl" in capped["warnings"][0]


def test_a_renewal_needs_the_role(accounts: AccountsMount) -> None:
    """Its lifetimes are those of the role as it is."""
    lease = accounts.issue("app")
    accounts.client.delete(f"{accounts.path}/roles/app")

    with pytest.raises(ServerError, match=r'role "app" could not be found, not renewing') as refused:
        accounts.renew(lease)

    assert refused.value.status == 400
    assert "logical.Response" not in str(refused.value).replace("(*logical.Response)(nil)", "")
    assert accounts.names() == [lease["data"]["name"]]


def test_a_revoked_credential_is_gone(accounts: AccountsMount) -> None:
    """Twice, by a client that was not sure: both succeed."""
    lease = accounts.issue("app")

    for _ in range(2):
        accounts.revoke(lease)

    assert accounts.names() == []
    with pytest.raises(ServerError, match="invalid lease"):
        accounts.lookup(lease)


def test_what_is_not_there_any_more_is_revoked(accounts: AccountsMount) -> None:
    """Without the account, without the role."""
    first, second = accounts.issue("app"), accounts.issue("app")
    (accounts.folder / first["data"]["name"]).unlink()
    accounts.revoke(first)
    accounts.client.delete(f"{accounts.path}/roles/app")
    accounts.revoke(second)
    assert accounts.names() == []


def test_credentials_end_with_the_token(accounts: AccountsMount) -> None:
    """The host revokes them by itself."""
    token = accounts.client.write("auth/token/create", policies=["root"])["auth"]["client_token"]
    accounts.issue("app", token=token)
    accounts.client.with_token(token).write("auth/token/revoke-self")
    accounts.wait_for(lambda: not accounts.names())


def test_a_failed_revocation_is_tried_again(accounts: AccountsMount) -> None:
    """The lease stays until it succeeds, and is not given up."""
    accounts.write_role("app", ttl=60, fault="revoke")
    lease = accounts.issue("app")

    with pytest.raises(ServerError, match="the service is down") as refused:
        accounts.revoke(lease)

    assert refused.value.status == 400
    assert accounts.names()
    accounts.write_role("app", fault="")
    accounts.revoke(lease)
    assert accounts.names() == []


def test_a_prefix_is_revoked(accounts: AccountsMount) -> None:
    """All leases below a path, and by force those whose service is down."""
    accounts.issue("app")
    accounts.issue("app")
    accounts.client.write(f"sys/leases/revoke-prefix/{accounts.path}/creds/app")
    assert accounts.names() == []

    accounts.write_role("app", fault="revoke")
    accounts.issue("app")
    accounts.client.write(f"sys/leases/revoke-force/{accounts.path}/creds/app")
    assert len(accounts.names()) == 1


def test_unmounting_revokes_everything(accounts: AccountsMount) -> None:
    """Credentials do not outlive the mount."""
    accounts.issue("app")
    accounts.issue("app")
    accounts.disable()
    assert accounts.names() == []


def test_an_unknown_role_is_refused(accounts: AccountsMount) -> None:
    """With the words of the official engines."""
    with pytest.raises(ServerError, match="unknown role: nobody") as refused:
        accounts.issue("nobody")
    assert refused.value.status == 400


@pytest.mark.parametrize("fault", ["create", "unsendable"])
def test_a_failed_request_leaves_no_credential(accounts: AccountsMount, fault: str) -> None:
    """What was made half-way is undone at once, what cannot be sent at the latest by the log."""
    accounts.write_role("app", fault=fault)
    with pytest.raises(ServerError):
        accounts.issue("app")
    if fault == "create":
        assert accounts.names() == []


def test_a_client_that_goes_away_leaves_no_credential(accounts: AccountsMount) -> None:
    """The host forgets the request, and no lease comes of it."""
    accounts.write_role("app", fault="hang")
    accounts.give_up("app")
    accounts.wait_for(lambda: not accounts.names())
