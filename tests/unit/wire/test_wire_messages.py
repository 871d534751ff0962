"""Messages to values and back, and the traps on the way."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.errors import BadRequestError, InternalError, UnsupportedOperationError
from authkit.logical import (
    Alias,
    Auth,
    Connection,
    Entity,
    Group,
    IdentityToken,
    LeasedSecret,
    LeaseOptions,
    Operation,
    PluginEnvironment,
    RawBody,
    Request,
    Response,
    RotationInfo,
    RotationJob,
    SpecialPaths,
    StorageEntry,
    TLSState,
    TokenType,
    WrapInfo,
    WrapRequest,
)
from authkit.masking import Secret
from authkit.wire import messages as m
from authkit.wire.pb import backend_pb2 as pb

ZERO_TIME = -62_135_596_800

text = st.text(max_size=8)
texts = st.lists(text, max_size=3).map(tuple)
text_map = st.dictionaries(text, text, max_size=3)
blob = st.binary(max_size=8)
blobs = st.lists(blob, max_size=3).map(tuple)
data = st.dictionaries(
    text, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text | st.lists(text), max_size=3
)
lifetimes = st.timedeltas(timedelta(0), m.MAX_DURATION)
durations = st.timedeltas(-m.MAX_DURATION, m.MAX_DURATION)
times = st.none() | st.datetimes(datetime(1, 1, 1, 0, 0, 1), datetime(9999, 12, 30), timezones=st.just(UTC))
headers = st.dictionaries(text, texts, max_size=3)
numbers = st.integers(0, 2**31 - 1)

leases = st.builds(
    LeaseOptions,
    ttl=lifetimes,
    max_ttl=lifetimes,
    renewable=st.booleans(),
    increment=durations,
    issue_time=times,
)
aliases = st.builds(
    Alias,
    name=text,
    metadata=text_map,
    custom_metadata=text_map,
    mount_type=text,
    mount_accessor=text,
    id=text,
    namespace_id=text,
    local=st.booleans(),
)
auths = st.builds(
    Auth,
    lease=leases,
    internal_data=data,
    display_name=text,
    policies=texts,
    metadata=text_map,
    alias=st.none() | aliases,
    group_aliases=st.lists(aliases, max_size=2).map(tuple),
    period=lifetimes,
    explicit_max_ttl=lifetimes,
    num_uses=numbers,
    bound_cidrs=texts,
    token_type=st.sampled_from(TokenType),
    no_default_policy=st.booleans(),
    entity_id=text,
    accessor=text,
    client_token=text,
    token_policies=texts,
    identity_policies=texts,
)
secrets = st.builds(LeasedSecret, lease=leases, internal_data=data, lease_id=text)
tls_states = st.builds(
    TLSState,
    version=numbers,
    handshake_complete=st.booleans(),
    did_resume=st.booleans(),
    cipher_suite=numbers,
    negotiated_protocol=text,
    negotiated_protocol_is_mutual=st.booleans(),
    server_name=text,
    peer_certificates=blobs,
    verified_chains=st.lists(blobs, max_size=2).map(tuple),
    signed_certificate_timestamps=blobs,
    ocsp_response=blob,
    tls_unique=blob,
)
connections = st.builds(
    Connection,
    remote_addr=text,
    remote_port=numbers,
    tls=st.none() | tls_states,
    peer_certificates=blobs,
    proxied_certificates=blobs,
)
wrap_requests = st.builds(WrapRequest, ttl=durations, format=text, seal_wrap=st.booleans())
wrap_infos = st.builds(
    WrapInfo,
    ttl=lifetimes,
    format=text,
    creation_path=text,
    seal_wrap=st.booleans(),
    token=text,
    accessor=text,
    creation_time=times,
    wrapped_accessor=text,
    wrapped_entity_id=text,
)
raw_bodies = st.builds(
    RawBody,
    status=st.integers(200, 599).filter(lambda status: status != 204),
    content_type=text.filter(bool),
    body=blob,
    cache_control=text,
    pragma=text,
    www_authenticate=text,
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request that a host could send."""
    content = draw(st.none() | data)
    return Request(
        operation=draw(st.sampled_from(Operation)),
        data=content or {},
        has_data=content is not None,
        auth=draw(st.none() | auths),
        secret=draw(st.none() | secrets),
        headers=draw(headers),
        connection=draw(st.none() | connections),
        wrap_info=draw(st.none() | wrap_requests),
        unauthenticated=draw(st.booleans()),
        policy_override=draw(st.booleans()),
        client_token_remaining_uses=draw(numbers),
        **{
            name: draw(text)
            for name in (
                "path",
                "id",
                "client_token",
                "client_token_accessor",
                "display_name",
                "entity_id",
                "mount_point",
                "mount_type",
                "mount_accessor",
                "replication_cluster",
                "requires_snapshot_id",
                "recover_source_path",
            )
        },
    )


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """Any response that a backend may give."""
    raw = draw(st.none() | raw_bodies)
    content = None if raw else draw(st.none() | data.filter(lambda value: not value.keys() & {"error"}))
    return Response(
        data=content,
        raw=raw,
        auth=None if raw else draw(st.none() | auths),
        secret=None if raw else draw(st.none() | secrets),
        warnings=draw(texts),
        redirect=draw(text),
        headers=draw(headers),
        wrap_info=draw(st.none() | wrap_infos),
        mount_type=draw(text),
    )


def over_the_wire(message: Any) -> Any:
    """Return the message as the other side reads it."""
    return type(message).FromString(message.SerializeToString())


@given(requests())
def test_a_request_comes_back(request: Request) -> None:
    """A host's request is read as it was written, every field of it."""
    assert m.decode_request(over_the_wire(m.encode_request(request))) == request


@given(responses())
def test_a_response_comes_back(response: Response) -> None:
    """A backend's response is read as it was written, every field of it."""
    assert m.decode_response(over_the_wire(m.encode_response(response))) == response


@given(auths)
def test_an_auth_comes_back(auth: Auth) -> None:
    """A grant is read as it was written."""
    assert m.decode_auth(over_the_wire(m.encode_auth(auth))) == auth


@given(leases, secrets, aliases, wrap_infos, connections)
def test_parts_come_back(
    lease: LeaseOptions, secret: LeasedSecret, alias: Alias, wrap: WrapInfo, connection: Connection
) -> None:
    """The parts of requests and responses are read as they were written."""
    assert m.decode_lease(over_the_wire(m.encode_lease(lease))) == lease
    assert m.decode_leased_secret(over_the_wire(m.encode_leased_secret(secret))) == secret
    assert m.decode_alias(over_the_wire(m.encode_alias(alias))) == alias
    assert m.decode_wrap_info(over_the_wire(m.encode_wrap_info(wrap))) == wrap
    assert m.decode_connection(over_the_wire(m.encode_connection(connection))) == connection


@given(
    st.builds(
        Entity,
        id=text,
        name=text,
        aliases=st.lists(aliases, max_size=2).map(tuple),
        metadata=text_map,
        disabled=st.booleans(),
        namespace_id=text,
    ),
    st.builds(Group, id=text, name=text, metadata=text_map, namespace_id=text),
)
def test_identities_come_back(entity: Entity, group: Group) -> None:
    """Entities and groups are read as they were written."""
    assert m.decode_entity(over_the_wire(m.encode_entity(entity))) == entity
    assert m.decode_group(over_the_wire(m.encode_group(group))) == group


@given(
    st.builds(SpecialPaths, **dict.fromkeys(SpecialPaths.__struct_fields__, texts)),
    st.builds(StorageEntry, key=text, value=blob, seal_wrap=st.booleans()),
    st.builds(m.MountSetup, broker_id=numbers, options=text_map, backend_uuid=text),
    st.builds(
        PluginEnvironment,
        vault_version=text,
        vault_version_prerelease=text,
        vault_version_metadata=text,
        vault_build_date=times,
    ),
)
def test_mount_messages_come_back(
    paths: SpecialPaths, entry: StorageEntry, setup: m.MountSetup, environment: PluginEnvironment
) -> None:
    """What concerns a mount as a whole is read as it was written."""
    assert m.decode_special_paths(over_the_wire(m.encode_special_paths(paths))) == paths
    assert m.decode_storage_entry(over_the_wire(m.encode_storage_entry(entry))) == entry
    assert m.decode_setup(over_the_wire(m.encode_setup(setup))) == setup
    assert m.decode_plugin_environment(over_the_wire(m.encode_plugin_environment(environment))) == environment


@given(st.builds(m.Event, type=text, id=text, metadata=data, entity_ids=texts, note=text))
def test_events_come_back(event: m.Event) -> None:
    """Events and observations are read as they were written, and always carry their inner message."""
    message = over_the_wire(m.encode_event(event))
    assert message.HasField("event")
    assert m.decode_event(message) == event
    observation = m.Observation(type=event.type, data=event.metadata)
    assert m.decode_observation(over_the_wire(m.encode_observation(observation))) == observation


# --- what a host insists on --------------------------------------------------------------------


def test_json_fields_are_never_empty() -> None:
    """No data is `null`: a host fails to parse the empty string."""
    message = m.encode_response(Response(auth=Auth(), wrap_info=WrapInfo()))
    assert message.data == "null"
    assert message.auth.internal_data == "{}"
    assert m.encode_leased_secret(LeasedSecret()).internal_data == "{}"
    assert m.encode_response(Response(data={})).data == "{}"
    assert m.encode_request(Request(operation=Operation.READ)).data == "null"


def test_times_are_always_present() -> None:
    """Issue and creation times are sent as the year 1 when there is none."""
    auth = m.encode_auth(Auth())
    assert auth.lease_options.HasField("issue_time")
    assert auth.lease_options.issue_time.seconds == ZERO_TIME
    assert m.encode_wrap_info(WrapInfo()).creation_time.seconds == ZERO_TIME
    assert m.encode_leased_secret(LeasedSecret()).lease_options.issue_time.seconds == ZERO_TIME


def test_times_of_other_zones_and_before_1970() -> None:
    """A time is sent as the moment that it is."""
    early = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    message = m.encode_lease(LeaseOptions(issue_time=early)).issue_time
    assert (message.seconds, message.nanos) == (-1, 500_000_000)
    east = datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert m.decode_lease(m.encode_lease(LeaseOptions(issue_time=east))).issue_time == datetime(
        2024, 1, 1, tzinfo=UTC
    )


def test_a_time_without_zone_is_refused() -> None:
    """Nobody knows which moment it is."""
    with pytest.raises(InternalError, match="time zone"):
        m.encode_lease(LeaseOptions(issue_time=datetime(2024, 1, 1)))


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_a_time_out_of_range_is_refused(seconds: int) -> None:
    """A host's nonsense is an error, not a crash."""
    message = pb.LeaseOptions()
    message.issue_time.seconds = seconds
    with pytest.raises(InternalError):
        m.decode_lease(message)


def test_an_absent_lease_is_an_empty_one() -> None:
    """Messages without their optional parts are read."""
    assert m.decode_auth(pb.Auth(internal_data="null")) == Auth()
    assert m.decode_lease(pb.LeaseOptions()) == LeaseOptions()


def test_durations_are_nanoseconds() -> None:
    """Lifetimes are sent as nanoseconds, all of them."""
    message = m.encode_auth(
        Auth(
            lease=LeaseOptions(ttl=timedelta(seconds=1), max_ttl=timedelta(seconds=2)),
            period=timedelta(seconds=3),
            explicit_max_ttl=timedelta(microseconds=4),
        )
    )
    lease = message.lease_options
    assert (lease.TTL, lease.MaxTTL, message.period, message.explicit_max_ttl) == (
        1_000_000_000,
        2_000_000_000,
        3_000_000_000,
        4_000,
    )


@given(st.timedeltas(timedelta(0), timedelta.max))
def test_any_lifetime_can_be_sent(ttl: timedelta) -> None:
    """A lifetime beyond 292 years is cut to that, not wrapped around."""
    assert m.decode_lease(m.encode_lease(LeaseOptions(ttl=ttl))).ttl == min(ttl, m.MAX_DURATION)


def test_every_number_of_nanoseconds_can_be_read() -> None:
    """The extremes of the wire's range are durations."""
    lease = m.decode_lease(pb.LeaseOptions(TTL=2**63 - 1, increment=-(2**63)))
    assert lease.ttl == m.MAX_DURATION
    assert lease.increment < timedelta(days=-100_000)


@pytest.mark.parametrize(
    "auth",
    [
        Auth(lease=LeaseOptions(ttl=timedelta(seconds=-1))),
        Auth(lease=LeaseOptions(max_ttl=timedelta(microseconds=-1))),
        Auth(period=timedelta(days=-1)),
        Auth(explicit_max_ttl=timedelta.min),
        Auth(num_uses=-1),
        Auth(num_uses=2**63),
        Auth(token_type=7),  # type: ignore[arg-type]
        Auth(token_type=2),  # type: ignore[arg-type]
        Auth(policies=(1,)),  # type: ignore[arg-type]
        Auth(metadata={"a": 1}),  # type: ignore[dict-item]
        Auth(display_name=None, alias="bob"),  # type: ignore[arg-type]
        Auth(display_name=Secret("a secret")),  # type: ignore[arg-type]
        Auth(display_name="\ud800"),
        Auth(lease=LeaseOptions(ttl=3600)),  # type: ignore[arg-type]
        Auth(internal_data={"token": Secret("a secret")}),
        Auth(alias=Alias(name=7)),  # type: ignore[arg-type]
    ],
)
def test_a_grant_of_wrong_content_is_not_sent(auth: Auth) -> None:
    """A wrong type or a senseless number in a grant is an internal error, never another grant."""
    for encode in (m.encode_response, m.encode_grant):
        with pytest.raises(InternalError) as caught:
            encode(Response(auth=auth))
        assert "a secret" not in str(caught.value)


any_length = text | st.sampled_from(["x" * 127, "x" * 128, "é" * 100, "x" * 16_384])
granted = st.builds(
    Auth,
    lease=leases,
    internal_data=data,
    display_name=any_length,
    policies=texts,
    metadata=st.dictionaries(any_length, any_length, max_size=3),
    alias=st.none() | aliases | st.builds(Alias, name=any_length, metadata=text_map),
    group_aliases=st.lists(aliases | st.builds(Alias, name=text), max_size=3).map(tuple),
    period=lifetimes,
    explicit_max_ttl=lifetimes,
    num_uses=numbers,
    bound_cidrs=texts,
    token_type=st.sampled_from(TokenType),
    no_default_policy=st.booleans(),
)


@given(st.builds(Response, auth=granted, warnings=texts))
def test_a_grant_written_as_bytes_says_what_protobuf_does(response: Response) -> None:
    """For any identity and any role: hosts read the same message."""
    assert m.is_plain_grant(response)
    expected = pb.HandleRequestReply(response=m.encode_response(response))
    assert pb.HandleRequestReply.FromString(m.encode_grant(response)) == expected


@pytest.mark.parametrize("length", range(118, 130))
def test_a_pair_of_any_length_is_written(length: int) -> None:
    """Up to 127 bytes the length of an entry takes one byte, then two."""
    response = Response(auth=Auth(metadata={"k": "x" * length, "é" * (length // 2): "", "": "x" * length}))
    expected = pb.HandleRequestReply(response=m.encode_response(response))
    assert pb.HandleRequestReply.FromString(m.encode_grant(response)) == expected


@pytest.mark.parametrize(
    "response",
    [
        Response(),
        Response(data={"a": 1}),
        Response(auth=Auth(), data={}),
        Response(auth=Auth(), redirect="/x"),
        Response(auth=Auth(), headers={"A": ("b",)}),
        Response(auth=Auth(), mount_type="x"),
        Response(auth=Auth(), wrap_info=WrapInfo()),
        Response(auth=Auth(), secret=LeasedSecret()),
        Response(auth=Auth(policies=["a"])),  # type: ignore[arg-type]
        Response(auth=Auth(bound_cidrs=["a"])),  # type: ignore[arg-type]
        *(Response(auth=Auth(**{name: "x"})) for name in ("client_token", "accessor", "entity_id")),
        *(Response(auth=Auth(**{name: ("x",)})) for name in ("token_policies", "identity_policies")),
    ],
)
def test_other_responses_are_written_by_protobuf(response: Response) -> None:
    """Whatever a login's answer has not."""
    assert not m.is_plain_grant(response)


def test_an_unknown_token_type_is_read_as_hosts_do() -> None:
    """A number outside the list means a batch token."""
    assert m.decode_auth(pb.Auth(internal_data="null", token_type=9)).token_type is TokenType.BATCH


@pytest.mark.parametrize("paths", [SpecialPaths(unauthenticated=("login", None)), SpecialPaths(root=(1,))])  # type: ignore[arg-type]
def test_special_paths_are_lists(paths: SpecialPaths) -> None:
    """Anything but texts is refused; a single text in place of a list is no value at all."""
    with pytest.raises(InternalError, match="is not a list of texts"):
        m.encode_special_paths(paths)


# --- requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["", "READ", "delegate", "update "])
def test_an_unknown_operation_is_unsupported(operation: str) -> None:
    """A verb of a later host is refused as such."""
    with pytest.raises(UnsupportedOperationError):
        m.decode_request(pb.Request(operation=operation, data="null"))


@pytest.mark.parametrize("text", ["", "[]", "nope"])
def test_request_data_must_be_an_object(text: str) -> None:
    """Data that is no object is the caller's mistake."""
    with pytest.raises(BadRequestError):
        m.decode_request(pb.Request(operation="update", data=text))


def test_null_and_empty_data_differ_in_a_flag_only() -> None:
    """Whoever reads data finds a mapping either way."""
    absent = m.decode_request(pb.Request(operation="update", data="null"))
    empty = m.decode_request(pb.Request(operation="update", data="{}"))
    assert (absent.data, absent.has_data) == ({}, False)
    assert (empty.data, empty.has_data) == ({}, True)


def test_absent_parts_of_a_request_are_none() -> None:
    """Presence on the wire is presence in the value."""
    request = m.decode_request(pb.Request(operation="rollback", data="null"))
    assert (request.auth, request.secret, request.connection, request.wrap_info) == (None, None, None, None)


# --- responses ---------------------------------------------------------------------------------


def test_a_raw_body_is_always_base64() -> None:
    """A host decodes a body that looks like base64, so each one is."""
    message = m.encode_response(Response(raw=RawBody(status=200, content_type="text/plain", body=b"abcd")))
    sent = json.loads(message.data)
    assert sent == {
        "http_status_code": 200,
        "http_content_type": "text/plain",
        "http_raw_body": base64.b64encode(b"abcd").decode(),
    }


def test_a_raw_body_without_content() -> None:
    """Status 204 needs no content type."""
    message = m.encode_response(Response(raw=RawBody(status=204)))
    assert m.decode_response(message).raw == RawBody(status=204)


def test_a_raw_body_of_another_plugin_is_read_as_hosts_do() -> None:
    """Text that is no base64 is taken as it is; the status may be a float."""
    message = pb.Response(data='{"http_status_code": 201.0, "http_raw_body": "<p>é"}')
    raw = m.decode_response(message).raw
    assert raw == RawBody(status=201, body="<p>é".encode())


@pytest.mark.parametrize(
    "response",
    [
        Response(raw=RawBody(status=200)),
        Response(raw=RawBody(status=99, content_type="a/b")),
        Response(raw=RawBody(status=700, content_type="a/b")),
        Response(raw=RawBody(status=204, body=b"x")),
        Response(raw=RawBody(status="200", content_type="a/b")),  # type: ignore[arg-type]
        Response(data={"http_status_code": 200}),
        Response(data={"a": 1, "http_status_code": None}),
        Response(data={"a": object()}),
        Response(data={"a": float("nan")}),
        Response(data=["a"]),  # type: ignore[arg-type]
        Response(headers={"A": "b"}),
        Response(redirect=None, mount_type=7),  # type: ignore[arg-type]
        Response(wrap_info=WrapInfo(ttl=timedelta(-1))),
        Response(secret=LeasedSecret(lease=LeaseOptions(ttl=timedelta(-1)))),
    ],
)
def test_a_response_of_wrong_content_is_not_sent(response: Response) -> None:
    """What would make a host fail, or mean something else to it, is an internal error."""
    with pytest.raises(InternalError):
        m.encode_response(response)


def test_a_grant_never_travels_with_an_error() -> None:
    """Data that turned into an error after the response was made does not go out with the grant."""
    content: dict[str, Any] = {}
    response = Response(auth=Auth(), data=content)
    content["error"] = "too late"
    with pytest.raises(InternalError):
        m.encode_response(response)


@pytest.mark.parametrize(
    "message",
    [
        pb.Response(),
        pb.Response(data="[]"),
        pb.Response(data='{"http_status_code": "x"}'),
        pb.Response(data='{"http_status_code": 1.5}'),
        pb.Response(data='{"http_status_code": 200, "http_content_type": 7}'),
        pb.Response(data="null", auth=pb.Auth()),
        pb.Response(data='{"error": "x"}', auth=pb.Auth(internal_data="null")),
    ],
)
def test_a_backends_nonsense_is_an_internal_error(message: pb.Response) -> None:
    """A host in Python refuses what a host in Go refuses."""
    with pytest.raises(InternalError):
        m.decode_response(message)


# --- what only Enterprise answers --------------------------------------------------------------

seconds = st.integers(0, 10**9).map(lambda number: timedelta(seconds=number))
moments = st.none() | st.integers(1, 10**10).map(lambda number: datetime.fromtimestamp(number, UTC))


@given(
    st.builds(
        RotationJob, name=text, mount_point=text, path=text, schedule=text, window=seconds, period=seconds
    )
)
def test_rotation_jobs_come_back(job: RotationJob) -> None:
    """To the second."""
    assert m.decode_rotation_job(m.encode_rotation_job(job)) == job


@given(st.builds(RotationInfo, issue_time=moments, expire_time=moments, ttl=seconds))
def test_times_of_a_rotation_come_back(info: RotationInfo) -> None:
    """None is told apart from a time."""
    assert m.decode_rotation_info(m.encode_rotation_info(info)) == info


def test_an_identity_token_comes_back() -> None:
    """Its text is a secret on this side, and on the wire what it is."""
    token = IdentityToken(token=Secret("a.b.c"), ttl=timedelta(minutes=1))
    message = m.encode_identity_token(token)
    assert (message.token, message.ttl) == ("a.b.c", 60)
    assert m.decode_identity_token(message) == token


def test_durations_and_times_out_of_range() -> None:
    """Are refused in both directions, never cut or wrapped around."""
    with pytest.raises(InternalError, match="negative"):
        m.encode_seconds(timedelta(seconds=-1))
    with pytest.raises(InternalError, match="out of range"):
        m.decode_seconds(2**62)
    with pytest.raises(InternalError, match="out of range"):
        m.decode_rotation_info(pb.RotationInfoReply(issue_time=2**62))


@pytest.mark.parametrize("value", ["0.1", "[]", "{}", '"a"', "0"])
def test_a_request_of_too_many_values_is_not_read(value: str) -> None:
    """A stranger's request of millions of values costs neither time nor memory."""
    row = "[" + ",".join([value] * 9_999) + "]"
    data = '{"role": [' + ",".join([row] * 26) + "]}"
    with pytest.raises(BadRequestError, match="too many values"):
        m.decode_request(pb.Request(operation="update", data=data))
    data = '{"role": [' + ",".join([row] * 12) + "]}"
    assert m.decode_request(pb.Request(operation="update", data=data)).has_data
