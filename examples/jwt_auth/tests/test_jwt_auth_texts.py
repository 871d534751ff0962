"""Every refusal of `authkit.oidc`, read from its source, has an official text that its facts can fill."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from jwt_auth.texts.tokens import GRANTS, SOURCES, TEXTS
from jwt_auth.texts.words import find_text, say

from authkit import oidc
from authkit.oidc import OAuthError

ROOT: Final = Path(oidc.__file__).parent
MODULES: Final = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")
}

OURS: Final = {"user_of_another_issuer"}
"""Codes without an official text: the official plugin has one issuer."""

HANDED_ON: Final = {"require", "__init__"}
"""Functions that get the code of another place, or of the provider."""

SAMPLES: Final[Mapping[str, Any]] = {
    "algorithm": "HS256",
    "are_several": True,
    "audiences": "a b",
    "auth_time": 1,
    "begins": 1,
    "claim": "team",
    "claims": ["exp"],
    "client_id": "vault",
    "earliest": 1.5,
    "expected": ("RS256", "ES256"),
    "expires": 1,
    "found": "https://other.example",
    "grant": "code",
    "is_default_unnamed": True,
    "is_static": False,
    "is_timeout": False,
    "issued": 1,
    "kind": "number",
    "max_age": 60.0,
    "now": 1.5,
    "party": "other",
    "reason": "the reason",
    "type": "id_token",
    "value": "5",
}
"""A value of each fact."""

OTHERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "are_several": (False,),
    "expires": (None,),
    "grant": ("device_code",),
    "is_default_unnamed": (False,),
    "is_static": (True,),
    "is_timeout": (True,),
    "party": (None,),
}
"""Values that make another text."""


class Refusal(NamedTuple):
    """A place that raises, with what it says to programs."""

    place: str
    code: str
    facts: frozenset[str]


def refusals() -> Iterator[Refusal]:
    """Yield all refusals in the source."""
    for name, module in MODULES.items():
        for scope in ast.walk(module):
            if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for call in (node for node in ast.walk(scope) if isinstance(node, ast.Call)):
                keywords = {each.arg or "": each.value for each in call.keywords}
                if "code" not in keywords:
                    continue
                place, code = f"{name}:{call.lineno}", keywords["code"]
                if isinstance(code, ast.Constant):
                    yield Refusal(place, code.value, fact_names(scope, module, keywords.get("facts")))
                elif scope.name not in HANDED_ON:
                    yield from (Refusal(place, *found) for found in HELPERS[scope.name](module))


def fact_names(scope: ast.AST, module: ast.Module, value: ast.expr | None) -> frozenset[str]:
    """Return the names of the facts that a place always gives."""
    match value:
        case None:
            return frozenset()
        case ast.Dict():
            return frozenset(key.value for key in value.keys if isinstance(key, ast.Constant))
        case ast.IfExp():
            return fact_names(scope, module, value.body) & fact_names(scope, module, value.orelse)
        case ast.Call():
            return fact_names(scope, module, value.args[0])
        case ast.Name():
            return fact_names(scope, module, assigned(scope, value) or assigned(module, value))
    raise LookupError(f"facts that no rule reads: {ast.unparse(value)}")


def assigned(scope: ast.AST, name: ast.Name) -> ast.expr | None:
    """Return what a name stands for where it is used: what the lines above have assigned to it last."""
    found: list[ast.expr] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and node.lineno < name.lineno:
            target, value = node.targets[0], node.value
            is_pair = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if is_pair else [(target, value)]
            found += [to for of, to in pairs if isinstance(of, ast.Name) and of.id == name.id]
    return max(found, key=lambda each: each.lineno, default=None)


# --- helpers that raise with a code that is handed to them --------------------------------------


def calls_of(name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function by its bare name."""
    for module in MODULES.values():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def text_of(value: ast.expr) -> str:
    """Return the text that is written there."""
    assert isinstance(value, ast.Constant), ast.unparse(value)
    assert isinstance(value.value, str)
    return value.value


Found = Iterator[tuple[str, frozenset[str]]]


def of_refuse(module: ast.Module) -> Found:
    """`_refuse(code, text, **facts)`."""
    for call in calls_of("_refuse"):
        yield text_of(call.args[0]), frozenset(each.arg or "" for each in call.keywords)


def of_malformed(module: ast.Module) -> Found:
    """`_malformed(reason, code)`."""
    for call in calls_of("_malformed"):
        yield text_of(call.args[1]) if len(call.args) > 1 else "malformed_token", frozenset({"reason"})


def of_bound_claims(module: ast.Module) -> Found:
    """What `_find_refusal` returns; empty where nothing is refused."""
    (helper,) = (
        each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == "_find_refusal"
    )
    for node in ast.walk(helper):
        if isinstance(node, ast.Return) and node.value is not None and (code := text_of(node.value)):
            yield code, frozenset({"claim"})


def of_token_hash(module: ast.Module) -> Found:
    """`verify_token_hash(token, claims, name, ...)`, whose code holds the name."""
    for call in calls_of("verify_token_hash"):
        yield f"id_token_{text_of(call.args[2])}_mismatch", frozenset()


def of_take_apart(module: ast.Module) -> Found:
    """A code instead of that of an `UnknownAlgorithmError`, with its facts."""
    (origin,) = calls_of("UnknownAlgorithmError")
    (facts,) = (each.value for each in origin.keywords if each.arg == "facts")
    jws = MODULES["tokens/jws.py"]
    yield "id_token_algorithm_unknown", fact_names(jws, jws, facts)


HELPERS: Final = {
    "_refuse": of_refuse,
    "_malformed": of_malformed,
    "verify_bound_claims": of_bound_claims,
    "verify_token_hash": of_token_hash,
    "_take_apart": of_take_apart,
}
"""By the name of the function that raises."""

ALL: Final = list(refusals())


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: f"{refusal.code}@{refusal.place}")
def test_every_refusal_has_a_text(refusal: Refusal) -> None:
    """Operators' scripts find what they look for, and no text needs a fact that its place does not give."""
    if refusal.code in OURS:
        assert find_text("its own text", refusal.code, {}) == "its own text"
        return
    facts = {name: SAMPLES[name] for name in refusal.facts}
    variants = [facts] + [facts | {name: other} for name in facts for other in OTHERS.get(name, ())]
    for each in variants:
        text = find_text("", refusal.code, each)
        assert text
        assert "{" not in text


def test_every_text_belongs_to_a_refusal() -> None:
    """No text is left of a code that is gone."""
    assert {each.code for each in ALL} == {*TEXTS, *OURS}


@pytest.mark.parametrize("grant", [*GRANTS, *SOURCES, ""])
def test_refusals_of_a_provider(grant: str) -> None:
    """Their codes are OAuth's, after what was asked for."""
    error = OAuthError("access_denied", facts={"grant": grant})
    assert say(error).public == f'{GRANTS.get(grant, "")}oauth2: "access_denied"'
