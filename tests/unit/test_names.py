"""Names without regard to case, as a server compares them."""

from __future__ import annotations

import sys

import pytest

from authkit.names import fold_name

OF_GO = {
    "CAROL": "carol",
    "\u212a": "k",  # Kelvin sign
    "\u212b": "\u00e5",  # Angstrom sign
    "\u2126": "\u03c9",  # Ohm sign
    "\u0130": "i",  # capital I with a dot
    "\u0131": "\u0131",  # small dotless i
    "\u017f": "\u017f",  # long s
    "\u1e9e": "\u00df",  # capital sharp s
    "\u00df": "\u00df",
    "\u0391\u03a3": "\u03b1\u03c3",  # no final sigma
    "\u01c5": "\u01c6",  # titlecase digraph
    "\ufb01": "\ufb01",  # ligature fi
    "e\u0301": "e\u0301",  # not composed
    "\uff21": "\uff41",  # fullwidth A
}
"""What `strings.ToLower` of Go 1.26 returns, as printed by a program of Go's."""


@pytest.mark.parametrize("name", OF_GO)
def test_names_are_folded_as_go_does(name: str) -> None:
    """Neither more names are equal than on a server, nor fewer."""
    assert fold_name(name) == OF_GO[name]


def test_every_character_stays_one() -> None:
    """So that positions in a folded name are positions in the name."""
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    assert [each for each in characters if len(fold_name(each)) != 1] == []
    assert fold_name("".join(characters)) == "".join(map(fold_name, characters))
