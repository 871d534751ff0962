"""Entities, aliases and external groups on a real server: what a login's identity becomes there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from livebed.client import ServerError
from livebed.identity import entity_of, find_alias, group_names, write_external_group
from livebed.mounts import Mount, mount_plugin
from livebed.tokens import Issuer


@pytest.fixture(scope="module")
def grouped(standing: Mount) -> Mount:
    """The module's mount with the role `grouped`, whose groups are those of the claim `groups`."""
    standing.write_role("grouped", groups_claim="groups", claim_mappings={"team": "team"})
    return standing


def policies_now(mount: Mount, token: str) -> set[str]:
    """Return all policies of a token at this moment, those of its entity's groups among them."""
    seen = mount.client.with_token(token).read("auth/token/lookup-self")
    return set(seen["policies"]) | set(seen.get("identity_policies") or ())


# --- external groups ---------------------------------------------------------------------------


def test_group_of_the_claim_gives_its_policies(grouped: Mount) -> None:
    """A group of the claim that an operator has mapped makes its member, with its policies at once."""
    group = write_external_group(grouped, "mapped", "of-mapped")

    auth = grouped.login("grouped", grouped.issuer.token(sub="gina", groups=["mapped"]))

    assert auth["identity_policies"] == ["of-mapped"]
    assert auth["token_policies"] == ["default"]
    assert sorted(auth["policies"]) == ["default", "of-mapped"]
    assert group_names(grouped.client, auth) == {group}
    assert policies_now(grouped, auth["client_token"]) == {"default", "of-mapped"}


def test_group_that_nobody_has_mapped_is_ignored(grouped: Mount) -> None:
    """Names that no operator has mapped make no group and stop no login."""
    group = write_external_group(grouped, "known", "of-known")
    before = set(grouped.client.list("identity/group/id"))

    auth = grouped.login("grouped", grouped.issuer.token(sub="uma", groups=["known", "strange", "known"]))

    assert group_names(grouped.client, auth) == {group}
    assert set(grouped.client.list("identity/group/id")) == before


def test_group_alias_of_another_mount_means_nothing(grouped: Mount, issuer: Issuer) -> None:
    """A name that is mapped on another mount's accessor makes nobody a member here."""
    with mount_plugin(grouped.server, grouped.plugin, issuer) as other:
        write_external_group(grouped, "foreign", "of-foreign", accessor=other.accessor)

        auth = grouped.login("grouped", grouped.issuer.token(sub="otto", groups=["foreign"]))

    assert auth["policies"] == ["default"]
    assert group_names(grouped.client, auth) == set()


def test_leaving_a_group_ends_membership_at_the_next_login(grouped: Mount) -> None:
    """A login without the group removes its member, and takes the policies from older tokens too."""
    kept = write_external_group(grouped, "kept", "of-kept")
    write_external_group(grouped, "left", "of-left")
    first = grouped.login("grouped", grouped.issuer.token(sub="leo", groups=["kept", "left"]))
    assert policies_now(grouped, first["client_token"]) == {"default", "of-kept", "of-left"}

    second = grouped.login("grouped", grouped.issuer.token(sub="leo", groups=["kept"]))

    assert group_names(grouped.client, second) == {kept}
    assert second["identity_policies"] == ["of-kept"]
    assert policies_now(grouped, first["client_token"]) == {"default", "of-kept"}


def test_empty_claim_ends_every_membership(grouped: Mount) -> None:
    """A login whose claim is an empty list leaves all groups of the mount."""
    write_external_group(grouped, "short", "of-short")
    grouped.login("grouped", grouped.issuer.token(sub="emma", groups=["short"]))

    auth = grouped.login("grouped", grouped.issuer.token(sub="emma", groups=[]))

    assert group_names(grouped.client, auth) == set()
    assert auth["policies"] == ["default"]


def test_renewal_keeps_the_groups_of_its_login(grouped: Mount) -> None:
    """A renewal leaves memberships alone: those of the login stay, a group mapped since is not joined."""
    early = write_external_group(grouped, "early", "of-early")
    claims: dict[str, Any] = {"sub": "rita", "groups": ["early", "late"]}
    auth = grouped.login("grouped", grouped.issuer.token(**claims))
    late = write_external_group(grouped, "late", "of-late")

    for _ in range(2):
        renewed = grouped.renew(auth)["auth"]

        assert renewed["identity_policies"] == ["of-early"]
        assert renewed["entity_id"] == auth["entity_id"]
        assert group_names(grouped.client, auth) == {early}

    grouped.login("grouped", grouped.issuer.token(**claims))
    assert group_names(grouped.client, auth) == {early, late}


def test_renewal_of_an_older_token_brings_its_groups_back(grouped: Mount) -> None:
    """The server refreshes memberships from the renewed login, so an older one speaks for its own groups.

    Only a method that asks its identity provider again at renewal could know better; a JWT cannot be
    asked twice.
    """
    group = write_external_group(grouped, "again", "of-again")
    older = grouped.login("grouped", grouped.issuer.token(sub="olga", groups=["again"]))
    grouped.login("grouped", grouped.issuer.token(sub="olga", groups=[]))
    assert group_names(grouped.client, older) == set()

    grouped.renew(older)

    assert group_names(grouped.client, older) == {group}


def test_deleted_group_takes_its_policies_along(grouped: Mount) -> None:
    """Once an operator deletes the group its policies are gone, and renewals go on without it."""
    group = write_external_group(grouped, "brief", "of-brief")
    auth = grouped.login("grouped", grouped.issuer.token(sub="dora", groups=["brief"]))

    grouped.client.delete(f"identity/group/name/{group}")

    assert policies_now(grouped, auth["client_token"]) == {"default"}
    assert grouped.renew(auth)["auth"]["lease_duration"] == 3600
    assert group_names(grouped.client, auth) == set()


def test_memberships_are_those_of_the_latest_login(grouped: Mount) -> None:
    """Groups come and go with each login: the entity is in those that the latest one named, and no other."""
    one, two = (write_external_group(grouped, name, f"of-{name}") for name in ("one", "two"))

    for names, groups in ((["one"], {one}), (["two"], {two}), (["two", "one"], {one, two})):
        auth = grouped.login("grouped", grouped.issuer.token(sub="mona", groups=names))
        assert group_names(grouped.client, auth) == groups


@pytest.mark.parametrize("claims", [{}, {"groups": 5}, {"groups": [1]}])
def test_claim_that_lists_no_groups_is_refused(grouped: Mount, claims: dict[str, Any]) -> None:
    """A token without the claim that the role asks for, or with something else in it, logs nobody in."""
    with pytest.raises(ServerError, match="groups") as refused:
        grouped.login("grouped", grouped.issuer.token(sub="nora", **claims))

    assert refused.value.status == 400


# --- entities and aliases ----------------------------------------------------------------------


def test_one_entity_for_one_alias(grouped: Mount) -> None:
    """Every login under one name has the same entity, whatever the role and the case of the name."""
    issuer = grouped.issuer
    first = grouped.login("dev", issuer.token(sub="Ada@Example"))

    others = [
        grouped.login("dev", issuer.token(sub="Ada@Example")),
        grouped.login("grouped", issuer.token(sub="Ada@Example", groups=[])),
        grouped.login("dev", issuer.token(sub="ada@example")),
    ]

    assert {auth["entity_id"] for auth in others} == {first["entity_id"]}
    assert len(entity_of(grouped.client, first)["aliases"]) == 1


def test_logins_at_the_same_time_make_one_entity(grouped: Mount) -> None:
    """The first logins of somebody may come all at once: there is one entity still."""
    token = grouped.issuer.token(sub="many")

    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = list(pool.map(lambda _: grouped.login("dev", token), range(12)))

    assert len({auth["entity_id"] for auth in answers}) == 1
    assert len({auth["client_token"] for auth in answers}) == 12


def test_different_names_are_different_entities(grouped: Mount) -> None:
    """Two names are two entities, even where only a blank or an accent tells them apart."""
    names = ("rene", "rené", "rene x", "rene.x", "rene/x")

    ids = {grouped.login("dev", grouped.issuer.token(sub=name))["entity_id"] for name in names}

    assert len(ids) == len(names)


def test_alias_metadata_is_kept_and_follows_the_claims(grouped: Mount) -> None:
    """The alias has the metadata of the latest login as a whole; tokens keep that of their own."""
    issuer = grouped.issuer
    first = grouped.login("grouped", issuer.token(sub="mia", groups=[], team="red"))
    assert find_alias(grouped, first)["metadata"] == {"role": "grouped", "team": "red"}
    assert first["metadata"] == {"role": "grouped", "team": "red"}

    second = grouped.login("grouped", issuer.token(sub="mia", groups=[], team="blue"))
    assert second["entity_id"] == first["entity_id"]
    assert find_alias(grouped, second)["metadata"] == {"role": "grouped", "team": "blue"}
    assert grouped.lookup(first)["meta"] == {"role": "grouped", "team": "red"}

    third = grouped.login("grouped", issuer.token(sub="mia", groups=[]))
    assert find_alias(grouped, third)["metadata"] == {"role": "grouped"}


def test_renewal_keeps_metadata_and_alias(grouped: Mount) -> None:
    """A renewal changes neither what the token nor what the alias says, nor the name in the display."""
    auth = grouped.login("grouped", grouped.issuer.token(sub="rosa", groups=[], team="red"))
    alias, seen = find_alias(grouped, auth), grouped.lookup(auth)

    renewed = grouped.renew(auth)["auth"]

    assert renewed["metadata"] == auth["metadata"]
    assert find_alias(grouped, auth)["metadata"] == alias["metadata"]
    assert grouped.lookup(auth)["display_name"] == seen["display_name"] == f"{grouped.path}-rosa"


def test_custom_metadata_is_set_once(grouped: Mount) -> None:
    """A role's `alias_metadata` is the alias's custom metadata from its first login on, for good."""
    if grouped.server.program.is_bao:
        pytest.skip("OpenBao keeps no custom metadata that a plugin names")
    user = grouped.issuer.token(sub="cleo")
    grouped.write_role("custom", alias_metadata={"desk": "7"})
    assert find_alias(grouped, grouped.login("custom", user))["custom_metadata"] == {"desk": "7"}

    grouped.write_role("custom", alias_metadata={"desk": "8"})
    assert find_alias(grouped, grouped.login("custom", user))["custom_metadata"] == {"desk": "7"}


def test_custom_metadata_and_a_partial_write(grouped: Mount) -> None:
    """Ours keeps `alias_metadata` when other fields are written, as it keeps all; the Go plugin drops it."""
    grouped.write_role("partial", alias_metadata={"desk": "7"})
    grouped.write_role("partial", token_ttl="5m")

    kept = grouped.client.read(f"auth/{grouped.path}/role/partial")["alias_metadata"]

    assert kept == ({} if grouped.is_peer else {"desk": "7"})


@pytest.mark.parametrize(
    ("key", "value"), [("team.name", "red"), ("vault-team", "red"), ("team", "r" * 513), ("k" * 129, "red")]
)
def test_metadata_that_no_entity_can_have(grouped: Mount, key: str, value: str) -> None:
    """What the server could not keep with an entity is on the token only, and the login says so.

    Behind the Go plugin the server trips over it: 500.
    """
    entities = set(grouped.client.list("identity/entity/id"))
    grouped.write_role("odd", claim_mappings={"team": key})
    token = grouped.issuer.token(sub=f"odd {key} {len(value)}", team=value)
    if grouped.is_peer:
        with pytest.raises(ServerError, match="invalid alias metadata") as refused:
            grouped.login("odd", token)
        assert refused.value.status == 500
        assert set(grouped.client.list("identity/entity/id")) == entities
        return

    answer = grouped.client.login_answer(grouped.path, role="odd", jwt=token)

    assert answer["auth"]["metadata"] == {"role": "odd", key: value}
    assert find_alias(grouped, answer["auth"])["metadata"] == {"role": "odd"}
    assert any(text.endswith(f": {key}") for text in answer["warnings"])


def test_metadata_that_an_older_entity_could_not_have(grouped: Mount) -> None:
    """Both let somebody in who is known; ours takes the metadata off the alias, where it had no limit."""
    issuer = grouped.issuer
    auth = grouped.login("grouped", issuer.token(sub="zoe", groups=[], team="red"))

    outgrown = grouped.login("grouped", issuer.token(sub="zoe", groups=[], team="r" * 513))

    assert outgrown["entity_id"] == auth["entity_id"]
    assert outgrown["metadata"]["team"] == "r" * 513
    kept = find_alias(grouped, outgrown)["metadata"]
    assert kept == {"role": "grouped"} | ({"team": "r" * 513} if grouped.is_peer else {})


def test_empty_name_is_refused(grouped: Mount) -> None:
    """An empty user claim names nobody: 400 with ours, while the Go plugin leaves it to the server (500)."""
    with pytest.raises(ServerError, match="missing name in alias") as refused:
        grouped.login("dev", grouped.issuer.token(sub=""))

    assert refused.value.status == (500 if grouped.is_peer else 400)


def test_two_mounts_give_two_aliases(grouped: Mount, issuer: Issuer) -> None:
    """The same name on two mounts is two people, until an operator gives both aliases to one entity."""
    with mount_plugin(grouped.server, grouped.plugin, issuer) as other:
        first = grouped.login("dev", issuer.token(sub="tom"))
        second = other.login("dev", issuer.token(sub="tom"))
        assert first["entity_id"] != second["entity_id"]

        merged = {"from_entity_ids": [second["entity_id"]], "to_entity_id": first["entity_id"]}
        grouped.client.write("identity/entity/merge", **merged)

        entity = entity_of(grouped.client, first)
        assert {alias["mount_accessor"] for alias in entity["aliases"]} == {grouped.accessor, other.accessor}
        assert {alias["name"] for alias in entity["aliases"]} == {"tom"}
        assert other.login("dev", issuer.token(sub="tom"))["entity_id"] == first["entity_id"]


def test_groups_of_two_mounts_do_not_touch_each_other(grouped: Mount, issuer: Issuer) -> None:
    """An entity with two aliases: neither login nor renewal on one ends a membership of the other."""
    here = write_external_group(grouped, "staff", "of-staff")
    with mount_plugin(grouped.server, grouped.plugin, issuer) as other:
        other.write_role("grouped", groups_claim="groups")
        auth = grouped.login("grouped", issuer.token(sub="tess", groups=["staff"]))
        alias = {"name": "tess", "mount_accessor": other.accessor, "canonical_id": auth["entity_id"]}
        grouped.client.write("identity/entity-alias", **alias)

        elsewhere = other.login("grouped", issuer.token(sub="tess", groups=[]))

        assert elsewhere["entity_id"] == auth["entity_id"]
        assert elsewhere["identity_policies"] == ["of-staff"]
        assert group_names(grouped.client, auth) == {here}
        other.renew(elsewhere)
        assert group_names(grouped.client, auth) == {here}


def test_disabled_entity_is_denied(grouped: Mount) -> None:
    """Whoever an operator has disabled gets 403: at login, with an older token, and at renewal."""
    auth = grouped.login("dev", grouped.issuer.token(sub="dan"))
    grouped.client.write(f"identity/entity/id/{auth['entity_id']}", disabled=True)

    with pytest.raises(ServerError) as refused:
        grouped.login("dev", grouped.issuer.token(sub="dan"))
    assert refused.value.status == 403
    with pytest.raises(ServerError) as refused:
        grouped.client.with_token(auth["client_token"]).write("auth/token/renew-self")
    assert refused.value.status == 403

    grouped.client.write(f"identity/entity/id/{auth['entity_id']}", disabled=False)
    assert grouped.login("dev", grouped.issuer.token(sub="dan"))["entity_id"] == auth["entity_id"]
