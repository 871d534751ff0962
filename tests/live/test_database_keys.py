"""Users with RSA keys and client certificates, of a real server's database engine in a real PostgreSQL.

PostgreSQL has no users that log in with a key of their own, so the operator's statements keep keys and
subjects in a table. What is in there belongs to what the client got.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from database_servers import ROOT_PASSWORD, ROOT_USER, PostgreSQL, run_postgresql, why_no_postgresql
from livebed.client import ServerError
from livebed.database import ROOT, DatabaseMount, database_plugin, mount_database
from livebed.server import Server

CREATE = [
    'CREATE ROLE "{{name}}" NOLOGIN',
    "INSERT INTO keys (name, key, subject) VALUES ('{{name}}', '{{public_key}}', '{{subject}}')",
]
ROTATE = "UPDATE keys SET key = '{{public_key}}' WHERE name = '{{name}}'"
REVOKE = ["DELETE FROM keys WHERE name = '{{name}}'", 'DROP ROLE IF EXISTS "{{name}}"']
HOSTILE = ("x', ''); DROP TABLE keys; --", 'x"', "x\\", "x\n', '')", "x$$", "x\0", "x\u2019", "{{name}}'")


@dataclass(frozen=True)
class Bed:
    """A mount with a connection, and its database."""

    mount: DatabaseMount
    database: PostgreSQL

    def ask(self, statement: str, *values: object) -> list[Any]:
        """Ask the database."""
        url = self.database.url(ROOT_USER, ROOT_PASSWORD)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return list(cursor.fetchall()) if cursor.description else []

    def keep(self, name: str) -> tuple[str, str] | None:
        """Return key and subject that the table has for a user."""
        found = self.ask("SELECT key, subject FROM keys WHERE name = %s", name)
        return found[0] if found else None

    def issue(self, role: str) -> dict[str, Any]:
        """Have a user made; return the whole answer."""
        answer = self.mount.client.call("GET", f"{self.mount.path}/creds/{role}")
        for name in ("rsa_private_key", "private_key"):
            if name in answer["data"]:
                self.mount.client.secrets.append(answer["data"][name].splitlines()[1])
        return answer


@pytest.fixture(scope="module")
def bed(server: Server) -> Iterator[Bed]:
    """A database with a table of keys."""
    if why_no_postgresql():
        pytest.skip(why_no_postgresql())
    folder = ROOT / "tests" / "live" / "plugins"
    plugin = database_plugin(server, "keyed-postgresql", "keyed_postgresql:KeyedPostgreSQL", folder)
    with run_postgresql() as database, mount_database(server, plugin, "keyed") as mount:
        made = Bed(mount, database)
        made.ask("CREATE TABLE keys (name TEXT PRIMARY KEY, key TEXT NOT NULL, subject TEXT NOT NULL)")
        mount.configure("pg", **database.settings)
        mount.role("keys", "pg", CREATE, credential_type="rsa_private_key", revocation_statements=REVOKE)
        yield made
        assert made.ask("SELECT count(*) FROM keys") == [(0,)]


def public_key_of(private_key: str) -> str:
    """Return the public key of a private one."""
    key = load_pem_private_key(private_key.encode(), None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_key_in_the_database_is_that_of_the_client(bed: Bed, bits: int) -> None:
    """As it was made, with its newlines, until the lease is revoked."""
    config = {"format": "pkcs8", "key_bits": bits}
    bed.mount.role(
        "sized",
        "pg",
        CREATE,
        credential_type="rsa_private_key",
        credential_config=config,
        revocation_statements=REVOKE,
    )
    answer = bed.issue("sized")
    data = answer["data"]
    assert data.keys() == {"username", "rsa_private_key"}
    key = load_pem_private_key(data["rsa_private_key"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == bits
    assert bed.keep(data["username"]) == (public_key_of(data["rsa_private_key"]), "")
    bed.mount.client.call("PUT", "sys/leases/renew", {"lease_id": answer["lease_id"], "increment": 90})
    bed.mount.revoke(answer["lease_id"])
    assert bed.keep(data["username"]) is None
    bed.mount.revoke(answer["lease_id"])


def test_users_with_keys_and_with_passwords_share_a_connection(bed: Bed) -> None:
    """Each role says what its users have."""
    create = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'"""
    bed.mount.role("passwords", "pg", create)
    made, keyed = bed.mount.creds("passwords"), bed.issue("keys")
    psycopg.connect(bed.database.url(made.username, made.password)).close()
    assert "password" not in keyed["data"]
    bed.mount.revoke(made.lease_id)
    bed.mount.revoke(keyed["lease_id"])


def test_static_roles_have_keys(bed: Bed) -> None:
    """Made when the role is written, and others when they are rotated."""
    bed.ask("INSERT INTO keys VALUES ('batch', 'before', '')")
    path = f"{bed.mount.path}/static-roles/batch"
    bed.mount.client.write(
        path,
        db_name="pg",
        username="batch",
        rotation_period="1h",
        credential_type="rsa_private_key",
        rotation_statements=[ROTATE],
    )
    seen = []
    for _ in range(2):
        data = bed.mount.client.read(f"{bed.mount.path}/static-creds/batch")
        bed.mount.client.secrets.append(data["rsa_private_key"].splitlines()[1])
        seen.append(data["rsa_private_key"])
        assert data["username"] == "batch"
        assert bed.keep("batch") == (public_key_of(seen[-1]), "")
        bed.mount.client.write(f"{bed.mount.path}/rotate-role/batch")
    assert seen[0] != seen[1]
    bed.mount.client.delete(path)
    bed.ask("DELETE FROM keys")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_static_roles_reach_no_statement(bed: Bed, name: str) -> None:
    """Refused; nobody else's key was changed."""
    bed.ask("INSERT INTO keys VALUES ('victim', 'before', '')")
    with pytest.raises(ServerError, match="cannot carry safely"):
        bed.mount.client.write(
            f"{bed.mount.path}/static-roles/hostile",
            db_name="pg",
            username=name,
            rotation_period="1h",
            credential_type="rsa_private_key",
            rotation_statements=[ROTATE],
        )
    assert bed.keep("victim") == ("before", "")
    bed.ask("DELETE FROM keys")


# --- client certificates -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> dict[str, str]:
    """A certificate authority, as roles take it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "ca_cert": certificate.public_bytes(Encoding.PEM).decode(),
        "ca_private_key": private.decode(),
    }


def certified(bed: Bed, authority: dict[str, str], template: str) -> None:
    """Write a role whose certificates have a common name by this template."""
    bed.mount.role(
        "certified",
        "pg",
        CREATE,
        credential_type="client_certificate",
        credential_config=authority | {"common_name_template": template, "key_type": "ec"},
        revocation_statements=REVOKE,
    )


def test_the_subject_in_the_database_is_that_of_the_certificate(bed: Bed, authority: dict[str, str]) -> None:
    """It is signed by the role's authority, is valid as long as the lease, and has the client's key."""
    certified(bed, authority, "{{.RoleName}}-{{random 12}}")
    answer = bed.issue("certified")
    data = answer["data"]
    assert data.keys() == {"username", "client_certificate", "private_key", "private_key_type"}
    certificate = x509.load_pem_x509_certificate(data["client_certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority["ca_cert"].encode()))
    (common_name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert bed.keep(data["username"]) == ("", f"CN={common_name.value}")
    public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public.decode() == public_key_of(data["private_key"])
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(seconds=50) < left < timedelta(seconds=70)
    bed.mount.revoke(answer["lease_id"])
    assert bed.keep(data["username"]) is None


@pytest.mark.parametrize("name", [each for each in HOSTILE if "{{" not in each])
def test_hostile_subjects_reach_no_statement(bed: Bed, authority: dict[str, str], name: str) -> None:
    """The client is told which value; no user is made."""
    certified(bed, authority, f"{name}{{{{random 4}}}}")
    with pytest.raises(ServerError, match="the subject has a character that a statement cannot carry safely"):
        bed.issue("certified")
    assert bed.ask("SELECT count(*) FROM keys") == [(0,)]
    assert bed.ask("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%%'") == [(0,)]
