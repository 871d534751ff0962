"""Which server the environment names, and what is said when it does not answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import host_identity

from authkit.deployment.environment import ServerEnvironment
from authkit.deployment.errors import DeploymentError
from authkit.deployment.server import connect
from authkit.deployment.unreachable import explain_unreachable

TOKEN = {"VAULT_TOKEN": "v"}


def test_each_variable_of_openbao_counts_before_that_of_vault() -> None:
    """By itself, and also if it is empty, as `bao` reads them."""
    variables = {
        **TOKEN,
        "BAO_ADDR": "https://bao",
        "VAULT_ADDR": "https://vault",
        "BAO_NAMESPACE": "",
        "VAULT_NAMESPACE": "team",
        "VAULT_CACERT": "/ca.pem",
    }
    found = ServerEnvironment.read(variables)
    assert (found.address, found.token, found.namespace) == ("https://bao", "v", "")
    assert found.ca_file == "/ca.pem"
    assert ServerEnvironment.read(variables | {"BAO_ADDR": ""}).address == "https://127.0.0.1:8200"


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    """Each error about the server would show it."""
    with pytest.raises(DeploymentError, match="leave them out") as refused:
        connect({**TOKEN, "VAULT_ADDR": "https://user:pass-of-a-proxy@vault.example.com"})
    assert "pass-of-a-proxy" not in str(refused.value)


def test_the_file_of_the_token_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of BAO_TOKEN_PATH, else the one where a login of the command line keeps it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text("kept\n")
    (tmp_path / "named").write_text("named\n")
    assert ServerEnvironment.read({}).token == "kept"
    assert ServerEnvironment.read({"BAO_TOKEN_PATH": str(tmp_path / "named")}).token == "named"
    assert ServerEnvironment.read({"BAO_TOKEN": "set", "BAO_TOKEN_PATH": "/nowhere"}).token == "set"
    with pytest.raises(DeploymentError, match="set VAULT_TOKEN or BAO_TOKEN"):
        ServerEnvironment.read({"BAO_TOKEN_PATH": "/nowhere"})


@pytest.mark.parametrize("token", ["s.one\ns.two", "a b", "s.€", "s.\0"])
def test_what_can_be_no_token_is_not_quoted(token: str) -> None:
    """The HTTP library would show the header that it cannot send."""
    with pytest.raises(DeploymentError, match="the token has blanks") as raised:
        connect({"VAULT_TOKEN": token})
    assert token not in str(raised.value)


def test_no_certificate_is_taken_where_there_is_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """hvac reads the variables of Vault when it is imported."""
    monkeypatch.setattr("hvac.v1.VAULT_CLIENT_CERT", "/other/server.pem")
    assert ask("https://127.0.0.1:1", BAO_CLIENT_CERT="").startswith("cannot ask https://127.0.0.1:1: Conn")


def ask(address: str, **variables: str) -> str:
    """Ask a server that does not answer; return the error."""
    server = connect({**TOKEN, "VAULT_ADDR": address, **variables})
    with pytest.raises(DeploymentError) as raised:
        server.find_mount("pin")
    return str(raised.value)


def test_a_server_that_is_down_is_told_in_one_line() -> None:
    """With the address, the error of the operating system, and what to check."""
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        said = ask(address)
    assert said == (
        f"cannot ask {address}: Connection refused. "
        "Check that the server runs, and that VAULT_ADDR or BAO_ADDR is its address"
    )


def test_what_is_wrong_with_the_settings_is_told() -> None:
    """An address without a scheme, and files that are not there."""
    assert ask("127.0.0.1:8200").startswith("cannot ask 127.0.0.1:8200: ")
    said = ask("https://127.0.0.1:1", VAULT_CACERT="/nowhere/ca.pem")
    assert said.startswith("cannot ask https://127.0.0.1:1: ")
    assert "/nowhere/ca.pem" in said


@contextlib.contextmanager
def accepting(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer one connection; give the place where."""

    def accept() -> None:
        with listener, contextlib.suppress(OSError):
            answer(listener.accept()[0])

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join()


def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    """By its own words, and with the variable that names whom to trust."""
    identity = host_identity()
    (tmp_path / "pem").write_bytes(identity.certificate_pem + identity.private_key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pem")
    with accepting(lambda it: context.wrap_socket(it, server_side=True).close()) as place:
        said = ask(f"https://{place}")
    assert said.startswith(f"cannot ask https://{place}: its certificate is not trusted (")
    assert "VAULT_CACERT" in said


def test_a_listener_that_speaks_otherwise_is_told() -> None:
    """It has no TLS, or hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    with accepting(answer) as place:
        assert "https:// for a listener with TLS" in ask(f"https://{place}")

    def hang_up(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.close()

    with accepting(hang_up) as place:
        assert ": Remote end closed connection without response. Check that" in ask(f"http://{place}")


def raised_from(cause: Exception) -> Exception:
    """Return an error as HTTP libraries raise it: with the cause below others."""
    outer = RuntimeError("HTTPSConnectionPool(host='x', port=1): Max retries exceeded")
    outer.__context__ = OSError("NewConnectionError")
    outer.__context__.__cause__ = cause
    return outer


def untrusted() -> ssl.SSLCertVerificationError:
    """Return the error about a certificate that nobody vouches for."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "reason", "advice"),
    [
        (untrusted(), "its certificate is not trusted (self-signed certificate)", "Set VAULT_CACERT"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "[SSL: WRONG_VERSION_NUMBER]", "right scheme"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known", "Check the name"),
        (TimeoutError("timed out"), "no answer in time", "Check that the server runs"),
        (ConnectionResetError("closed"), "closed", "Check that the server runs"),
        (RuntimeError(), "RuntimeError", "Check that the server runs"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_each_cause_has_its_advice(cause: Exception, reason: str, advice: str) -> None:
    """TLS, names and silence need different things to check."""
    said = explain_unreachable("https://x", raised_from(cause))
    assert said.startswith(f"cannot ask https://x: {reason}. ")
    assert advice in said
    assert "Max retries" not in said
