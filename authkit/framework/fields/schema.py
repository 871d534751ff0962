"""Fields by declaration: `field()`, what it describes, and the values of one request.

The declared annotation (see `authkit.framework.fields.annotations`) says how a field is read; `field()` adds
what an annotation cannot say. Whole objects of fields are `authkit.framework.models`; handlers declare
fields as parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin

from authkit.errors import FieldError
from authkit.framework.fields.annotations import find_type, is_field_annotation
from authkit.framework.fields.choices import ChoiceType, EnumType, OptionalType
from authkit.framework.fields.containers import KVType, MapType
from authkit.framework.fields.frozen import freeze, thaw
from authkit.framework.fields.limits import MAX_FIELD_SIZE, verify_size
from authkit.framework.fields.types import UNSET, FieldType, LowerTextType, SecretType, TextType
from authkit.masking import Secret
from authkit.values import Value, replace, verify_collections
from authkit.values import field as attribute

__all__ = ["FieldData", "FieldOptions", "FieldSchema", "build_schema", "field", "is_field_annotation"]


class FieldOptions(Value, frozen=True, kw_only=True):
    """What `field()` was given."""

    default: Any = UNSET
    help: str = ""
    required: bool | None = None
    missing: str = ""
    deprecated: bool = False
    alias_of: str = ""
    reset: bool | None = None
    max_length: int | None = None
    allowed: Sequence[Any] = ()
    enforced: bool = True
    sensitive: bool = False
    shown_members: Collection[str] | None = None
    kind_member: str = ""
    goes_to: Sequence[str] = ()
    query: bool = False


def field(
    *,
    default: Any = UNSET,
    help: str = "",
    required: bool | None = None,
    missing: str = "",
    deprecated: bool = False,
    alias_of: str = "",
    reset: bool | None = None,
    max_length: int | None = None,
    allowed: Sequence[Any] = (),
    enforced: bool = True,
    sensitive: bool = False,
    shown_members: Collection[str] | None = None,
    kind_member: str = "",
    goes_to: Sequence[str] = (),
    query: bool = False,
) -> Any:
    """Describe a field: in a model in place of its default value, in a handler within `Annotated`.

    ::

        teams: CommaList = field(default=(), help="Teams that may log in.")

        async def log_in(self, token: Annotated[Secret, field(help="The token.")]) -> Identity: ...

    Args:
        default: used while nobody has set the field; read like a request, so `"1h"` is a duration.
        help: for help pages.
        required: whether an absent or empty value is refused: blanks, and lists and maps in which there is
            nothing else. By default, when there is no default.
        missing: what the refusal says; by default `missing <name>`.
        deprecated: marked so on help pages. It works as ever, without a warning: operators of the
            official methods get none either.
        alias_of: an older name of another field. A request that has only the older name sets both, one
            that has both sets both to the field's own value, one that has only the field's own name
            ends the use of the older one. It is shown, and stored, as long as it is in use and not
            empty (Vault SDK 0.21, helper/tokenutil/tokenutil.go, UpgradeValue). Its own default and
            `required` mean nothing.
        reset: whether a write without this field sets it back to its default. By default it does so only
            where writes replace the whole object; `False` keeps the field there as well.
        max_length: refuse more characters than this; an item of a list counts as one more. Without
            it, `MAX_FIELD_SIZE`. It bounds older names of the field as well.
        allowed: the only values, or items of a list, that are taken, beside the default; written as a
            read shows them. This includes zero and empty values. Null counts as absent.
        enforced: with `False`, `required` and `allowed` are for help pages only, as in the SDK: for
            methods that have texts of their own.
        sensitive: written, stored and never shown. A `Secret` always is; this is for maps and lists.
        shown_members: of a map, the members that a read shows. All others are as secret as a `Secret`, those
            that nobody has thought of too.
        kind_member: of a map, the member that says what the others mean. A patch that changes it replaces the
            map, so that no member is read as one of another kind.
        goes_to: where a secret is sent: fields, or members as `map.member`, of the same model. A write that
            changes one of them has to have the secret too; otherwise a user with write access could have
            the secret sent to a place of their own. Members of a map count as secrets unless they are shown.
        query: help pages name it as a query parameter. Reads, lists and deletes take every field there.
    """
    verify_collections(allowed=allowed, shown_members=shown_members, goes_to=goes_to)
    return FieldOptions(
        default=default,
        help=help,
        required=required,
        missing=missing,
        deprecated=deprecated,
        alias_of=alias_of,
        reset=reset,
        max_length=max_length,
        allowed=allowed,
        enforced=enforced,
        sensitive=sensitive,
        shown_members=shown_members,
        kind_member=kind_member,
        goes_to=goes_to,
        query=query,
    )


_OF_ONE_TEXT: Final = frozenset({TextType, LowerTextType, SecretType})


class FieldSchema(Value, frozen=True, kw_only=True):
    """One field, fully described. Derived from an annotation and a default or `field()`."""

    name: str
    type: FieldType[Any]
    default: Any = UNSET
    """Converted; `UNSET` when there is none."""
    help: str = ""
    required: bool = False
    missing: str = ""
    """What is said when a required field is absent or empty."""
    deprecated: bool = False
    alias_of: str = ""
    reset: bool | None = None
    """`None`: as the object that it is part of."""
    max_length: int | None = None
    allowed: tuple[Any, ...] = ()
    """As a read shows them; empty when every value is."""
    enforced: bool = True
    """Whether `required` and `allowed` are more than documentation."""
    sensitive: bool = False
    """Whether it is never shown."""
    shown_members: frozenset[str] | None = None
    """Of a map, the members that are shown; `None` for all."""
    kind_member: str = ""
    """Of a map, the member that says what the others mean."""
    goes_to: tuple[str, ...] = ()
    """The fields, and members of maps, that say where a secret is sent."""
    query: bool = False

    def convert(self, raw: object) -> Any:
        """Return the value of a JSON value from a request, `UNSET` for one that counts as absent.

        It cannot be changed, at any level.

        Raises:
            FieldError: it cannot be converted, is too large, or not allowed.
        """
        limit = self.max_length or MAX_FIELD_SIZE
        if type(raw) is str and len(raw) <= limit and type(self.type) in _OF_ONE_TEXT and not self.allowed:
            return self.type.parse(self.name, raw)  # nearly always: nothing in it to measure, or to freeze
        verify_size(self.name, raw, limit)
        return self._allowed_value(raw, unset=self.default)

    def accept(self, raw: object) -> Any:
        """Return the value of a JSON value of any size: for what comes from storage or from code.

        Raises:
            FieldError: it cannot be converted, or is not allowed.
        """
        # What a field is while nobody has set it must come back from storage.
        return self._allowed_value(raw, unset=self.default if self.required else self.default_or_zero())

    def _allowed_value(self, raw: object, *, unset: Any) -> Any:
        value = freeze(self.type.convert(self.name, raw))
        if value is UNSET or value is None or not self.allowed or not self.enforced or value == unset:
            return value
        dumped = self.dump(value)
        if not all(map(self._is_allowed, dumped if isinstance(dumped, list) else [dumped])):
            if raw is None:
                # Where the empty value is not allowed, null is as good as absent.
                return UNSET
            raise FieldError(self.name, f"must be one of: {', '.join(map(str, self.allowed))}")
        return value

    def merge(self, current: Any, raw: object) -> Any:
        """Return what a patch with `raw`, which is not null, makes of the value `current`.

        Raises:
            FieldError: it cannot be converted, or what comes out is too large or not allowed.
        """
        if self.kind_member and isinstance(raw, Mapping) and self.kind_member in raw:
            kind = current.get(self.kind_member) if current else None
            current = current if raw[self.kind_member] == kind else self.type.zero
        merged = self.type.merge(self.name, current, raw)
        return self.convert(self.dump(merged))

    def _is_allowed(self, item: object) -> bool:
        # Python calls 1 and true equal.
        return any(item == each and isinstance(item, bool) is isinstance(each, bool) for each in self.allowed)

    def dump(self, value: Any) -> Any:
        """Return a value of the field as JSON, which is the caller's to change."""
        return thaw(self.type.dump(value))

    def show(self, dumped: Any) -> Any:
        """Return what a read shows of a dumped value."""
        if self.shown_members is None or not isinstance(dumped, Mapping):
            return dumped
        return {name: value for name, value in dumped.items() if name in self.shown_members}

    def default_or_zero(self) -> Any:
        """Return what the field is while nobody has set it."""
        return freeze(self.type.zero) if self.default is UNSET else self.default

    def is_missing(self, value: object) -> bool:
        """Whether the field is required and there is nothing in `value`. Zero and false are something."""
        return self.required and self.enforced and _is_blank(value)


def build_schema(name: str, annotation: object, default: object = UNSET) -> FieldSchema:
    """Return the schema of a field from its annotation and its default or `field()`.

    Raises:
        TypeError: the annotation names no field type, or the default does not fit it.
    """
    kind = find_type(annotation)
    if kind is None:
        raise TypeError(f"field {name!r}: {annotation!r} is not a field type")
    options = _options(annotation, default)
    try:
        value = UNSET if options.default is UNSET else freeze(kind.convert(name, options.default))
    except FieldError as error:
        raise TypeError(f"field {name!r}: the default does not fit: {error.reason}") from error
    if options.max_length is not None and options.max_length < 1:
        raise TypeError(f"field {name!r}: max_length is at least 1; leave it out for no bound of its own")
    holds_map = isinstance(kind.inner if isinstance(kind, OptionalType) else kind, MapType | KVType)
    if not holds_map and (options.shown_members is not None or options.kind_member):
        raise TypeError(f"field {name!r}: only maps have members")
    if options.goes_to and not (kind.secret or options.sensitive or options.shown_members is not None):
        raise TypeError(f"field {name!r}: goes_to is for a Secret, or a map with shown_members")
    required = options.required
    if required is None:
        required = options.default is UNSET and not options.alias_of
    return FieldSchema(
        name=name,
        type=kind,
        default=value,
        help=options.help,
        required=required,
        missing=options.missing or f"missing {name}",
        deprecated=options.deprecated,
        alias_of=options.alias_of,
        reset=options.reset,
        max_length=options.max_length,
        allowed=_allowed(name, kind, options.allowed),
        enforced=options.enforced,
        sensitive=options.sensitive or kind.secret,
        shown_members=None if options.shown_members is None else frozenset(options.shown_members),
        kind_member=options.kind_member,
        goes_to=tuple(options.goes_to),
        query=options.query,
    )


class FieldData(Value, frozen=True, kw_only=True):
    """The fields of one request, converted."""

    values: Mapping[str, Any]
    """What the request set, by field. Absent fields are absent here."""
    raw: Mapping[str, Any] = attribute(default_factory=dict)
    """The request's own JSON, unknown keys included, with what the path captured."""
    nulls: frozenset[str] = frozenset()
    """The fields that were given as null."""
    ignored: tuple[str, ...] = ()
    """Keys of the request that are not fields, sorted."""
    replaced: tuple[str, ...] = ()
    """Fields that both the path and the body had, sorted; the path won."""

    unshown: ClassVar = ("values", "raw")

    @classmethod
    def read(
        cls,
        schema: Mapping[str, FieldSchema],
        data: Mapping[str, Any],
        captures: Mapping[str, str],
    ) -> FieldData:
        """Convert everything that a request set.

        Raises:
            FieldError: a field cannot be converted.
        """
        raw = {**data, **captures} if captures else data
        values = {}
        for name, declared in schema.items():
            if name in raw and (value := declared.convert(raw[name])) is not UNSET:
                values[name] = value
        is_known = data.keys() <= schema.keys()
        return cls(
            raw=MappingProxyType(raw),
            values=MappingProxyType(values),
            nulls=frozenset(name for name in schema if raw.get(name, UNSET) is None)
            if None in raw.values()
            else frozenset(),
            ignored=() if is_known else tuple(sorted(data.keys() - schema.keys())),
            replaced=tuple(sorted(name for name in captures if data.get(name) is not None))
            if captures
            else (),
        )

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value that the request set, else `default`."""
        return self.values.get(name, default)


def _is_blank(value: object) -> bool:
    """Whether a value holds nothing but blanks, at any level: such a bound would bind nothing."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, Mapping):
        return all(map(_is_blank, value.values()))
    if isinstance(value, tuple | list | frozenset):
        return all(map(_is_blank, value))
    return value is UNSET or value is None


def _options(annotation: object, default: object) -> FieldOptions:
    if isinstance(default, FieldOptions):
        return default
    parts = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    found = next((part for part in parts if isinstance(part, FieldOptions)), FieldOptions())
    return found if default is UNSET else replace(found, default=default)


def _allowed(name: str, kind: FieldType[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the allowed values as a read shows them, including those of the type itself."""
    try:
        dumped = [kind.dump(kind.parse(name, value)) for value in values]
    except FieldError as error:
        raise TypeError(f"field {name!r}: an allowed value does not fit: {error.reason}") from error
    flat = [item for each in dumped for item in (each if isinstance(each, list) else [each])]
    inner = kind.inner if isinstance(kind, OptionalType) else kind
    own = inner.choices if isinstance(inner, ChoiceType | EnumType) else ()
    return tuple(flat) or own
