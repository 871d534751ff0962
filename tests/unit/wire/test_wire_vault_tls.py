"""Protocol 4: what is read of the host's variables."""

from __future__ import annotations

import pytest

from authkit.wire.variables import find_variable, read_variable
from authkit.wire.vault_tls import is_metadata_mode


def test_openbao_s_spelling_counts_when_it_is_there() -> None:
    """`BAO_X` wins over `VAULT_X`, also when it is empty."""
    assert read_variable({"VAULT_X": "v"}, "X") == "v"
    assert read_variable({"VAULT_X": "v", "BAO_X": "b"}, "X") == "b"
    assert read_variable({"VAULT_X": "v", "BAO_X": ""}, "X") == ""
    assert read_variable({}, "X") == ""
    assert find_variable({}, "X") == "VAULT_X"
    assert find_variable({"BAO_X": ""}, "X") == "BAO_X"


@pytest.mark.parametrize(
    ("value", "mode"), [("true", True), ("1", True), ("false", False), ("", False), ("yes", False)]
)
def test_metadata_mode_is_read_as_go_reads_booleans(value: str, mode: bool) -> None:
    """Anything else is no."""
    assert is_metadata_mode({"VAULT_PLUGIN_METADATA_MODE": value}) is mode
