"""What a host does with requests and with a plugin's answers, case by case.

Every case runs unchanged on the core in this process, over HTTP, and on a real server. It names the
statuses and what matters most; the whole answers are compared with those recorded from Vault 1.21.1.
"""

from __future__ import annotations

from conformance.session import MOUNT, PLUGIN, Session, begin, case, clock_case

__all__ = ["LOGIN"]

LOGIN = f"auth/{MOUNT}/login"
ELSEWHERE = "127.0.0.2"

# --- routing -----------------------------------------------------------------------------------

begin("routing")


@case
async def unknown_mount(host: Session) -> None:
    """Root reads at a mount that does not exist: 404 with Vault's words."""
    await host.read("auth/nowhere/x", status=404)
    await host.write("auth/nowhere/x", status=404)
    await host.list("auth/nowhere/x", status=404)
    await host.delete("auth/nowhere/x", status=404)


@case
async def unknown_mount_for_strangers(host: Session) -> None:
    """A stranger learns nothing about mounts: 403."""
    await host.write("auth/nowhere/login", status=403, token=None)
    await host.read("nowhere", status=403, token=None)


@case
async def unknown_mount_for_a_token_without_policies(host: Session) -> None:
    """A token that may do little learns nothing about mounts either."""
    token = await host.token("default")
    await host.read("auth/nowhere/x", status=403, token=token)


@case
async def path_outside_everything(host: Session) -> None:
    """A path that no mount serves."""
    await host.read("nowhere", status=404)
    await host.write("nowhere/at/all", status=404)


@case
async def unsupported_path(host: Session) -> None:
    """The plugin does not know the path."""
    await host.read(f"auth/{MOUNT}/missing", status=404)
    await host.write(f"auth/{MOUNT}/missing/x", status=404)


@case
async def unsupported_operation(host: Session) -> None:
    """The plugin knows the path, not the operation."""
    await host.call("PATCH", f"auth/{MOUNT}/kv/x", {"value": "1"}, status=405)


@case
async def operation_of_each_method(host: Session) -> None:
    """GET reads, POST and PUT update, DELETE deletes, LIST lists."""
    for method in ("POST", "PUT"):
        body = await host.call(method, f"auth/{MOUNT}/do", {"echo": True})
        assert body["data"]["operation"] == "update"
    body = await host.read(f"auth/{MOUNT}/do", query={"echo": "1"})
    assert body["data"]["operation"] == "read"


@case
async def list_by_query(host: Session) -> None:
    """`?list=true` lists, and the path gets its slash."""
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    assert (await host.read(f"auth/{MOUNT}/kv", query={"list": "true"}))["data"]["keys"] == ["x"]
    assert (await host.list(f"auth/{MOUNT}/kv/"))["data"]["keys"] == ["x"]
    await host.read(f"auth/{MOUNT}/kv", query={"list": "maybe"}, status=400)


@case
async def list_false_is_a_read(host: Session) -> None:
    """`?list=false` reads."""
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    assert (await host.read(f"auth/{MOUNT}/kv/x", query={"list": "false"}))["data"] == {"value": "1"}


@case
async def query_is_the_data_of_a_read(host: Session) -> None:
    """Query parameters reach the plugin as text."""
    body = await host.read(f"auth/{MOUNT}/do", query={"echo": "yes", "number": "7"})
    assert body["data"]["data"] == {"number": "7"}


@case
async def query_of_a_delete(host: Session) -> None:
    """A delete takes its data from the query."""
    body = await host.delete(f"auth/{MOUNT}/do", query={"echo": "yes", "a": "b"}, status=200)
    assert body["data"]["operation"] == "delete"
    assert body["data"]["data"] == {"a": "b"}


@case
async def query_of_a_write_is_ignored(host: Session) -> None:
    """A write takes its data from the body alone."""
    body = await host.write(f"auth/{MOUNT}/do", {"echo": True}, query={"a": "b"})
    assert body["data"]["data"] == {}


@case
async def write_without_a_body(host: Session) -> None:
    """A write without a body has no data at all."""
    await host.call("POST", f"auth/{MOUNT}/open/do", status=200, token=None)


@case
async def create_and_update(host: Session) -> None:
    """The existence check decides: the first write creates, the second updates."""
    first = await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    second = await host.write(f"auth/{MOUNT}/kv/x", {"value": "2"})
    assert [each["data"]["operation"] for each in (first, second)] == ["create", "update"]


@case
async def write_to_a_folder(host: Session) -> None:
    """A path that ends with a slash cannot be written."""
    await host.write(f"auth/{MOUNT}/kv/", {"value": "1"}, status=400)
    await host.write(f"auth/{MOUNT}/open/", {}, status=400, token=None)


@case
async def write_to_a_folder_of_a_tolerant_mount(host: Session) -> None:
    """A mount can be tuned to take such a path without its slash."""
    await host.tune(trim_request_trailing_slashes=True)
    await host.write(f"auth/{MOUNT}/kv/x/", {"value": "1"})
    assert (await host.read(f"auth/{MOUNT}/kv/x"))["data"] == {"value": "1"}


@case
async def the_mount_itself(host: Session) -> None:
    """The path of the mount arrives as the empty path."""
    for path in (f"auth/{MOUNT}", f"auth/{MOUNT}/"):
        body = await host.read(path, query={"echo": "1"})
        assert body["data"]["path"] == ""


@case
async def paths_below_open_ones(host: Session) -> None:
    """Patterns of paths that need no token: exact, prefix, one segment."""
    await host.open(path="login")
    await host.open(path="login/one")
    await host.open(path="open/a/b/c")
    await host.open(403, path="login/one/two")
    await host.open(403, path="openly")
    await host.open(403, path="logins")


@case
async def sudo_paths(host: Session) -> None:
    """A path for callers with `sudo`: root has it, others need the capability."""
    await host.policy("con-plain", (f"auth/{MOUNT}/*", ["create", "update", "read"]))
    await host.policy("con-sudo", (f"auth/{MOUNT}/*", ["create", "update", "read", "sudo"]))
    plain, sudo = await host.token("con-plain"), await host.token("con-sudo")
    await host.do(path="sudo/x", data={"a": 1})
    await host.do(403, path="sudo/x", token=plain, data={"a": 1})
    await host.do(path="sudo/x", token=sudo, data={"a": 1})
    await host.do(path="do", token=plain, data={"a": 1})


@case
async def what_a_plugin_sees(host: Session) -> None:
    """Request of a known caller: ids, names, connection."""
    body = await host.do(echo=True, number=5, real=1.5, text="x", nested={"a": [1, None]})
    assert body["data"]["unauthenticated"] is False
    assert body["data"]["mount_point"] == f"auth/{MOUNT}/"


@case
async def what_a_plugin_sees_of_a_stranger(host: Session) -> None:
    """Request of a stranger: unauthenticated, yet with a client token, which is a hash."""
    body = await host.open(echo=True)
    assert body["data"]["unauthenticated"] is True
    assert body["data"]["has_client_token"] is True


@case
async def what_a_plugin_sees_of_a_caller_who_logs_in_again(host: Session) -> None:
    """A valid token on an open path tells the plugin who calls."""
    auth = await host.login(alias="bob", policies=["default"])
    await host.write(f"auth/{MOUNT}/open/do", {"echo": True}, token=auth["client_token"])


@case
async def bad_token_on_an_open_path(host: Session) -> None:
    """A token that is none does not matter where none is needed."""
    await host.write(f"auth/{MOUNT}/open/do", {"echo": True}, token="nonsense")


@case
async def what_a_plugin_sees_of_its_client(host: Session) -> None:
    """The address is that of the client."""
    body = await host.write(f"auth/{MOUNT}/open/do", {"echo": True}, token=None, address=ELSEWHERE)
    assert body["data"]["remote_addr"] == ELSEWHERE


@case
async def read_has_no_mount_accessor(host: Session) -> None:
    """The accessor of the mount is there for writes, which were routed before, and not for reads."""
    read = await host.read(f"auth/{MOUNT}/do", query={"echo": "1"})
    write = await host.do(echo=True)
    assert [each["data"]["has_mount_accessor"] for each in (read, write)] == [False, True]


@case
async def headers_are_kept_back(host: Session) -> None:
    """No header reaches a plugin unless the mount passes it through."""
    body = await host.write(f"auth/{MOUNT}/do", {"echo": True}, headers={"X-Custom": "1"})
    assert body["data"]["headers"] == {}


@case
async def headers_that_pass(host: Session) -> None:
    """A mount passes the headers that it is tuned to, whatever their case."""
    await host.tune(passthrough_request_headers=["x-custom", "X-Vault-Token"])
    headers = {"X-Custom": "1", "X-Other": "2"}
    body = await host.write(f"auth/{MOUNT}/do", {"echo": True}, headers=headers)
    assert body["data"]["headers"] == {"X-Custom": ["1"]}


@case
async def help_of_a_path(host: Session) -> None:
    """`?help=1` gives the plugin's page, without an envelope."""
    body = await host.read(f"auth/{MOUNT}/do", query={"help": "1"})
    assert body["help"].startswith("Answers what")


@case
async def help_of_an_open_path(host: Session) -> None:
    """Help of a path that needs no token needs none either."""
    await host.read(f"auth/{MOUNT}/login", query={"help": "1"}, token=None)
    await host.read(f"auth/{MOUNT}/do", query={"help": "1"}, token=None, status=403)


@case
async def help_needs_no_policy(host: Session) -> None:
    """Any valid token may ask for help."""
    token = await host.token("default")
    await host.read(f"auth/{MOUNT}/do", query={"help": "1"}, token=token)


@case
async def help_of_an_unknown_mount(host: Session) -> None:
    """There is no help where there is no mount."""
    await host.read("auth/nowhere", query={"help": "1"}, status=404)


@case
async def unknown_method(host: Session) -> None:
    """A method that no server knows."""
    await host.call("FLY", f"auth/{MOUNT}/do", status=405)


@case
async def head_and_options(host: Session) -> None:
    """HEAD asks the plugin like any method, OPTIONS asks for nothing."""
    await host.call("HEAD", f"auth/{MOUNT}/do", query={"echo": "1"})
    await host.call("HEAD", f"auth/{MOUNT}/kv/none", status=405)
    await host.call("OPTIONS", f"auth/{MOUNT}/do", status=405)
    await host.call("OPTIONS", f"auth/{MOUNT}/login", token=None, status=405)
    await host.call("HEAD", "sys/auth", status=405)


@case
async def patch(host: Session) -> None:
    """PATCH is an operation of its own, with the capability of that name."""
    await host.policy("con-patch", (f"auth/{MOUNT}/do", ["patch"]))
    await host.policy("con-update", (f"auth/{MOUNT}/do", ["update"]))
    body = await host.call(
        "PATCH", f"auth/{MOUNT}/do", {"echo": True, "a": None}, token=await host.token("con-patch")
    )
    assert (body["data"]["operation"], body["data"]["data"]) == ("patch", {"a": None})
    await host.call("PATCH", f"auth/{MOUNT}/do", {}, token=await host.token("con-update"), status=403)
    await host.call("PATCH", f"auth/{MOUNT}/do/", {}, status=400)


@case
async def help_of_the_hosts_own_paths(host: Session) -> None:
    """There is help where there is a path."""
    await host.read("sys/nothing", query={"help": "1"}, status=404)
    await host.read("sys/auth", query={"help": "1"}, token=None, status=403)


# --- answers -----------------------------------------------------------------------------------

begin("answers")


@case
async def nothing_on_a_read(host: Session) -> None:
    """No answer to a read is 404 with no text."""
    await host.read(f"auth/{MOUNT}/kv/none", status=404)


@case
async def nothing_on_a_write(host: Session) -> None:
    """No answer to a write is 204."""
    await host.do(204, nothing=True)
    await host.open(204, nothing=True)


@case
async def nothing_on_a_delete(host: Session) -> None:
    """No answer to a delete is 204, whether there was something or not."""
    await host.delete(f"auth/{MOUNT}/kv/none")


@case
async def empty_answer_on_a_write(host: Session) -> None:
    """An empty answer to a write is 200 with data null."""
    body = await host.do()
    assert body["data"] is None


@case
async def empty_answer_on_a_read(host: Session) -> None:
    """An empty answer to a read is 200."""
    await host.read(f"auth/{MOUNT}/do")


@case
async def empty_list(host: Session) -> None:
    """A list without keys is 404."""
    await host.list(f"auth/{MOUNT}/kv", status=404)


@case
async def empty_answer_on_a_list(host: Session) -> None:
    """An empty answer to a list is 404 as well."""
    await host.list(f"auth/{MOUNT}/do", status=404)


@case
async def data_of_every_kind(host: Session) -> None:
    """Data comes out as it went in."""
    data = {
        "text": "ä\n",
        "number": 7,
        "real": 1.5,
        "true": True,
        "null": None,
        "list": [1, "2"],
        "map": {"a": {}},
    }
    assert (await host.do(data=data))["data"] == data


@case
async def whole_real_numbers(host: Session) -> None:
    """A real number without a fraction comes out as an integer."""
    body = await host.do(data={"number": 5.0, "thousand": 1e3})
    assert body["data"] == {"number": 5, "thousand": 1000}


@case
async def warnings(host: Session) -> None:
    """Warnings are shown beside the data."""
    body = await host.do(data={"a": 1}, warnings=["one", "two"])
    assert body["warnings"] == ["one", "two"]


@case
async def warnings_on_an_open_path(host: Session) -> None:
    """Warnings are shown to strangers as well."""
    await host.open(data={"a": 1}, warnings=["one"])


@case
async def redirect(host: Session) -> None:
    """A redirect wins over everything else."""
    await host.do(307, redirect="https://example.test/x", data={"a": 1})


@case
async def redirect_of_a_login(host: Session) -> None:
    """A redirect beside a grant hides the token."""
    await host.login(307, beside={"redirect": "https://example.test/x"})


@case
async def raw_answer(host: Session) -> None:
    """A raw body with a status and a type of its own."""
    body = await host.do(202, raw={"status": 202, "content_type": "text/plain", "body": "hello"})
    assert body == "hello"


@case
async def raw_answer_on_an_open_path(host: Session) -> None:
    """A page for a browser."""
    await host.open(200, raw={"status": 200, "content_type": "text/html", "body": "<p>hello</p>"})


@case
async def raw_answer_without_a_body(host: Session) -> None:
    """204 has no type and no body."""
    await host.do(204, raw={"status": 204})


@case
async def raw_answer_with_headers(host: Session) -> None:
    """Some headers belong to a raw answer."""
    raw = {"status": 401, "content_type": "text/plain", "body": "no", "www_authenticate": "Negotiate"}
    await host.open(401, raw=raw | {"cache_control": "no-cache"})


@case
async def response_headers_are_kept_back(host: Session) -> None:
    """No header of a plugin's reaches a client unless the mount lets it out."""
    await host.do(data={"a": 1}, headers={"X-Answer": ["1"]})
    await host.tune(allowed_response_headers=["x-answer"])
    await host.do(data={"a": 1}, headers={"X-Answer": ["1"], "X-Other": ["2"]})


@case
async def three_keys_are_no_error(host: Session) -> None:
    """`error` beside other data is data."""
    body = await host.do(data={"error": "no", "data": 1, "more": 2})
    assert body["data"]["error"] == "no"


@case
async def grant_on_a_path_that_needs_a_token(host: Session) -> None:
    """Only open paths may grant tokens."""
    await host.do(500, auth={"policies": ["default"]})


@case
async def what_the_host_says(host: Session) -> None:
    """The system view tells the mount's limits, the version, the replication state."""
    await host.tune(default_lease_ttl="1h", max_lease_ttl="2h")
    body = await host.read(f"auth/{MOUNT}/system")
    assert (body["data"]["default_lease_ttl"], body["data"]["max_lease_ttl"]) == (3600, 7200)


@case
async def what_the_host_says_about_an_entity(host: Session) -> None:
    """The system view knows the entity of a login and its groups."""
    await host.external_group("con-group", "devs")
    auth = await host.login(alias="bob", groups=["devs"], policies=["default"])
    body = await host.read(f"auth/{MOUNT}/system", query={"entity_id": auth["entity_id"]})
    assert body["data"]["groups"] == ["con-group"]


# --- errors ------------------------------------------------------------------------------------

begin("errors")


@case
async def error_response(host: Session) -> None:
    """An error response is 400 with its text, the same for all."""
    await host.do(400, refusal="not like this")
    await host.open(400, refusal="not like this")


@case
async def error_response_with_data(host: Session) -> None:
    """Data beside the error is shown."""
    body = await host.do(400, refusal="not like this", refusal_data={"hint": 1})
    assert body["data"] == {"hint": 1}


def _error_case(name: str, error: object, status: int) -> None:
    async def run(host: Session) -> None:
        await host.do(status, error=error)
        await host.open(status, error=error)

    run.__name__ = name
    run.__doc__ = f"The error {error!r} is {status}, listed for those with a token, bare for strangers."
    case(run)


for _name, _error, _status in (
    ("unclassified_error", "boom", 500),
    ("user_error", {"kind": "UserError", "text": "your fault"}, 400),
    ("internal_error", {"kind": "InternalError", "text": "my fault"}, 500),
    ("bad_request", {"kind": "BadRequestError", "text": "bad"}, 400),
    ("unsupported_operation_error", {"kind": "UnsupportedOperationError"}, 405),
    ("unsupported_path_error", {"kind": "UnsupportedPathError"}, 404),
    ("invalid_request", {"kind": "InvalidRequestError"}, 400),
    ("permission_denied", {"kind": "PermissionDeniedError"}, 403),
    ("approval", {"kind": "MultiAuthzPendingError"}, 500),
    ("unrecoverable", {"kind": "UnrecoverableError"}, 500),
    ("invalid_credentials", {"kind": "InvalidCredentialsError"}, 400),
    ("coded_404", {"status": 404, "text": "gone"}, 404),
    ("coded_409", {"status": 409, "text": "twice"}, 409),
    ("coded_429", {"status": 429, "text": "slowly"}, 429),
    ("coded_502", {"status": 502, "text": "upstream"}, 502),
    ("wrapped_denial", "wrapped: permission denied", 500),
    ("text_denial", "permission denied", 403),
    ("text_unsupported_path", "unsupported path", 404),
    ("text_upstream_rate", "upstream rate limited", 502),
    ("text_rate_quota", "rate limit quota exceeded", 429),
    ("text_lease_quota", "lease count quota exceeded", 429),
    ("text_index_state", "required index state not present", 412),
    ("text_removed", "functionality on this path has been removed", 404),
    ("text_not_found", "not found", 500),
    ("text_relative_path", "relative paths not supported", 400),
    ("text_invalid_token", "invalid token", 500),
    ("text_sealed", "Vault is sealed", 503),
    ("text_read_only", "cannot write to readonly storage", 500),
    ("text_with_lines", "one\ntwo", 500),
):
    _error_case(_name, _error, _status)


@case
async def user_error_of_an_existence_check(host: Session) -> None:
    """Bad input that the existence check finds is the caller's mistake, with the bare text."""
    for path, token in (("do", "root"), ("open/do", None)):
        await host.write(
            f"auth/{MOUNT}/{path}",
            {"check_error": {"kind": "UserError", "text": "bad"}},
            status=400,
            token=token,
        )


@case
async def failing_existence_check(host: Session) -> None:
    """Any other failure of the existence check is an internal error without detail."""
    for path, token in (("do", "root"), ("open/do", None)):
        await host.write(f"auth/{MOUNT}/{path}", {"check_error": "boom"}, status=500, token=token)


@case
async def existence_check_of_an_unknown_path(host: Session) -> None:
    """An existence check that does not know the path is no failure: the request itself decides."""
    error = {"kind": "UnsupportedPathError"}
    await host.write(f"auth/{MOUNT}/do", {"check_error": error, "data": {"a": 1}})


# --- logins ------------------------------------------------------------------------------------

begin("login")


@case
async def plain_login(host: Session) -> None:
    """A login grants a service token with what was asked for and the policy `default`."""
    auth = await host.login(ttl="1h", policies=["dev"], metadata={"role": "x"}, display_name="bob")
    assert auth["policies"] == ["default", "dev"]
    assert (auth["lease_duration"], auth["renewable"], auth["token_type"]) == (3600, True, "service")


@case
async def lookup_of_a_login(host: Session) -> None:
    """The token tells where it comes from."""
    auth = await host.login(ttl="1h", policies=["dev"], metadata={"role": "x"}, display_name="bob")
    seen = await host.lookup(auth)
    assert (seen["path"], seen["display_name"], seen["meta"]) == (LOGIN, f"{MOUNT}-bob", {"role": "x"})


@case
async def lookup_self(host: Session) -> None:
    """A token can look itself up by reading; who may write there can too."""
    auth = await host.login(ttl="1h", alias="bob")
    await host.read("auth/token/lookup-self", token=auth["client_token"])
    await host.write("auth/token/lookup-self", token=auth["client_token"], status=403)
    await host.write("auth/token/lookup-self")


@case
async def login_without_anything(host: Session) -> None:
    """A grant without any wish gets the mount's TTL and the policy `default`."""
    auth = await host.login()
    assert (auth["lease_duration"], auth["policies"]) == (2764800, ["default"])


@case
async def login_by_reading(host: Session) -> None:
    """An open path that nobody writes to grants nothing by itself."""
    await host.read(LOGIN, token=None)


@case
async def login_below_the_login_path(host: Session) -> None:
    """The token's path is the whole one."""
    body = await host.write(f"auth/{MOUNT}/login/bob", {"auth": {"ttl": "1h"}}, token=None)
    assert (await host.lookup(body["auth"]))["path"] == f"auth/{MOUNT}/login/bob"


@case
async def login_with_data_and_warnings(host: Session) -> None:
    """Data and warnings stand beside the grant."""
    beside = {"data": {"a": 1}, "warnings": ["careful"]}
    body = await host.write(LOGIN, {"auth": {"ttl": "1h"}, **beside}, token=None)
    assert (body["data"], body["warnings"]) == ({"a": 1}, ["careful"])


@case
async def display_names(host: Session) -> None:
    """The mount's name stands in front; one dash at the end goes."""
    for name in ("", "bob", "bob-", "b/o b"):
        await host.lookup(await host.login(ttl="1h", display_name=name))


@case
async def policies_are_cleaned(host: Session) -> None:
    """Names are trimmed, in lower case, sorted, each once."""
    auth = await host.login(policies=[" Dev ", "dev", "ADMIN", "", "default"])
    assert auth["token_policies"] == ["admin", "default", "dev"]


@case
async def no_default_policy(host: Session) -> None:
    """A grant may leave out the default policy."""
    auth = await host.login(policies=["dev"], no_default_policy=True)
    assert auth["policies"] == ["dev"]


@case
async def no_policy_at_all(host: Session) -> None:
    """A token without any policy may not even look itself up."""
    auth = await host.login(no_default_policy=True)
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)


@case
async def root_policy_is_refused(host: Session) -> None:
    """No login grants root, however it is spelled."""
    await host.login(400, policies=["dev", "root"])
    await host.login(400, policies=[" ROOT "])


@case
async def policies_of_the_host_are_refused(host: Session) -> None:
    """Some policies belong to the host."""
    await host.login(400, policies=["response-wrapping"])
    await host.login(400, policies=["control-group"])


@case
async def metadata_of_the_token(host: Session) -> None:
    """Metadata of the token is not that of the alias."""
    auth = await host.login(metadata={"a": "1"}, alias={"name": "bob", "metadata": {"b": "2"}})
    assert auth["metadata"] == {"a": "1"}


@case
async def role_is_resolved(host: Session) -> None:
    """The host asks which role a login was for; any answer leaves the login as it is."""
    await host.login(beside={"role": "dev"}, ttl="1h")


@case
async def error_beside_a_login(host: Session) -> None:
    """A plugin that refuses grants nothing."""
    await host.login(400, beside={"refusal": "no"})
    await host.login(403, beside={"error": {"kind": "PermissionDeniedError"}})


@case
async def own_token_types(host: Session) -> None:
    """Every wish for a type, on a mount without one of its own."""
    for kind in ("DEFAULT", "SERVICE", "BATCH", "DEFAULT_SERVICE", "DEFAULT_BATCH"):
        await host.login(ttl="1h", token_type=kind)


@case
async def token_types_of_a_batch_mount(host: Session) -> None:
    """Every wish for a type, on a mount that prefers batch tokens."""
    await host.tune(token_type="default-batch")
    for kind in ("DEFAULT", "SERVICE", "BATCH", "DEFAULT_SERVICE", "DEFAULT_BATCH"):
        await host.login(ttl="1h", token_type=kind)


@case
async def mount_that_insists_on_a_type(host: Session) -> None:
    """A mount that says `batch` or `service` means it."""
    await host.tune(token_type="batch")
    assert (await host.login(ttl="1h", token_type="SERVICE"))["token_type"] == "batch"
    await host.tune(token_type="service")
    assert (await host.login(ttl="1h", token_type="BATCH"))["token_type"] == "service"


@case
async def wrong_token_on_login(host: Session) -> None:
    """A login with a token that is no good is a login."""
    await host.write(LOGIN, {"auth": {"ttl": "1h"}}, token="hvs.AAAAAAAAAAAAAAAAAAAAAAAA")


# --- lifetimes ---------------------------------------------------------------------------------

begin("ttl")


@case
async def ttl_within_the_limits(host: Session) -> None:
    """A TTL that nothing forbids is granted."""
    assert (await host.login(ttl="90m"))["lease_duration"] == 5400


@case
async def ttl_above_the_plugins_max(host: Session) -> None:
    """A TTL above the plugin's own maximum is cut, with a warning."""
    body = await host.write(LOGIN, {"auth": {"ttl": "5m", "max_ttl": "2m"}}, token=None)
    assert body["auth"]["lease_duration"] == 120
    assert "capped accordingly" in body["warnings"][0]


@case
async def ttl_above_the_mounts_max(host: Session) -> None:
    """A TTL above the mount's maximum is cut, with a warning."""
    await host.tune(max_lease_ttl="10m", default_lease_ttl="5m")
    assert (await host.login(ttl="1h"))["lease_duration"] == 600


@case
async def ttl_above_the_systems_max(host: Session) -> None:
    """Nothing lives longer than the system allows."""
    assert (await host.login(ttl="1000h"))["lease_duration"] == 2764800


@case
async def default_of_the_mount(host: Session) -> None:
    """Without a TTL the mount's default counts."""
    await host.tune(default_lease_ttl="30m")
    assert (await host.login())["lease_duration"] == 1800


@case
async def default_above_the_plugins_max(host: Session) -> None:
    """The mount's default is cut to the plugin's maximum, with a warning."""
    body = await host.write(LOGIN, {"auth": {"max_ttl": "5m"}}, token=None)
    assert body["auth"]["lease_duration"] == 300
    assert body["warnings"]


@case
async def max_ttl_above_the_mounts(host: Session) -> None:
    """A plugin cannot raise the mount's maximum."""
    await host.tune(max_lease_ttl="10m", default_lease_ttl="5m")
    assert (await host.login(ttl="9m", max_ttl="1h"))["lease_duration"] == 540


@case
async def explicit_max_ttl(host: Session) -> None:
    """An explicit maximum cuts the TTL and shows in a lookup."""
    auth = await host.login(ttl="1h", explicit_max_ttl="10m")
    assert auth["lease_duration"] == 600
    assert (await host.lookup(auth))["explicit_max_ttl"] == 600


@case
async def smallest_of_three(host: Session) -> None:
    """The smallest of all maxima counts."""
    await host.tune(max_lease_ttl="1h", default_lease_ttl="5m")
    assert (await host.login(ttl="50m", max_ttl="30m", explicit_max_ttl="20m"))["lease_duration"] == 1200
    assert (await host.login(ttl="50m", max_ttl="10m", explicit_max_ttl="20m"))["lease_duration"] == 600


@case
async def periodic_login(host: Session) -> None:
    """A period is the TTL, whatever else was asked for."""
    auth = await host.login(ttl="1s", period="10m")
    assert auth["lease_duration"] == 600
    assert (await host.lookup(auth))["period"] == 600


@case
async def period_above_the_max(host: Session) -> None:
    """A period is cut to every maximum, with a warning."""
    body = await host.write(LOGIN, {"auth": {"period": "1h", "max_ttl": "2m"}}, token=None)
    assert body["auth"]["lease_duration"] == 120
    assert body["warnings"][0].startswith("period of")


@case
async def period_above_the_systems_max(host: Session) -> None:
    """A period above the system's maximum is cut."""
    assert (await host.login(period="1000h"))["lease_duration"] == 2764800


@case
async def period_with_explicit_max(host: Session) -> None:
    """An explicit maximum cuts a period too, and ends the token."""
    auth = await host.login(period="1h", explicit_max_ttl="10m")
    assert auth["lease_duration"] == 600


@case
async def fractions_of_seconds(host: Session) -> None:
    """A TTL below a second is one that ends at once; above, the fraction is not shown."""
    assert (await host.login(ttl="90500ms"))["lease_duration"] == 90


@case
async def words_of_the_warnings(host: Session) -> None:
    """How warnings write durations."""
    for ttl, longest in (("2h", "1h"), ("2h", "1h30m"), ("2h", "1h0m5s"), ("2h", "75s"), ("2h", "5s")):
        await host.write(LOGIN, {"auth": {"ttl": ttl, "max_ttl": longest}}, token=None)


@clock_case
async def token_expires(host: Session) -> None:
    """A token is worth nothing once its TTL is over."""
    auth = await host.login(ttl="10m", policies=["default"])
    host.tick("9m59s")
    await host.read("auth/token/lookup-self", token=auth["client_token"])
    host.tick("1s")
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)
    await host.write("auth/token/lookup", {"token": auth["client_token"]}, status=403)
    await host.renew(auth, 400)


@clock_case
async def time_goes_by(host: Session) -> None:
    """A lookup tells what is left."""
    auth = await host.login(ttl="1h")
    host.tick("20m")
    assert (await host.lookup(auth))["ttl"] == 2400


@clock_case
async def renewed_token_lives_longer(host: Session) -> None:
    """A renewal begins anew."""
    auth = await host.login(ttl="10m")
    host.tick("9m")
    assert (await host.renew(auth))["auth"]["lease_duration"] == 600
    host.tick("9m")
    await host.lookup(auth)


@clock_case
async def max_ttl_ends_renewals(host: Session) -> None:
    """Renewals end at the maximum, counted from the login."""
    auth = await host.login(ttl="10m", max_ttl="15m")
    host.tick("9m")
    assert (await host.renew(auth))["auth"]["lease_duration"] == 360
    host.tick("6m")
    await host.lookup(auth, status=403)


@clock_case
async def periodic_token_never_ends(host: Session) -> None:
    """A periodic token lives as long as somebody renews it."""
    auth = await host.login(period="10m")
    for _ in range(200):
        host.tick("9m")
        assert (await host.renew(auth))["auth"]["lease_duration"] == 600


@clock_case
async def explicit_max_ends_a_periodic_token(host: Session) -> None:
    """An explicit maximum ends a periodic token."""
    auth = await host.login(period="10m", explicit_max_ttl="25m")
    for _ in range(2):
        host.tick("9m")
        await host.renew(auth)
    host.tick("7m")
    await host.lookup(auth, status=403)


@clock_case
async def batch_token_expires(host: Session) -> None:
    """A batch token ends with its TTL as well."""
    auth = await host.login(ttl="10m", token_type="BATCH", policies=["default"])
    host.tick("9m")
    await host.read("auth/token/lookup-self", token=auth["client_token"])
    host.tick("1m")
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)


@clock_case
async def wrapping_token_expires(host: Session) -> None:
    """What nobody has unwrapped in time is gone."""
    body = await host.write(LOGIN, {"auth": {"ttl": "1h"}}, token=None, wrap="5m")
    host.tick("5m")
    await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"], status=400)


@clock_case
async def child_ends_with_its_parent(host: Session) -> None:
    """A child token does not outlive its parent."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="10m", policies=["con-create"])
    body = await host.write("auth/token/create", {"ttl": "1h"}, token=auth["client_token"])
    host.tick("11m")
    await host.lookup(body["auth"], status=403)


# --- renewals ----------------------------------------------------------------------------------

begin("renewal")


@case
async def plain_renewal(host: Session) -> None:
    """A renewal grants the last TTL again and shows what the login did."""
    auth = await host.login(ttl="10m", policies=["dev"], metadata={"a": "1"}, alias="bob")
    renewed = (await host.renew(auth))["auth"]
    for unchanged in ("client_token", "accessor", "policies", "metadata", "entity_id", "lease_duration"):
        assert renewed[unchanged] == auth[unchanged]


@case
async def renewal_of_ones_own(host: Session) -> None:
    """A token can renew itself."""
    auth = await host.login(ttl="10m", policies=["default"])
    body = await host.write("auth/token/renew-self", token=auth["client_token"])
    assert body["auth"]["client_token"] == auth["client_token"]


@case
async def renewal_by_accessor(host: Session) -> None:
    """Who renews by accessor does not learn the token."""
    auth = await host.login(ttl="10m")
    body = await host.write("auth/token/renew-accessor", {"accessor": auth["accessor"]})
    assert body["auth"]["client_token"] == ""


@case
async def increment(host: Session) -> None:
    """A client may ask for less or more, within the maximum."""
    auth = await host.login(ttl="10m", max_ttl="1h")
    for asked, granted in (("90s", 90), ("20m", 1200), (60, 60), ("5h", 3600)):
        body = await host.renew(auth, increment=asked)
        assert granted - 5 <= body["auth"]["lease_duration"] <= granted


@case
async def increment_with_a_period(host: Session) -> None:
    """A period leaves nothing to ask for."""
    auth = await host.login(period="10m")
    assert (await host.renew(auth, increment="1h"))["auth"]["lease_duration"] == 600


@case
async def increment_that_is_none(host: Session) -> None:
    """An increment has to be a duration."""
    auth = await host.login(ttl="10m")
    for increment in ("-", "-5s", -5):
        body = {"token": auth["client_token"], "increment": increment}
        await host.write("auth/token/renew", body, status=400)


@case
async def what_a_plugin_sees_of_a_renewal(host: Session) -> None:
    """The stored grant comes back, with the times as they are."""
    auth = await host.login(
        ttl="10m",
        max_ttl="1h",
        policies=[" Dev "],
        alias="bob",
        display_name="bob",
        metadata={"a": "1"},
        renew={"keep": True, "tell": True},
    )
    told = (await host.renew(auth, increment="5m"))["auth"]["metadata"]
    assert (told["path"], told["increment"], told["alias"]) == ("login", "300", "bob")


@case
async def renewal_changes_lifetimes(host: Session) -> None:
    """The plugin's lifetimes of today count."""
    auth = await host.login(ttl="10m", renew={"keep": True, "ttl": "5m"})
    assert (await host.renew(auth))["auth"]["lease_duration"] == 300


@case
async def renewal_makes_periodic(host: Session) -> None:
    """A token can become periodic."""
    auth = await host.login(ttl="10m", renew={"keep": True, "period": "7m"})
    assert (await host.renew(auth))["auth"]["lease_duration"] == 420


@case
async def renewal_with_a_maximum(host: Session) -> None:
    """A maximum that appears at a renewal counts from the login."""
    auth = await host.login(ttl="10m", renew={"keep": True, "max_ttl": "5m"})
    body = await host.renew(auth)
    assert body["warnings"]
    assert 295 <= body["auth"]["lease_duration"] <= 300


@case
async def renewal_with_an_explicit_maximum(host: Session) -> None:
    """So does an explicit one."""
    auth = await host.login(ttl="10m", renew={"keep": True, "explicit_max_ttl": "5m"})
    assert 295 <= (await host.renew(auth))["auth"]["lease_duration"] <= 300


@case
async def renewal_says_nothing(host: Session) -> None:
    """A renewal without an answer would be a success that renews nothing: authkit makes a fault of it."""
    auth = await host.login(ttl="10m", renew={"nothing": True})
    await host.renew(auth, 500)


@case
async def renewal_without_a_grant(host: Session) -> None:
    """An answer without a grant is the same."""
    auth = await host.login(ttl="10m", renew={"data": {"a": 1}})
    await host.renew(auth, 500)


@case
async def renewal_is_refused(host: Session) -> None:
    """An error response is 400 with its text; the token lives on."""
    auth = await host.login(ttl="10m", renew={"refusal": "you have left"})
    await host.renew(auth, 400)
    await host.lookup(auth)


@case
async def renewal_fails(host: Session) -> None:
    """An error is 500, with words around its text."""
    auth = await host.login(ttl="10m", renew={"error": "boom"})
    await host.renew(auth, 500)


@case
async def renewal_is_denied(host: Session) -> None:
    """A denial is 403."""
    auth = await host.login(ttl="10m", renew={"error": {"kind": "PermissionDeniedError"}})
    await host.renew(auth, 403)


@case
async def renewal_fails_with_a_status(host: Session) -> None:
    """A status of its own."""
    auth = await host.login(ttl="10m", renew={"error": {"status": 429, "text": "slowly"}})
    await host.renew(auth, 500)


@case
async def renewal_is_unsupported(host: Session) -> None:
    """A plugin that does not know renewals."""
    auth = await host.login(ttl="10m", renew={"error": {"kind": "UnsupportedOperationError"}})
    await host.renew(auth, 405)


@case
async def renewal_replaces_the_grant(host: Session) -> None:
    """Whatever a fresh grant leaves out is lost, the accessor in the answer included."""
    auth = await host.login(ttl="10m", policies=["dev"], metadata={"a": "1"}, renew={"auth": {"ttl": "5m"}})
    body = await host.renew(auth)
    assert body["auth"]["metadata"] is None
    assert (await host.lookup(auth))["policies"] == ["default", "dev"]


@case
async def token_that_is_not_renewable(host: Session) -> None:
    """A plugin can make a token that is never renewed."""
    auth = await host.login(ttl="10m", renewable=False)
    assert auth["renewable"] is False
    await host.renew(auth, 400)


@case
async def renewal_of_no_token(host: Session) -> None:
    """Tokens that are none are not renewed."""
    await host.write("auth/token/renew", {"token": "nonsense"}, status=400)
    await host.write("auth/token/renew", {}, status=400)
    await host.write("auth/token/renew-accessor", {"accessor": "nonsense"}, status=400)


@case
async def renewal_shows_in_a_lookup(host: Session) -> None:
    """A lookup tells when a token was renewed last."""
    auth = await host.login(ttl="10m")
    await host.renew(auth)
    assert "last_renewal" in await host.lookup(auth)


@case
async def renewal_after_tuning(host: Session) -> None:
    """Without a TTL of the plugin's own the granted one counts, within the mount's maximum of today."""
    auth = await host.login()
    await host.tune(default_lease_ttl="10m", max_lease_ttl="20m")
    body = await host.renew(auth)
    assert body["auth"]["lease_duration"] <= 1200


# --- tokens ------------------------------------------------------------------------------------

begin("tokens")


@case
async def token_of_an_operator(host: Session) -> None:
    """An operator makes a token with policies, a TTL, metadata, a name."""
    body = await host.write(
        "auth/token/create",
        {"policies": ["Dev"], "ttl": "1h", "meta": {"a": "b"}, "display_name": "for me!", "num_uses": 5},
    )
    await host.lookup(body["auth"])


@case
async def token_without_wishes(host: Session) -> None:
    """Without wishes a token has its parent's policies: root makes root, which never ends."""
    body = await host.write("auth/token/create", {})
    seen = await host.lookup(body["auth"])
    assert (body["auth"]["policies"], seen["ttl"]) == (["root"], 0)
    await host.write("auth/token/renew", {"token": body["auth"]["client_token"]}, status=400)
    await host.write("auth/token/revoke", {"token": body["auth"]["client_token"]}, status=204)


@case
async def root_token_that_expires(host: Session) -> None:
    """A root token with a TTL."""
    body = await host.write("auth/token/create", {"ttl": "10m"})
    assert body["auth"]["lease_duration"] == 600
    await host.write("auth/token/revoke", {"token": body["auth"]["client_token"]}, status=204)


@case
async def bad_wishes(host: Session) -> None:
    """Wishes that make no sense."""
    for wishes in (
        {"ttl": "x"},
        {"ttl": "-1s"},
        {"num_uses": -1},
        {"type": "eternal"},
        {"period": "-1s"},
        {"explicit_max_ttl": "-1s"},
        {"type": "batch", "num_uses": 3, "policies": ["a"]},
        {"type": "batch", "period": "1h", "policies": ["a"]},
        {"type": "batch", "explicit_max_ttl": "1h", "policies": ["a"]},
        {"type": "batch"},
        {"policies": ["response-wrapping"]},
        {"entity_alias": "x"},
    ):
        await host.write("auth/token/create", wishes, status=400)


@case
async def unknown_wishes(host: Session) -> None:
    """Unknown parameters are warned of."""
    body = await host.write("auth/token/create", {"policies": ["default"], "ttl": "1h", "b": 1, "a": 2})
    assert body["warnings"] == ["Endpoint ignored these unrecognized parameters: [a b]"]


@case
async def ttl_of_a_token(host: Session) -> None:
    """The arithmetic is that of logins."""
    for wishes in (
        {"ttl": "1h", "explicit_max_ttl": "10m"},
        {"period": "10m"},
        {"period": "1000h"},
        {"ttl": "1000h"},
        {},
        {"lease": "30m"},
        {"explicit_max_ttl": "1h"},
    ):
        body = await host.write("auth/token/create", {"policies": ["default"], **wishes})
        await host.lookup(body["auth"])


@case
async def default_policy_of_a_token(host: Session) -> None:
    """`default` is added unless the client says no."""
    for wishes in ({}, {"no_default_policy": True}):
        await host.write("auth/token/create", {"policies": ["dev"], "ttl": "1h", **wishes})


@case
async def tuned_tokens(host: Session) -> None:
    """The mount of the tokens can be tuned like any other."""
    await host.write("sys/auth/token/tune", {"default_lease_ttl": "30m", "max_lease_ttl": "1h"}, status=204)
    try:
        body = await host.write("auth/token/create", {"policies": ["dev"]})
        assert body["auth"]["lease_duration"] == 1800
        await host.renew(body["auth"], increment="5h")
    finally:
        settings = {"default_lease_ttl": "system", "max_lease_ttl": "system"}
        await host.write("sys/auth/token/tune", settings, status=204)


@case
async def child_of_a_login(host: Session) -> None:
    """A child has the entity of its parent, and no more policies."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", policies=["con-create", "dev"], alias="bob")
    parent = auth["client_token"]
    body = await host.write("auth/token/create", {"policies": ["dev"], "ttl": "10m"}, token=parent)
    assert body["auth"]["entity_id"] == auth["entity_id"]
    await host.lookup(body["auth"])
    await host.write("auth/token/create", {"policies": ["other"]}, token=parent, status=400)
    await host.write("auth/token/create", {"policies": ["root"]}, token=parent, status=400)
    await host.write("auth/token/create", {"no_parent": True}, token=parent, status=400)
    await host.write("auth/token/create", {"period": "1h"}, token=parent, status=400)
    await host.write("auth/token/create", {"id": "mine"}, token=parent, status=400)


@case
async def children_go_with_their_parent(host: Session) -> None:
    """Revoking a token revokes what it made, and what that made."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", policies=["con-create"])
    child = (await host.write("auth/token/create", {"ttl": "30m"}, token=auth["client_token"]))["auth"]
    grandchild = (await host.write("auth/token/create", {"ttl": "30m"}, token=child["client_token"]))["auth"]
    await host.write("auth/token/revoke", {"token": auth["client_token"]}, status=204)
    await host.lookup(child, status=403)
    await host.lookup(grandchild, status=403)


@case
async def orphans_stay(host: Session) -> None:
    """An orphan does not go with its maker."""
    parent = await host.token("root")
    orphan = await host.write("auth/token/create-orphan", {"policies": ["dev"], "ttl": "1h"}, token=parent)
    other = await host.write(
        "auth/token/create", {"policies": ["dev"], "ttl": "1h", "no_parent": True}, token=parent
    )
    await host.write("auth/token/revoke", {"token": parent}, status=204)
    assert (await host.lookup(orphan["auth"]))["orphan"] is True
    await host.lookup(other["auth"])


@case
async def revoking_without_the_children(host: Session) -> None:
    """`revoke-orphan` leaves the children, as orphans."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", policies=["con-create"])
    child = (await host.write("auth/token/create", {"ttl": "30m"}, token=auth["client_token"]))["auth"]
    await host.write("auth/token/revoke-orphan", {"token": auth["client_token"]}, status=204)
    assert (await host.lookup(child))["orphan"] is True
    await host.lookup(auth, status=403)
    assert (await host.renew(child))["auth"]["orphan"] is False  # as it was granted


@case
async def token_with_its_own_text(host: Session) -> None:
    """Root chooses the text of a token."""
    body = await host.write("auth/token/create", {"id": "con-own", "policies": ["dev"], "ttl": "1h"})
    assert body["auth"]["client_token"] == "con-own"
    await host.write("auth/token/create", {"id": "con-own", "policies": ["dev"], "ttl": "1h"}, status=400)
    await host.write("auth/token/revoke", {"token": "con-own"}, status=204)
    for text in ("hvs.own", "s.own", "hvb.own", "con.own"):
        await host.write("auth/token/create", {"id": text, "policies": ["dev"]}, status=400)


@case
async def no_path_names_a_token(host: Session) -> None:
    """What names a token in the path would pass by the list of paths that need sudo."""
    auth = await host.login()
    for path in ("lookup", "renew", "revoke", "revoke-accessor", "revoke-orphan"):
        body = {"token": auth["client_token"], "accessor": auth["accessor"]}
        await host.write(f"auth/token/{path}/x", body, status=404)
    await host.lookup(auth)


@case
async def renewal_of_an_operators_token(host: Session) -> None:
    """Tokens of operators are renewed by the host, within the system's maximum."""
    body = await host.write("auth/token/create", {"policies": ["dev"], "ttl": "10m"})
    assert (await host.renew(body["auth"]))["auth"]["lease_duration"] == 600
    assert (await host.renew(body["auth"], increment="1h"))["auth"]["lease_duration"] == 3600
    await host.lookup(body["auth"])


@case
async def renewal_of_a_limited_token(host: Session) -> None:
    """An explicit maximum and a period count here as well."""
    limited = await host.write(
        "auth/token/create", {"policies": ["dev"], "ttl": "5m", "explicit_max_ttl": "10m"}
    )
    await host.renew(limited["auth"], increment="1h")
    periodic = await host.write("auth/token/create", {"policies": ["dev"], "period": "5m"})
    await host.renew(periodic["auth"], increment="1h")


@case
async def token_that_is_never_renewed(host: Session) -> None:
    """A client can make a token that is not renewable."""
    body = await host.write("auth/token/create", {"policies": ["dev"], "ttl": "5m", "renewable": False})
    await host.renew(body["auth"], 400)


@case
async def lookups(host: Session) -> None:
    """By token, by accessor, and what is said of neither."""
    auth = await host.login(ttl="1h", num_uses=0)
    by_accessor = await host.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]})
    assert by_accessor["data"]["id"] == ""
    await host.write("auth/token/lookup", {"token": "nonsense"}, status=403)
    await host.write("auth/token/lookup-accessor", {"accessor": "nonsense"}, status=400)
    await host.write("auth/token/lookup", {}, status=200)


@case
async def lookup_needs_a_policy(host: Session) -> None:
    """The default policy allows to look up oneself, not others."""
    auth = await host.login(ttl="1h", policies=["default"])
    token = auth["client_token"]
    await host.write("auth/token/lookup", {"token": token}, token=token, status=403)
    await host.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]}, token=token, status=403)
    await host.list("auth/token/accessors", token=token, status=403)


@case
async def limited_uses(host: Session) -> None:
    """A token of two uses is good for two requests; a lookup tells what is left."""
    auth = await host.login(ttl="1h", num_uses=2, policies=["default"])
    assert auth["num_uses"] == 2
    token = auth["client_token"]
    await host.read("auth/token/lookup-self", token=token)
    await host.read("auth/token/lookup-self", token=token)
    await host.read("auth/token/lookup-self", token=token, status=403)


@case
async def refused_requests_use_up_a_token(host: Session) -> None:
    """A request that is denied counts as a use."""
    auth = await host.login(ttl="1h", num_uses=2, policies=["default"])
    token = auth["client_token"]
    await host.read("sys/auth", token=token, status=403)
    await host.read(f"auth/{MOUNT}/do", token=token, status=403)
    await host.read("auth/token/lookup-self", token=token, status=403)


@case
async def failing_existence_checks_use_up_a_token(host: Session) -> None:
    """A request whose existence check fails counts as a use."""
    await host.policy("con-do", (f"auth/{MOUNT}/do", ["create", "update"]))
    auth = await host.login(ttl="1h", num_uses=2, policies=["con-do"])
    for error, status in (({"kind": "UserError", "text": "bad"}, 400), ("boom", 500), ("boom", 403)):
        body = {"check_error": error}
        await host.write(f"auth/{MOUNT}/do", body, token=auth["client_token"], status=status)


@case
async def limited_token_makes_no_children(host: Session) -> None:
    """A token of few uses cannot make others."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", num_uses=3, policies=["con-create"])
    await host.write("auth/token/create", {}, token=auth["client_token"], status=400)


@case
async def batch_token(host: Session) -> None:
    """A batch token has no accessor, is not renewed and not revoked."""
    auth = await host.login(ttl="1h", token_type="BATCH", alias="bob", policies=["default"])
    assert (auth["accessor"], auth["renewable"]) == ("", False)
    await host.read("auth/token/lookup-self", token=auth["client_token"])
    await host.renew(auth, 400)
    await host.write("auth/token/renew-self", token=auth["client_token"], status=400)
    await host.write("auth/token/revoke", {"token": auth["client_token"]}, status=400)
    await host.write("auth/token/revoke-self", token=auth["client_token"], status=400)


@case
async def batch_token_with_what_it_cannot_have(host: Session) -> None:
    """Uses of a batch token are shown and not counted; a period and a maximum decide on the TTL alone."""
    auth = await host.login(
        ttl="1h", token_type="BATCH", num_uses=1, explicit_max_ttl="2h", policies=["default"]
    )
    for _ in range(2):
        await host.read("auth/token/lookup-self", token=auth["client_token"])
    periodic = await host.login(period="10m", token_type="BATCH", policies=["default"])
    await host.read("auth/token/lookup-self", token=periodic["client_token"])


@case
async def batch_token_of_an_operator(host: Session) -> None:
    """An operator makes a batch token."""
    body = await host.write("auth/token/create", {"type": "batch", "policies": ["default"], "ttl": "1h"})
    await host.read("auth/token/lookup-self", token=body["auth"]["client_token"])


@case
async def batch_token_makes_no_children(host: Session) -> None:
    """A batch token cannot make others."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", token_type="BATCH", policies=["con-create"])
    await host.write("auth/token/create", {}, token=auth["client_token"], status=400)


@case
async def bound_addresses(host: Session) -> None:
    """A token is worth nothing outside its blocks."""
    auth = await host.login(ttl="1h", bound_cidrs=["127.0.0.1/32", "192.0.2.0/24"], policies=["default"])
    token = auth["client_token"]
    seen = await host.read("auth/token/lookup-self", token=token)
    assert seen["data"]["bound_cidrs"] == ["127.0.0.1", "192.0.2.0/24"]
    for method, path in (("GET", "lookup-self"), ("POST", "renew-self"), ("POST", "revoke-self")):
        await host.call(method, f"auth/token/{path}", token=token, address=ELSEWHERE, status=403)


@case
async def bound_batch_token(host: Session) -> None:
    """Blocks bind batch tokens too."""
    auth = await host.login(ttl="1h", bound_cidrs=["127.0.0.1"], token_type="BATCH", policies=["default"])
    await host.read("auth/token/lookup-self", token=auth["client_token"])
    await host.read("auth/token/lookup-self", token=auth["client_token"], address=ELSEWHERE, status=403)


@case
async def children_are_bound_too(host: Session) -> None:
    """A child has the blocks of its parent."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", bound_cidrs=["127.0.0.1"], policies=["con-create"])
    child = await host.write("auth/token/create", {"ttl": "10m"}, token=auth["client_token"])
    assert (await host.lookup(child["auth"]))["bound_cidrs"] == ["127.0.0.1"]


@case
async def addresses_do_not_bind_the_login(host: Session) -> None:
    """The host does not check the address of a login: that is the plugin's."""
    await host.login(ttl="1h", bound_cidrs=["192.0.2.1"])


@case
async def unknown_path_of_tokens(host: Session) -> None:
    """`auth/token` has paths of its own."""
    await host.read("auth/token/nothing", status=404)
    await host.read("auth/token/create", status=405)


@case
async def creation_needs_a_policy(host: Session) -> None:
    """The default policy makes no tokens; who may make some does not thereby get root."""
    token = await host.token("default")
    await host.write("auth/token/create", {}, token=token, status=403)
    await host.policy("con-create", ("auth/token/create", ["create", "update", "sudo"]))
    sudo = await host.token("con-create")
    body = await host.write("auth/token/create", {"policies": ["other"], "period": "10m"}, token=sudo)
    assert body["auth"]["token_policies"] == ["default", "other"]
    await host.write("auth/token/create", {"policies": ["root"]}, token=sudo, status=400)
    await host.write("auth/token/create/con-role", {}, status=400)


@case
async def children_of_expiring_root(host: Session) -> None:
    """A root token that ends makes none that does not."""
    parent = (await host.write("auth/token/create", {"ttl": "10m"}))["auth"]["client_token"]
    await host.write("auth/token/create", {}, token=parent, status=400)
    await host.write("auth/token/create", {"ttl": "5m"}, token=parent)
    await host.write("auth/token/revoke", {"token": parent}, status=204)


@case
async def renewals_that_make_no_sense(host: Session) -> None:
    """Root itself, and by accessors that are none."""
    await host.write("auth/token/renew-self", {}, status=400)
    await host.write("auth/token/renew-accessor", {}, status=400)
    await host.write("auth/token/lookup-accessor", {}, status=400)
    await host.write("auth/token/revoke-accessor", {}, status=400)


@case
async def kinds_of_fields(host: Session) -> None:
    """Numbers, texts and lists that a client spells in another way."""
    for wishes in (
        {"ttl": 600, "num_uses": "3", "policies": "a, b"},
        {"ttl": "600", "renewable": "false", "policies": ["a", " b "]},
        {"ttl": "10m", "no_default_policy": 1, "policies": ["a"], "meta": ["k=v"]},
    ):
        await host.write("auth/token/create", wishes)


@case
async def children_of_a_token_with_few_uses(host: Session) -> None:
    """It makes none, with its last use neither: they would have as many uses as they like."""
    allowed = ["create", "update", "sudo"]
    await host.policy("con-mk", ("auth/token/create", allowed), ("auth/token/create-orphan", allowed))
    for uses in (1, 2):
        for path, body in (("create", {}), ("create", {"no_parent": True}), ("create-orphan", {})):
            token = await host.token("con-mk", num_uses=uses)
            await host.write(f"auth/token/{path}", body, token=token, status=400)


# --- revocation --------------------------------------------------------------------------------

begin("revocation")


@case
async def revocation(host: Session) -> None:
    """A revoked token is worth nothing."""
    auth = await host.login(ttl="1h", policies=["default"])
    await host.write("auth/token/revoke", {"token": auth["client_token"]}, status=204)
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)
    await host.lookup(auth, status=403)
    await host.renew(auth, 400)


@case
async def revocation_of_ones_own(host: Session) -> None:
    """A token can revoke itself."""
    auth = await host.login(ttl="1h", policies=["default"])
    await host.write("auth/token/revoke-self", token=auth["client_token"], status=204)
    await host.lookup(auth, status=403)


@case
async def revocation_by_accessor(host: Session) -> None:
    """An operator revokes by accessor; one that is none is warned of."""
    auth = await host.login(ttl="1h")
    await host.write("auth/token/revoke-accessor", {"accessor": auth["accessor"]}, status=204)
    await host.write("auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    await host.lookup(auth, status=403)


@case
async def revocation_of_no_token(host: Session) -> None:
    """Revoking what is no token succeeds, without one it does not."""
    await host.write("auth/token/revoke", {"token": "nonsense"}, status=204)
    await host.write("auth/token/revoke", {}, status=400)
    await host.write("auth/token/revoke-orphan", {"token": "nonsense"}, status=400)
    await host.write("auth/token/revoke-orphan", {}, status=400)


@case
async def revocation_by_prefix(host: Session) -> None:
    """An operator revokes all tokens of a mount at once."""
    first, second = await host.login(ttl="1h"), await host.login(ttl="1h")
    other = await host.write("auth/token/create", {"policies": ["dev"], "ttl": "1h"})
    await host.call("PUT", f"sys/leases/revoke-prefix/auth/{MOUNT}", {}, status=204)
    await host.lookup(first, status=403)
    await host.lookup(second, status=403)
    await host.lookup(other["auth"])


@case
async def revocation_by_a_part_of_a_prefix(host: Session) -> None:
    """A prefix ends at a slash."""
    auth = await host.login(ttl="1h")
    await host.call("PUT", f"sys/leases/revoke-prefix/auth/{MOUNT[:-1]}", {}, status=204)
    await host.lookup(auth)


@case
async def revocation_of_one_path(host: Session) -> None:
    """A prefix can be the path of some logins."""
    bob = await host.write(f"auth/{MOUNT}/login/bob", {"auth": {"ttl": "1h"}}, token=None)
    eve = await host.write(f"auth/{MOUNT}/login/eve", {"auth": {"ttl": "1h"}}, token=None)
    await host.call("PUT", f"sys/leases/revoke-prefix/auth/{MOUNT}/login/bob", {}, status=204)
    await host.lookup(bob["auth"], status=403)
    await host.lookup(eve["auth"])


@case
async def revoke_prefix_needs_sudo(host: Session) -> None:
    """It is for operators."""
    await host.policy("con-revoke", (f"sys/leases/revoke-prefix/auth/{MOUNT}", ["update"]))
    token = await host.token("con-revoke")
    await host.call("PUT", f"sys/leases/revoke-prefix/auth/{MOUNT}", {}, token=token, status=403)


@case
async def leases(host: Session) -> None:
    """A token is a lease below the path of its login."""
    await host.login(ttl="1h")
    body = await host.list(f"sys/leases/lookup/auth/{MOUNT}/login")
    (key,) = body["data"]["keys"]
    lease = {"lease_id": f"auth/{MOUNT}/login/{key}"}
    seen = await host.call("PUT", "sys/leases/lookup", lease)
    assert seen["data"]["ttl"] > 0
    await host.call("PUT", "sys/leases/revoke", lease, status=204)
    await host.call("PUT", "sys/leases/lookup", lease, status=400)


@case
async def leases_that_are_none(host: Session) -> None:
    """Leases that nobody has."""
    await host.call("PUT", "sys/leases/lookup", {"lease_id": "nonsense"}, status=400)
    await host.call("PUT", "sys/leases/revoke", {"lease_id": "nonsense"}, status=204)
    await host.call("PUT", "sys/leases/revoke", {}, status=400)
    await host.call("PUT", "sys/leases/renew", {"lease_id": "nonsense"}, status=400)
    await host.list("sys/leases/lookup/auth/nowhere", status=404)


@case
async def disabling_a_mount(host: Session) -> None:
    """A mount that goes takes its tokens and its storage along; entities stay."""
    auth = await host.login(ttl="1h", alias="bob", policies=["default"])
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    await host.delete(f"sys/auth/{MOUNT}")
    await host.lookup(auth, status=403)
    await host.read(f"auth/{MOUNT}/kv/x", status=404)
    await host.write(f"sys/auth/{MOUNT}", {"type": "answers"}, status=204)
    await host.read(f"auth/{MOUNT}/kv/x", status=404)
    await host.read(f"identity/entity/id/{auth['entity_id']}")


@case
async def renewal_of_a_lease(host: Session) -> None:
    """A token is not renewed by its lease, but revoked."""
    await host.login(ttl="10m", alias="bob")
    (key,) = (await host.list(f"sys/leases/lookup/auth/{MOUNT}/login"))["data"]["keys"]
    lease = {"lease_id": f"auth/{MOUNT}/login/{key}", "increment": "5m"}
    await host.call("PUT", "sys/leases/renew", lease, status=400)
    await host.call("PUT", f"sys/leases/revoke/auth/{MOUNT}/login/{key}", {}, status=204)
    await host.list(f"sys/leases/lookup/auth/{MOUNT}/login", status=404)


@case
async def batch_token_of_a_disabled_mount(host: Session) -> None:
    """A batch token knows nothing of its mount's end."""
    auth = await host.login(ttl="1h", token_type="BATCH", policies=["default"])
    await host.delete(f"sys/auth/{MOUNT}")
    await host.read("auth/token/lookup-self", token=auth["client_token"])


@case
async def batch_child(host: Session) -> None:
    """A batch token that a token has made goes with it."""
    await host.policy("con-create", ("auth/token/create", ["create", "update"]))
    auth = await host.login(ttl="1h", policies=["con-create", "default"])
    wishes = {"type": "batch", "ttl": "10m", "policies": ["default"]}
    child = (await host.write("auth/token/create", wishes, token=auth["client_token"]))["auth"]
    await host.read("auth/token/lookup-self", token=child["client_token"])
    await host.write("auth/token/revoke", {"token": auth["client_token"]}, status=204)
    await host.read("auth/token/lookup-self", token=child["client_token"], status=403)


@case
async def removed_policy(host: Session) -> None:
    """A token keeps the name of a policy that is gone, and may do nothing with it."""
    await host.policy("con-gone", (f"auth/{MOUNT}/do", ["update"]))
    auth = await host.login(policies=["con-gone"])
    await host.do(token=auth["client_token"])
    await host.delete("sys/policies/acl/con-gone")
    await host.do(403, token=auth["client_token"])
    assert (await host.lookup(auth))["policies"] == ["con-gone", "default"]


@case
async def changed_policy(host: Session) -> None:
    """A policy that is changed counts for the tokens that there are."""
    auth = await host.login(policies=["con-later"])
    await host.do(403, token=auth["client_token"])
    await host.policy("con-later", (f"auth/{MOUNT}/do", ["update"]))
    await host.do(token=auth["client_token"])


# --- identity ----------------------------------------------------------------------------------

begin("identity")


@case
async def entity_of_a_login(host: Session) -> None:
    """The first login with an alias makes an entity."""
    auth = await host.login(alias={"name": "bob", "metadata": {"a": "1"}, "custom_metadata": {"b": "2"}})
    body = await host.read(f"identity/entity/id/{auth['entity_id']}")
    (alias,) = body["data"]["aliases"]
    assert (alias["name"], alias["metadata"]) == ("bob", {"a": "1"})
    await host.read(f"identity/entity-alias/id/{alias['id']}")


@case
async def same_alias_same_entity(host: Session) -> None:
    """Names are compared without their case."""
    first, second = await host.login(alias="bob"), await host.login(alias="BOB")
    assert first["entity_id"] == second["entity_id"]
    assert (await host.login(alias="eve"))["entity_id"] != first["entity_id"]


@case
async def aliases_are_compared_as_go_does(host: Session) -> None:
    """Each character in lower case by itself: some names are one, and some that look like it are two."""
    for name, other, is_one in (
        ("\u0130van", "ivan", True),
        ("\u212aarl", "karl", True),
        ("\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c3", True),
        ("\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c2", False),
        ("stra\u00dfe", "STRASSE", False),
        ("e\u0301va", "\u00e9va", False),
        ("\uff21da", "ada", False),
        (" eve", "eve", False),
    ):
        first, second = await host.login(alias=name), await host.login(alias=other)
        assert (first["entity_id"] == second["entity_id"]) is is_one


@case
async def groups_are_compared_as_go_does(host: Session) -> None:
    """A reported group is that of an operator's alias by the same rule."""
    await host.external_group("con-one", "\u0130t", "is-one")
    await host.external_group("con-two", "\u0391\u03a3", "is-two")
    auth = await host.login(alias="bob", groups=["it", "\u03b1\u03c2"])
    assert auth["identity_policies"] == ["is-one"]


@case
async def policies_are_compared_as_go_does(host: Session) -> None:
    """In lower case, and without what Unicode calls white space around them."""
    asked = [" Dev ", "\u00a0ops\u3000", "\u2003\u0130t\x85", "\x1cunit", "dev", ""]
    auth = await host.login(alias="bob", policies=asked)
    assert auth["policies"] == ["\x1cunit", "default", "dev", "it", "ops"]


@case
async def no_alias_no_entity(host: Session) -> None:
    """A login without an alias has no entity."""
    assert (await host.login())["entity_id"] == ""


@case
async def alias_without_a_name(host: Session) -> None:
    """An alias has to have a name."""
    await host.login(500, alias={"name": ""})


@case
async def metadata_of_the_alias_follows(host: Session) -> None:
    """Each login replaces the alias's metadata; custom metadata stays what it was at first."""
    auth = await host.login(alias={"name": "bob", "metadata": {"a": "1"}, "custom_metadata": {"c": "1"}})
    await host.login(alias={"name": "bob", "metadata": {"b": "2"}, "custom_metadata": {"c": "2"}})
    body = await host.read(f"identity/entity/id/{auth['entity_id']}")
    (alias,) = body["data"]["aliases"]
    assert (alias["metadata"], alias["custom_metadata"]) == ({"b": "2"}, {"c": "1"})


@case
async def metadata_that_cannot_be_kept(host: Session) -> None:
    """Keys and values have limits when an alias is made."""
    for metadata in (
        {"a.b": "1"},
        {"vault-x": "1"},
        {"k" * 129: "1"},
        {"k": "v" * 513},
        {"k": "\u00e9" * 257},
        {"": "1"},
        {"." * 129: "1"},
        {str(number): "1" for number in range(65)},
    ):
        await host.login(500, alias={"name": "odd", "metadata": metadata})


@case
async def policies_of_the_entity(host: Session) -> None:
    """An entity's policies are the token's as well, as identity policies."""
    auth = await host.login(alias="bob", policies=["dev"])
    await host.write(f"identity/entity/id/{auth['entity_id']}", {"policies": ["of-bob"]}, status=204)
    again = await host.login(alias="bob", policies=["dev"])
    assert again["identity_policies"] == ["of-bob"]
    assert again["policies"] == ["default", "dev", "of-bob"]
    await host.lookup(again)
    await host.renew(again)


@case
async def disabled_entity(host: Session) -> None:
    """Whoever is disabled is denied: with an old token, at a renewal, at a login."""
    auth = await host.login(alias="bob", policies=["default"])
    await host.write(f"identity/entity/id/{auth['entity_id']}", {"disabled": True}, status=204)
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)
    await host.login(403, alias="bob")
    await host.write(f"identity/entity/id/{auth['entity_id']}", {"disabled": False}, status=204)
    await host.read("auth/token/lookup-self", token=auth["client_token"])


@case
async def disabled_entity_on_open_paths(host: Session) -> None:
    """A token of somebody disabled is refused even where none is needed; without it the path is open."""
    auth = await host.login(alias="bob", policies=["default"])
    await host.write(f"identity/entity/id/{auth['entity_id']}", {"disabled": True}, status=204)
    await host.write(f"auth/{MOUNT}/open/do", {"data": {"a": 1}}, token=auth["client_token"], status=403)
    await host.read(f"auth/{MOUNT}/do", token=auth["client_token"], status=403)
    await host.open(data={"a": 1})


@case
async def foreign_addresses_are_no_use(host: Session) -> None:
    """A request from a foreign address does not use a token up, and does not matter on an open path."""
    auth = await host.login(ttl="1h", num_uses=2, bound_cidrs=["127.0.0.1"], policies=["default"])
    token = auth["client_token"]
    for _ in range(3):
        await host.read("auth/token/lookup-self", token=token, address=ELSEWHERE, status=403)
    await host.write(f"auth/{MOUNT}/open/do", {"echo": True}, token=token, address=ELSEWHERE)
    await host.read("auth/token/lookup-self", token=token)


@case
async def deleted_entity(host: Session) -> None:
    """A token whose entity is gone is worth nothing; the next login makes another."""
    auth = await host.login(alias="bob", policies=["default"])
    await host.delete(f"identity/entity/id/{auth['entity_id']}")
    await host.read("auth/token/lookup-self", token=auth["client_token"], status=403)
    assert (await host.login(alias="bob"))["entity_id"] != auth["entity_id"]


@case
async def external_group(host: Session) -> None:
    """A group name that is mapped makes the entity a member, and gives the group's policies."""
    group = await host.external_group("con-devs", "devs", "of-devs")
    auth = await host.login(alias="bob", groups=["devs", "unknown"])
    assert auth["identity_policies"] == ["of-devs"]
    body = await host.read(f"identity/group/id/{group}")
    assert body["data"]["member_entity_ids"] == [auth["entity_id"]]
    await host.read(f"identity/entity/id/{auth['entity_id']}")


@case
async def leaving_an_external_group(host: Session) -> None:
    """A login without the group ends the membership."""
    group = await host.external_group("con-devs", "devs", "of-devs")
    await host.login(alias="bob", groups=["devs"])
    auth = await host.login(alias="bob", groups=[])
    assert "identity_policies" not in auth
    assert (await host.read(f"identity/group/id/{group}"))["data"]["member_entity_ids"] == []


@case
async def groups_at_a_renewal(host: Session) -> None:
    """A renewal keeps the groups that it returns and ends the others."""
    await host.external_group("con-devs", "devs", "of-devs")
    await host.external_group("con-ops", "ops", "of-ops")
    auth = await host.login(
        alias="bob", ttl="1h", groups=["devs", "ops"], renew={"keep": True, "groups": ["ops"]}
    )
    assert (await host.renew(auth))["auth"]["identity_policies"] == ["of-ops"]


@case
async def groups_kept_at_a_renewal(host: Session) -> None:
    """What a plugin does not touch stays; it sees only the groups that are mapped."""
    await host.external_group("con-devs", "devs", "of-devs")
    auth = await host.login(
        alias="bob", ttl="1h", groups=["devs", "more"], renew={"keep": True, "tell": True}
    )
    renewed = (await host.renew(auth))["auth"]
    assert renewed["metadata"]["groups"] == "devs"
    assert renewed["identity_policies"] == ["of-devs"]


@case
async def group_names_have_no_case(host: Session) -> None:
    """Group names are compared without their case as well."""
    await host.external_group("con-devs", "Devs", "of-devs")
    assert (await host.login(alias="bob", groups=["dEVS"]))["identity_policies"] == ["of-devs"]


@case
async def group_mapped_later(host: Session) -> None:
    """A group that is mapped after the login counts from the next login on."""
    auth = await host.login(alias="bob", ttl="1h", groups=["devs"])
    await host.external_group("con-devs", "devs", "of-devs")
    assert "identity_policies" not in (await host.renew(auth))["auth"]
    assert (await host.login(alias="bob", groups=["devs"]))["identity_policies"] == ["of-devs"]


@case
async def internal_group(host: Session) -> None:
    """An internal group gives its policies to its members, and to members of its groups."""
    auth = await host.login(alias="bob")
    inner = await host.write(
        "identity/group",
        {"name": "con-inner", "policies": ["inner"], "member_entity_ids": [auth["entity_id"]]},
    )
    host.undo("identity/group/name/con-inner")
    outer = await host.write(
        "identity/group",
        {"name": "con-outer", "policies": ["outer"], "member_group_ids": [inner["data"]["id"]]},
    )
    host.undo("identity/group/name/con-outer")
    assert (await host.login(alias="bob"))["identity_policies"] == ["inner", "outer"]
    body = await host.read(f"identity/entity/id/{auth['entity_id']}")
    assert body["data"]["inherited_group_ids"] == [outer["data"]["id"]]
    await host.read(f"identity/group/id/{inner['data']['id']}")


@case
async def entity_of_an_operator(host: Session) -> None:
    """An operator makes an entity and ties a name of the mount to it."""
    body = await host.write(
        "identity/entity", {"name": "con-ann", "policies": "of-ann", "metadata": {"a": "b"}}
    )
    host.undo("identity/entity/name/con-ann")
    entity_id = body["data"]["id"]
    alias = {"name": "ann", "mount_accessor": await host.accessor(), "canonical_id": entity_id}
    await host.write("identity/entity-alias", alias)
    auth = await host.login(alias="ann")
    assert (auth["entity_id"], auth["identity_policies"]) == (entity_id, ["of-ann"])
    await host.read("identity/entity/name/con-ann")
    await host.write("identity/entity", {"name": "con-ann", "policies": ["other"]}, status=204)
    await host.read(f"identity/entity/id/{entity_id}")


@case
async def lookup_of_entities(host: Session) -> None:
    """By name, by id, by alias; nothing is 204."""
    auth = await host.login(alias="bob")
    accessor = await host.accessor()
    await host.write("identity/lookup/entity", {"id": auth["entity_id"]})
    await host.write("identity/lookup/entity", {"alias_name": "bob", "alias_mount_accessor": accessor})
    await host.write("identity/lookup/entity", {"name": "con-nobody"}, status=204)
    await host.write("identity/lookup/entity", {}, status=400)


@case
async def lookup_of_groups(host: Session) -> None:
    """By name, by id, by alias."""
    group = await host.external_group("con-devs", "devs", "of-devs")
    accessor = await host.accessor()
    await host.write("identity/lookup/group", {"id": group})
    await host.write("identity/lookup/group", {"name": "con-devs"})
    await host.write("identity/lookup/group", {"alias_name": "devs", "alias_mount_accessor": accessor})
    await host.write("identity/lookup/group", {"name": "con-none"}, status=204)


@case
async def aliases_that_cannot_be(host: Session) -> None:
    """An alias needs a name and a mount that exists."""
    await host.write("identity/entity-alias", {"name": "x", "mount_accessor": "nowhere"}, status=400)
    await host.write("identity/entity-alias", {}, status=400)


@case
async def groups_that_cannot_be(host: Session) -> None:
    """Members of external groups are not for operators; types are two."""
    auth = await host.login(alias="bob")
    for body in (
        {"name": "con-bad", "type": "external", "member_entity_ids": [auth["entity_id"]]},
        {"name": "con-bad", "type": "nonsense"},
        {"name": "con-bad", "policies": ["root"]},
    ):
        await host.write("identity/group", body, status=400)


@case
async def entities_that_are_none(host: Session) -> None:
    """Reading what is not there is 404, deleting it is 204."""
    for kind in ("entity", "group", "entity-alias", "group-alias"):
        await host.read(f"identity/{kind}/id/nonsense", status=404)
        await host.delete(f"identity/{kind}/id/nonsense")


@case
async def entity_is_renamed(host: Session) -> None:
    """By id; a name that is taken is refused; an entity of no id is."""
    body = await host.write("identity/entity", {"name": "con-ann"})
    host.undo("identity/entity/name/con-ann")
    await host.write("identity/entity/name/con-eve", {"policies": ["x"]})
    host.undo("identity/entity/name/con-eve")
    entity_id = body["data"]["id"]
    await host.write(f"identity/entity/id/{entity_id}", {"name": "con-eve"}, status=400)
    await host.write(f"identity/entity/id/{entity_id}", {"name": "con-bea"}, status=204)
    host.undo("identity/entity/name/con-bea")
    await host.read("identity/entity/name/con-bea")
    await host.read("identity/entity/name/con-ann", status=404)
    await host.write("identity/entity/id/nonsense", {"name": "x"}, status=400)


@case
async def metadata_of_an_entity(host: Session) -> None:
    """An operator's metadata has the same limits as that of logins."""
    await host.write("identity/entity", {"name": "con-odd", "metadata": {"a.b": "c"}}, status=500)
    await host.write("identity/entity", {"name": "con-odd", "policies": ["root"]}, status=400)
    await host.read("identity/entity/name/con-odd", status=404)


@case
async def alias_is_given_away(host: Session) -> None:
    """An operator ties a login's name to another entity."""
    auth = await host.login(alias="bob")
    body = await host.write("identity/entity", {"name": "con-ann"})
    host.undo("identity/entity/name/con-ann")
    (alias,) = (await host.read(f"identity/entity/id/{auth['entity_id']}"))["data"]["aliases"]
    moved = {"id": alias["id"], "name": "bob", "mount_accessor": await host.accessor()}
    await host.write("identity/entity-alias", moved | {"canonical_id": body["data"]["id"]})
    assert (await host.login(alias="bob"))["entity_id"] == body["data"]["id"]
    await host.delete(f"identity/entity-alias/id/{alias['id']}")
    assert (await host.login(alias="bob"))["entity_id"] != body["data"]["id"]


@case
async def one_alias_for_each_mount(host: Session) -> None:
    """An entity has one name at a mount."""
    auth = await host.login(alias="bob")
    alias = {"name": "ann", "mount_accessor": await host.accessor(), "canonical_id": auth["entity_id"]}
    await host.write("identity/entity-alias", alias, status=400)
    await host.write("identity/entity-alias", alias | {"canonical_id": "nonsense"}, status=400)


@case
async def an_id_beside_a_name_in_the_path(host: Session) -> None:
    """The path decides: a caller who may write one name reaches no other entity or group by an id."""
    ids = {}
    for kind in ("entity", "group"):
        for name in ("con-own", "con-other"):
            body = await host.write(f"identity/{kind}", {"name": name, "policies": ["of-" + name]})
            host.undo(f"identity/{kind}/name/{name}")
            ids[name] = body["data"]["id"]
        own, other = f"identity/{kind}/name/con-own", {"id": ids["con-other"]}
        assert (await host.read(own, query=other))["data"]["name"] == "con-own"
        if kind == "group":
            auth = await host.login(alias="bob")
            await host.write(own, {**other, "member_entity_ids": [auth["entity_id"]]}, status=204)
            assert (await host.read(own))["data"]["member_entity_ids"] == [auth["entity_id"]]
        else:
            await host.write(own, {**other, "policies": ["x"]}, status=400)
        await host.delete(own, query=other)
        await host.read(own, status=404)
        await host.read(f"identity/{kind}/id/{ids['con-other']}")


@case
async def ids_that_nothing_has(host: Session) -> None:
    """Nothing is made under an id that a client names."""
    alias = {"name": "x", "mount_accessor": await host.accessor()}
    for kind, body in (("entity", {}), ("group", {}), ("entity-alias", alias), ("group-alias", alias)):
        await host.write(f"identity/{kind}/id/nonsense", {"name": "con-none", **body}, status=400)
        await host.write(f"identity/{kind}", {"id": "nonsense", "name": "con-none", **body}, status=400)
    await host.read("identity/group/name/con-none", status=404)


@case
async def alias_takes_no_name_of_another(host: Session) -> None:
    """Whoever may write one alias takes over neither another's name nor another's entity."""
    eve, bob = await host.login(alias="eve"), await host.login(alias="bob")
    ids = {}
    for auth in (eve, bob):
        (alias,) = (await host.read(f"identity/entity/id/{auth['entity_id']}"))["data"]["aliases"]
        ids[alias["name"]] = alias["id"]
    own, accessor = f"identity/entity-alias/id/{ids['eve']}", await host.accessor()
    await host.write(own, {"name": "bob"}, status=400)
    await host.write(own, {"name": "BOB", "mount_accessor": accessor}, status=400)
    await host.write(own, {"canonical_id": bob["entity_id"]}, status=400)
    await host.write(own, {"canonical_id": "nonsense"}, status=400)
    await host.write(own, {"mount_accessor": "nowhere"}, status=400)
    by_name = {"name": "eve", "mount_accessor": accessor, "canonical_id": bob["entity_id"]}
    await host.write("identity/entity-alias", by_name, status=400)
    assert (await host.login(alias="bob"))["entity_id"] == bob["entity_id"]
    assert (await host.login(alias="eve"))["entity_id"] == eve["entity_id"]


@case
async def alias_is_written_again(host: Session) -> None:
    """What changes nothing is no content; another case of the name is a change; so is custom metadata."""
    auth = await host.login(alias="bob")
    (alias,) = (await host.read(f"identity/entity/id/{auth['entity_id']}"))["data"]["aliases"]
    own = f"identity/entity-alias/id/{alias['id']}"
    await host.write(own, {}, status=204)
    await host.write(own, {"name": "bob", "canonical_id": auth["entity_id"]}, status=204)
    await host.write(own, {"name": "BOB"})
    await host.write(own, {"custom_metadata": {"a": "b"}})
    await host.write(own, {"custom_metadata": {"a": "b"}}, status=204)
    assert (await host.login(alias="bob"))["entity_id"] == auth["entity_id"]
    await host.read(own)


@case
async def one_name_at_two_mounts(host: Session) -> None:
    """An alias is that of its mount, whatever else its entity is called at others."""
    await host.write("sys/auth/con-two", {"type": PLUGIN}, status=204)
    host.undo("sys/auth/con-two")
    here, there = await host.accessor(), (await host.read("sys/auth/con-two"))["data"]["accessor"]
    owners = []
    for name in ("con-ann", "con-bea"):
        owners.append((await host.write("identity/entity", {"name": name}))["data"]["id"])
        host.undo(f"identity/entity/name/{name}")
    ann, bea = owners
    for accessor in (here, there):
        alias = {"name": "ann", "mount_accessor": accessor}
        await host.write("identity/entity-alias", {**alias, "canonical_id": ann})
    await host.write("identity/entity-alias", {"name": "ann", "mount_accessor": there, "canonical_id": bea})
    for owner, accessor in ((ann, here), (bea, there)):
        (left,) = (await host.read(f"identity/entity/id/{owner}"))["data"]["aliases"]
        assert left["mount_accessor"] == accessor
    assert (await host.login(alias="ann"))["entity_id"] == ann
    (moved,) = (await host.read(f"identity/entity/id/{bea}"))["data"]["aliases"]
    own = f"identity/entity-alias/id/{moved['id']}"
    await host.write(own, {"mount_accessor": here}, status=400)
    await host.write(own, {"mount_accessor": here, "name": "bea"})
    assert (await host.login(alias="bea"))["entity_id"] == bea
    await host.write(own, {"mount_accessor": there})
    await host.write(own, {"canonical_id": ann})
    await host.write(own, {"mount_accessor": here, "name": "cat"}, status=400)


@case
async def name_of_a_group_is_taken(host: Session) -> None:
    """A group gets no name that another has, in whatever case; its own in another case is its own."""
    ids = []
    for name in ("con-g", "con-h"):
        ids.append((await host.write("identity/group", {"name": name}))["data"]["id"])
        host.undo(f"identity/group/id/{ids[-1]}")
    await host.write(f"identity/group/id/{ids[0]}", {"name": "con-h"}, status=400)
    await host.write(f"identity/group/id/{ids[0]}", {"name": "CON-H"}, status=400)
    await host.write("identity/group", {"id": ids[0], "name": "con-h"}, status=400)
    await host.write(f"identity/group/id/{ids[0]}", {"name": "CON-G"}, status=204)
    await host.read("identity/group/name/con-g")


@case
async def groups_in_a_circle(host: Session) -> None:
    """No group is within itself, at any depth."""
    ids = []
    for name in ("con-a", "con-b", "con-c"):
        ids.append((await host.write("identity/group", {"name": name}))["data"]["id"])
        host.undo(f"identity/group/id/{ids[-1]}")
    first, second, third = (f"identity/group/id/{each}" for each in ids)
    await host.write(first, {"member_group_ids": [ids[0]]}, status=500)
    await host.write(first, {"member_group_ids": [ids[1]]}, status=204)
    await host.write(second, {"member_group_ids": [ids[0]]}, status=400)
    await host.write(second, {"member_group_ids": [ids[2]]}, status=204)
    await host.write(third, {"member_group_ids": [ids[0]]}, status=400)
    await host.write(first, {"member_group_ids": [ids[1], ids[2]]}, status=204)


@case
async def group_alias_moves(host: Session) -> None:
    """The group that had it has it no more. Name and mount are always named."""
    accessor, ids = await host.accessor(), []
    for name in ("con-k", "con-l"):
        body = {"name": name, "type": "external", "policies": ["of-" + name]}
        ids.append((await host.write("identity/group", body))["data"]["id"])
        host.undo(f"identity/group/id/{ids[-1]}")
    mapping = {"name": "devs", "mount_accessor": accessor, "canonical_id": ids[0]}
    alias = (await host.write("identity/group-alias", mapping))["data"]["id"]
    own = f"identity/group-alias/id/{alias}"
    await host.write(own, mapping, status=204)
    await host.write(own, {}, status=400)
    await host.write(own, {"name": "devs"}, status=400)
    await host.write(own, {**mapping, "canonical_id": "nonsense"}, status=400)
    await host.write(own, {**mapping, "canonical_id": ids[1]})
    for group in ids:
        await host.read(f"identity/group/id/{group}")
    assert (await host.login(alias="bob", groups=["devs"]))["identity_policies"] == ["of-con-l"]


@case
async def group_of_an_operator(host: Session) -> None:
    """Written, changed, read by name, deleted; members have to exist."""
    auth = await host.login(alias="bob")
    body = await host.write("identity/group", {"name": "con-g", "metadata": {"a": "b"}})
    host.undo("identity/group/name/con-g")
    members = {"member_entity_ids": [auth["entity_id"]], "policies": ["x", "y"]}
    await host.write(f"identity/group/id/{body['data']['id']}", members, status=204)
    await host.read("identity/group/name/con-g")
    await host.write("identity/group/name/con-g", {"member_entity_ids": []}, status=204)
    await host.read("identity/group/name/con-g")
    await host.write("identity/group", {"name": "con-h", "member_entity_ids": ["nonsense"]}, status=500)
    await host.write("identity/group", {"name": "con-h", "member_group_ids": ["nonsense"]}, status=500)
    await host.delete("identity/group/name/con-g")
    await host.read("identity/group/name/con-g", status=404)


@case
async def group_alias_of_an_operator(host: Session) -> None:
    """Internal groups have none; a name is mapped once; it can be removed."""
    accessor = await host.accessor()
    internal = await host.write("identity/group", {"name": "con-in"})
    host.undo("identity/group/name/con-in")
    mapping = {"name": "devs", "mount_accessor": accessor, "canonical_id": internal["data"]["id"]}
    await host.write("identity/group-alias", mapping, status=400)
    group = await host.external_group("con-devs", "devs", "of-devs")
    other = await host.write("identity/group", {"name": "con-other", "type": "external"})
    host.undo("identity/group/name/con-other")
    await host.write("identity/group-alias", mapping | {"canonical_id": other["data"]["id"]}, status=400)
    alias = (await host.read(f"identity/group/id/{group}"))["data"]["alias"]
    await host.read(f"identity/group-alias/id/{alias['id']}")
    await host.delete(f"identity/group-alias/id/{alias['id']}")
    assert "identity_policies" not in await host.login(alias="bob", groups=["devs"])
    await host.write("identity/group-alias", {"name": "x", "mount_accessor": "nowhere"}, status=400)


# --- wrapping ----------------------------------------------------------------------------------

begin("wrapping")


@case
async def wrapped_login(host: Session) -> None:
    """A wrapped login shows a token that stands for it, once."""
    body = await host.write(LOGIN, {"auth": {"ttl": "1h", "alias": "bob"}}, token=None, wrap="5m")
    assert (body["auth"], body["wrap_info"]["ttl"]) == (None, 300)
    inside = await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"])
    assert inside["auth"]["accessor"] == body["wrap_info"]["wrapped_accessor"]
    await host.lookup(inside["auth"])
    await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"], status=400)


@case
async def unwrapping_for_another(host: Session) -> None:
    """Somebody with a token unwraps what stands in the body."""
    body = await host.do(data={"a": 1})
    body = await host.write(f"auth/{MOUNT}/do", {"data": {"a": 1}}, wrap="5m")
    token = body["wrap_info"]["token"]
    inside = await host.write("sys/wrapping/unwrap", {"token": token})
    assert inside["data"] == {"a": 1}
    await host.write("sys/wrapping/unwrap", {"token": token}, status=400)


@case
async def lookup_of_a_wrapping_token(host: Session) -> None:
    """Anybody who has it may ask what it is, without using it up."""
    body = await host.write(f"auth/{MOUNT}/do", {"data": {"a": 1}}, wrap="5m")
    token = body["wrap_info"]["token"]
    seen = await host.write("sys/wrapping/lookup", {"token": token}, token=None)
    assert (seen["data"]["creation_ttl"], seen["data"]["creation_path"]) == (300, f"auth/{MOUNT}/do")
    await host.read("sys/wrapping/lookup", token=token)
    await host.write("sys/wrapping/unwrap", token=token)


@case
async def wrapping_tokens_that_are_none(host: Session) -> None:
    """Neither a nonsense token nor a real one that wraps nothing."""
    await host.write("sys/wrapping/lookup", {"token": "nonsense"}, status=400)
    await host.write("sys/wrapping/unwrap", {"token": "nonsense"}, status=400)
    await host.write("sys/wrapping/unwrap", status=400)
    await host.write("sys/wrapping/lookup", {"token": ""}, status=403)


@case
async def wrapping_on_request_of_the_plugin(host: Session) -> None:
    """A plugin may ask for wrapping itself; the shorter TTL wins."""
    body = await host.do(data={"a": 1}, wrap_ttl="10m")
    assert body["wrap_info"]["ttl"] == 600
    body = await host.write(f"auth/{MOUNT}/do", {"data": {"a": 1}, "wrap_ttl": "10m"}, wrap="2m")
    assert body["wrap_info"]["ttl"] == 120
    body = await host.write(f"auth/{MOUNT}/do", {"data": {"a": 1}, "wrap_ttl": "2m"}, wrap="10m")
    assert body["wrap_info"]["ttl"] == 120


@case
async def errors_are_not_wrapped(host: Session) -> None:
    """Errors and empty answers come as they are."""
    await host.write(f"auth/{MOUNT}/do", {"refusal": "no"}, wrap="5m", status=400)
    await host.write(f"auth/{MOUNT}/do", {"nothing": True}, wrap="5m", status=204)
    await host.read(f"auth/{MOUNT}/kv/none", wrap="5m", status=404)


@case
async def lists_of_plugins_are_not_wrapped(host: Session) -> None:
    """A server cannot wrap a list of a plugin in a process of its own."""
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    await host.list(f"auth/{MOUNT}/kv", wrap="5m", status=404)


@case
async def wrapping_of_anything(host: Session) -> None:
    """`sys/wrapping/wrap` wraps what it is sent."""
    body = await host.write("sys/wrapping/wrap", {"a": 1}, wrap="5m")
    inside = await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"])
    assert inside["data"] == {"a": 1}
    await host.write("sys/wrapping/wrap", {"a": 1}, status=400)


@case
async def rewrapping(host: Session) -> None:
    """A wrapping token is exchanged for another."""
    body = await host.write("sys/wrapping/wrap", {"a": 1}, wrap="5m")
    again = await host.write("sys/wrapping/rewrap", {"token": body["wrap_info"]["token"]})
    await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"], status=400)
    assert (await host.write("sys/wrapping/unwrap", token=again["wrap_info"]["token"]))["data"] == {"a": 1}


@case
async def bad_wrapping_ttls(host: Session) -> None:
    """A wrapping TTL has to be a duration."""
    await host.write("sys/wrapping/wrap", {"a": 1}, wrap="-1", status=400)
    await host.write("sys/wrapping/wrap", {"a": 1}, wrap="soon", status=400)


@case
async def wrapping_token_is_good_for_nothing_else(host: Session) -> None:
    """A wrapping token opens nothing but what it wraps."""
    body = await host.write("sys/wrapping/wrap", {"a": 1}, wrap="5m")
    await host.read("sys/auth", token=body["wrap_info"]["token"], status=403)


@case
async def wrapped_raw_answer(host: Session) -> None:
    """A page is wrapped and comes out as it was."""
    raw = {"raw": {"status": 200, "content_type": "text/html", "body": "<p>hello</p>"}}
    body = await host.write(f"auth/{MOUNT}/do", raw, wrap="5m")
    page = await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"])
    assert page == "<p>hello</p>"


@case
async def wrapped_answers_of_the_host(host: Session) -> None:
    """The host's own answers can be wrapped, lists included."""
    body = await host.read(f"sys/auth/{MOUNT}", wrap="5m")
    inside = await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"])
    assert inside["data"]["type"] == "answers"
    body = await host.list("sys/policies/acl", wrap="5m")
    inside = await host.write("sys/wrapping/unwrap", token=body["wrap_info"]["token"])
    assert "default" in inside["data"]["keys"]


@case
async def unwrapping_needs_a_policy(host: Session) -> None:
    """The default policy has it; a token without does not unwrap for others."""
    body = await host.write("sys/wrapping/wrap", {"a": 1}, wrap="5m")
    wrapped = {"token": body["wrap_info"]["token"]}
    poor = await host.login(no_default_policy=True, policies=["none"])
    await host.write("sys/wrapping/unwrap", wrapped, token=poor["client_token"], status=403)
    rich = await host.login(policies=["default"])
    inside = await host.write("sys/wrapping/unwrap", wrapped, token=rich["client_token"])
    assert inside["data"] == {"a": 1}


# --- mounts ------------------------------------------------------------------------------------

begin("mounts")


@case
async def mount_is_shown(host: Session) -> None:
    """What a mount says about itself."""
    await host.read(f"sys/auth/{MOUNT}")
    await host.read(f"sys/auth/{MOUNT}/tune")


@case
async def mounts_that_cannot_be(host: Session) -> None:
    """Paths that are taken, plugins that are not there, no type."""
    await host.write(f"sys/auth/{MOUNT}", {"type": "answers"}, status=400)
    await host.write(f"sys/auth/{MOUNT}/below", {"type": "answers"}, status=400)
    await host.write("sys/auth/con-other", {"type": "nonsense"}, status=400)
    await host.write("sys/auth/con-other", {}, status=400)
    await host.write("sys/auth/token", {"type": "answers"}, status=400)
    await host.write("sys/auth/con-other", {"type": "answers", "options": {"version": "2"}}, status=400)
    await host.write(
        "sys/auth/con-other", {"type": "answers", "config": {"plugin_version": "v9.9.9"}}, status=400
    )
    await host.write("sys/auth/con-other", {"type": "answers", "config": {"token_type": "x"}}, status=400)
    await host.write(
        "sys/auth/con-other",
        {"type": "answers", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}},
        status=400,
    )


@case
async def mount_with_everything(host: Session) -> None:
    """A mount that is configured when it is made."""
    config = {
        "default_lease_ttl": "1h",
        "max_lease_ttl": "2h",
        "listing_visibility": "unauth",
        "passthrough_request_headers": ["X-A", "X-B"],
        "allowed_response_headers": "X-C,X-D",
        "audit_non_hmac_request_keys": ["a"],
        "token_type": "batch",
    }
    host.undo("sys/auth/con-full")
    await host.write(
        "sys/auth/con-full",
        {
            "type": "answers",
            "description": "all of it",
            "options": {"a": "b"},
            "local": True,
            "config": config,
        },
        status=204,
    )
    await host.read("sys/auth/con-full")
    await host.read("sys/auth/con-full/tune")
    await host.read("auth/con-full/system")


@case
async def mounts_that_are_none(host: Session) -> None:
    """Reading, tuning and removing what is not mounted."""
    await host.read("sys/auth/nowhere", status=400)
    await host.read("sys/auth/nowhere/tune", status=400)
    await host.write("sys/auth/nowhere/tune", {"default_lease_ttl": "1h"}, status=400)
    await host.delete("sys/auth/nowhere")
    await host.delete("sys/auth/token", status=400)


@case
async def tuning(host: Session) -> None:
    """What is tuned shows, what is not stays."""
    await host.tune(default_lease_ttl="1h", max_lease_ttl="2h", description="tuned", token_type="batch")
    await host.read(f"sys/auth/{MOUNT}/tune")
    await host.tune(listing_visibility="unauth", options={"a": "b"}, audit_non_hmac_response_keys="x,y")
    await host.read(f"sys/auth/{MOUNT}/tune")
    await host.tune(default_lease_ttl="system", max_lease_ttl="system", description="")
    await host.read(f"sys/auth/{MOUNT}")


@case
async def tuning_that_makes_no_sense(host: Session) -> None:
    """Values that a mount cannot have."""
    for settings in (
        {"default_lease_ttl": "2h", "max_lease_ttl": "1h"},
        {"token_type": "eternal"},
        {"listing_visibility": "everybody"},
        {"default_lease_ttl": "soon"},
        {"plugin_version": "v9.9.9"},
        {"plugin_version": "nine"},
        {"user_lockout_config": {"lockout_threshold": "3"}},
    ):
        await host.tune(400, **settings)


@case
async def default_above_the_systems_max(host: Session) -> None:
    """A default above the system's maximum can be tuned, and is cut when it counts."""
    await host.tune(default_lease_ttl="1000h")
    assert (await host.login())["lease_duration"] == 2764800


@case
async def mounts_for_strangers(host: Session) -> None:
    """The login page lists the mounts that want to be seen."""
    await host.tune(listing_visibility="unauth", description="seen by all")
    body = await host.read("sys/internal/ui/mounts", token=None)
    assert body["data"]["auth"] == {
        f"{MOUNT}/": {"description": "seen by all", "options": {}, "type": "answers"}
    }
    await host.read(f"sys/internal/ui/mounts/auth/{MOUNT}", token=None, status=403)


@case
async def one_mount_for_a_client(host: Session) -> None:
    """A client asks where a path leads before it writes."""
    await host.read(f"sys/internal/ui/mounts/auth/{MOUNT}/role/x")
    await host.read("sys/internal/ui/mounts/auth/nowhere", status=403)


@case
async def mounts_need_sudo(host: Session) -> None:
    """Making and removing mounts is for operators."""
    await host.policy("con-mounts", ("sys/auth/*", ["create", "read", "update", "delete"]))
    token = await host.token("con-mounts")
    await host.write("sys/auth/con-other", {"type": "answers"}, token=token, status=403)
    await host.delete(f"sys/auth/{MOUNT}", token=token, status=403)


@case
async def nested_mount(host: Session) -> None:
    """A path of several segments."""
    host.undo("sys/auth/con-a/b")
    await host.write("sys/auth/con-a/b", {"type": "answers"}, status=204)
    body = await host.write("auth/con-a/b/login", {"auth": {"display_name": "bob"}}, token=None)
    assert (await host.lookup(body["auth"]))["display_name"] == "con-a-b-bob"
    await host.read("auth/con-a/x", status=404)


@case
async def reload(host: Session) -> None:
    """A reloaded mount knows everything; tokens live on."""
    auth = await host.login(ttl="1h")
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    await host.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"auth/{MOUNT}/"]})
    await host.read(f"auth/{MOUNT}/kv/x")
    await host.renew(auth)
    await host.call("PUT", "sys/plugins/reload/backend", {"plugin": "answers"})
    await host.read(f"auth/{MOUNT}/kv/x")


@case
async def reloads_that_make_no_sense(host: Session) -> None:
    """Reloads of nothing."""
    await host.call("PUT", "sys/plugins/reload/backend", {}, status=400)
    await host.call("PUT", "sys/plugins/reload/backend", {"plugin": "nonsense"})
    await host.call("PUT", "sys/plugins/reload/backend", {"mounts": ["auth/nowhere"]}, status=500)
    await host.call("PUT", "sys/plugins/reload/backend", {"mounts": ["a"], "plugin": "b"}, status=400)


@case
async def unknown_system_paths(host: Session) -> None:
    """Paths that `sys` does not have."""
    await host.read("sys/nothing", status=404)
    await host.write("sys/nothing", status=404)
    await host.read("sys/nothing", token=None, status=403)
    await host.read("sys/policies/acl", status=405)


@case
async def catalog_entries_that_are_none(host: Session) -> None:
    """Plugins that nobody has registered, registrations that say too little."""
    await host.read("sys/plugins/catalog/auth/nonsense", status=404)
    await host.delete("sys/plugins/catalog/auth/nonsense")
    for body in ({}, {"sha256": "aa"}, {"sha256": "zz", "command": "x"}, {"sha256": "aa", "version": "x"}):
        await host.call("PUT", "sys/plugins/catalog/auth/con-none", body, status=400)
    await host.call(
        "PUT", "sys/plugins/catalog/auth/con-none", {"sha256": "aa", "command": "../x"}, status=500
    )


@case
async def mounts_that_a_token_sees(host: Session) -> None:
    """A client sees the mounts that its policies reach."""
    await host.policy("con-see", (f"auth/{MOUNT}/role/*", ["read"]))
    token = await host.token("con-see", no_default_policy=True)
    await host.read("sys/internal/ui/mounts", token=token)
    await host.read(f"sys/internal/ui/mounts/auth/{MOUNT}", token=token)
    await host.read("sys/internal/ui/mounts/sys", token=token, status=403)


@case
async def catalog(host: Session) -> None:
    """What is registered can be listed and read, by its version."""
    body = await host.read("sys/plugins/catalog/auth/answers", query={"version": "0.1.0"})
    assert body["data"]["version"] == "v0.1.0"
    await host.read("sys/plugins/catalog/auth/answers", query={"version": "nine"}, status=400)
    await host.read("sys/plugins/catalog/auth/answers", query={"version": "v9.9.9"}, status=404)
    await host.list("sys/plugins/catalog/nonsense", status=405)
    await host.read("sys/plugins/pins")


# --- policies ----------------------------------------------------------------------------------

begin("policies")


@case
async def policy_is_kept(host: Session) -> None:
    """A policy is written, read under both paths, and removed."""
    await host.policy("con-one", ("secret/*", ["read"]))
    await host.read("sys/policies/acl/con-one")
    await host.read("sys/policy/con-one")
    await host.delete("sys/policies/acl/con-one")
    await host.read("sys/policies/acl/con-one", status=404)
    await host.read("sys/policy/con-one", status=404)


@case
async def policies_that_cannot_be(host: Session) -> None:
    """Policies of the host, and texts that are none."""
    await host.write("sys/policies/acl/root", {"policy": 'path "a" {}'}, status=400)
    await host.delete("sys/policies/acl/root", status=400)
    await host.delete("sys/policies/acl/default", status=400)
    await host.write("sys/policies/acl/con-bad", {}, status=400)
    await host.write(
        "sys/policies/acl/con-bad", {"policy": 'path "a" { capabilities = ["fly"] }'}, status=400
    )


@case
async def exact_path(host: Session) -> None:
    """A path without a star is that path alone."""
    await host.policy("con-exact", (f"auth/{MOUNT}/do", ["update"]))
    token = await host.token("con-exact")
    await host.do(token=token, data={"a": 1})
    await host.do(403, token=token, path="do/more")
    await host.read(f"auth/{MOUNT}/do", token=token, status=403)


@case
async def prefix_and_segment(host: Session) -> None:
    """`*` at the end is a prefix, `+` one segment."""
    await host.policy("con-glob", (f"auth/{MOUNT}/a*", ["update"]), (f"auth/{MOUNT}/b/+/c", ["update"]))
    token = await host.token("con-glob")
    await host.do(token=token, path="ab/c")
    await host.do(token=token, path="b/x/c")
    await host.do(403, token=token, path="b/x/y/c")
    await host.do(403, token=token, path="b/x")


@case
async def most_specific_rule(host: Session) -> None:
    """The most specific rule decides alone."""
    await host.policy(
        "con-specific",
        (f"auth/{MOUNT}/*", ["read", "update"]),
        (f"auth/{MOUNT}/do/*", ["read"]),
        (f"auth/{MOUNT}/do/secret", ["deny"]),
        (f"auth/{MOUNT}/+/open", ["update"]),
    )
    token = await host.token("con-specific")
    await host.do(token=token)
    await host.do(403, token=token, path="do/x")
    await host.read(f"auth/{MOUNT}/do/x", token=token)
    await host.read(f"auth/{MOUNT}/do/secret", token=token, status=403)
    await host.do(403, token=token, path="do/open")


@case
async def equally_early_wildcards(host: Session) -> None:
    """Of two rules whose wildcards begin at the same place, the one without a star at the end decides."""
    await host.policy("con-tie", (f"auth/{MOUNT}/*", ["update"]), (f"auth/{MOUNT}/+/c", ["read"]))
    token = await host.token("con-tie")
    await host.read(f"auth/{MOUNT}/b/c", token=token)
    await host.do(403, token=token, path="b/c")
    await host.do(token=token, path="b/d")


@case
async def deny_beats_everything(host: Session) -> None:
    """Two policies with the same path add up; `deny` beats both."""
    await host.policy("con-yes", (f"auth/{MOUNT}/do", ["update"]))
    await host.policy("con-more", (f"auth/{MOUNT}/do", ["read"]))
    await host.policy("con-no", (f"auth/{MOUNT}/do", ["deny"]))
    both = await host.token("con-yes", "con-more")
    await host.do(token=both)
    await host.read(f"auth/{MOUNT}/do", token=both)
    await host.do(403, token=await host.token("con-yes", "con-no"))


@case
async def create_is_not_update(host: Session) -> None:
    """What the existence check says decides on the capability that is needed."""
    await host.policy("con-create", (f"auth/{MOUNT}/kv/*", ["create"]))
    token = await host.token("con-create")
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"}, token=token)
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "2"}, token=token, status=403)


@case
async def list_capability(host: Session) -> None:
    """A rule with or without the slash allows to list."""
    await host.policy("con-list", (f"auth/{MOUNT}/kv", ["list"]))
    await host.policy("con-slash", (f"auth/{MOUNT}/kv/", ["list"]))
    await host.write(f"auth/{MOUNT}/kv/x", {"value": "1"})
    for policy in ("con-list", "con-slash"):
        await host.list(f"auth/{MOUNT}/kv", token=await host.token(policy))
    await host.read(f"auth/{MOUNT}/kv/x", token=await host.token("con-slash"), status=403)


@case
async def policies_of_the_login_count(host: Session) -> None:
    """What a login grants opens what the policy says, and nothing else."""
    await host.policy("con-login", (f"auth/{MOUNT}/do", ["update"]))
    auth = await host.login(policies=["con-login"])
    await host.do(token=auth["client_token"])
    await host.do(403, token=auth["client_token"], path="other")


@case
async def policies_of_the_identity_count(host: Session) -> None:
    """So do the policies of entity and groups, from the next request on."""
    await host.policy("con-entity", (f"auth/{MOUNT}/do", ["update"]))
    auth = await host.login(alias="bob")
    await host.do(403, token=auth["client_token"])
    await host.write(f"identity/entity/id/{auth['entity_id']}", {"policies": ["con-entity"]}, status=204)
    await host.do(token=auth["client_token"])


@case
async def own_entity(host: Session) -> None:
    """The default policy lets a token read its own entity, and no other."""
    bob, eve = await host.login(alias="bob"), await host.login(alias="eve")
    await host.read(f"identity/entity/id/{bob['entity_id']}", token=bob["client_token"])
    await host.read(f"identity/entity/id/{eve['entity_id']}", token=bob["client_token"], status=403)


@case
async def capabilities(host: Session) -> None:
    """A token asks what it may do."""
    await host.policy("con-caps", ("con/*", ["read", "list"]), ("con/x", ["deny"]))
    token = await host.token("con-caps")
    paths = {"paths": ["con/a", "con/x", "other", "auth/token/lookup-self"]}
    await host.write("sys/capabilities-self", paths, token=token)
    await host.write("sys/capabilities-self", {"path": "con/a"}, token=token)
    await host.write("sys/capabilities-self", {"paths": ["a"]})
    await host.write("sys/capabilities", {"token": token, "paths": ["con/a"]})
    await host.write("sys/capabilities-self", {}, status=400)


@case
async def capabilities_below_plus_signs(host: Session) -> None:
    """A `+` that begins a segment or ends one stands for itself, and counts for which rule decides."""
    rules = [
        ("con/+a/*", ["read"]),
        ("con/+/b/*", ["list"]),
        ("con/a+/*", ["update"]),
        ("con/+a/+", ["delete"]),
    ]
    await host.policy("con-plus", *rules, ("con/+c", ["create"]))
    paths = ["con/+a/b", "con/+a/b/c", "con/x/b/c", "con/a+/b/c", "con/a+/x", "con/xa/b", "con/+c", "con/xc"]
    asked = {"paths": [*paths, "/con/+c", "//con/+a/b"]}
    body = await host.write("sys/capabilities-self", asked, token=await host.token("con-plus"))
    assert body["data"]["con/+a/b"] == body["data"]["//con/+a/b"] == ["delete"]


@case
async def bad_tokens(host: Session) -> None:
    """No token, and tokens that are none."""
    await host.read("sys/auth", token=None, status=403)
    await host.read("sys/auth", token="nonsense", status=403)
    await host.read(f"auth/{MOUNT}/do", token=None, status=403)
    await host.read(f"auth/{MOUNT}/do", token="nonsense", status=403)


@case
async def old_words_of_policies(host: Session) -> None:
    """A name in capitals and the old names of things are taken, with a warning."""
    rules = 'path "con/a" { policy = "write" }'
    await host.write("sys/policy/CON-Old", {"rules": rules})
    host.undo("sys/policy/con-old")
    await host.read("sys/policy/con-old")
    token = await host.token("con-old")
    body = await host.write("sys/capabilities-self", {"paths": ["con/a"]}, token=token)
    assert body["data"]["con/a"] == ["create", "delete", "list", "read", "update"]


@case
async def capabilities_by_accessor(host: Session) -> None:
    """An operator asks what a token may do that they do not have."""
    await host.policy("con-caps", ("con/*", ["read"]))
    auth = await host.login(policies=["con-caps"], alias="bob")
    asked = {"accessor": auth["accessor"], "paths": ["con/a", f"identity/entity/id/{auth['entity_id']}"]}
    await host.write("sys/capabilities-accessor", asked)
    await host.write("sys/capabilities-accessor", {"accessor": "nonsense", "paths": ["a"]}, status=400)
    await host.write("sys/capabilities", {"token": "nonsense", "paths": ["a"]}, status=400)


@case
async def capabilities_of_a_disabled_entity(host: Session) -> None:
    """It has none, nor has one that is gone."""
    auth = await host.login(alias="bob", policies=["default"])
    asked = {"token": auth["client_token"], "accessor": auth["accessor"], "paths": ["auth/token/lookup-self"]}
    own = f"identity/entity/id/{auth['entity_id']}"
    await host.write("sys/capabilities", asked)
    await host.write(own, {"disabled": True}, status=204)
    await host.write("sys/capabilities", asked, status=400)
    await host.write("sys/capabilities-accessor", asked, status=400)
    await host.delete(own)
    await host.write("sys/capabilities", asked, status=400)


@case
async def result_of_all_policies(host: Session) -> None:
    """What the web interface asks for."""
    await host.policy("con-acl", ("con/*", ["read", "list"]), ("con/x", ["deny"]), ("con/+/y", ["read"]))
    await host.policy("con-self", ("sys/internal/ui/resultant-acl", ["read"]))
    token = await host.token("con-acl", "con-self", no_default_policy=True)
    await host.read("sys/internal/ui/resultant-acl", token=token)
    await host.read("sys/internal/ui/resultant-acl")


@case
async def variables_in_policies(host: Session) -> None:
    """Of the entity, its aliases and its groups, inherited ones too. Rules that deny have them as well."""
    alias = {"name": "bob", "metadata": {"floor": "two"}, "custom_metadata": {"desk": "nine"}}
    auth = await host.login(alias=alias, policies=["con-var"])
    entity_id, accessor = auth["entity_id"], await host.accessor()
    body = {"name": "con-bob", "metadata": {"team": "red"}}
    await host.write(f"identity/entity/id/{entity_id}", body, status=204)
    inner = {"name": "con-inner", "member_entity_ids": [entity_id], "metadata": {"kind": "in"}}
    inner_id = (await host.write("identity/group", inner))["data"]["id"]
    host.undo("identity/group/name/con-inner")
    await host.write("identity/group", {"name": "con-outer", "member_group_ids": [inner_id]})
    host.undo("identity/group/name/con-outer")
    names = {
        "e/con-bob": "identity.entity.name",
        f"i/{entity_id}": " identity.entity.id ",
        "t/red": "identity.entity.metadata.team",
        "a/bob": f"identity.entity.aliases.{accessor}.name",
        "f/two": f"identity.entity.aliases.{accessor}.metadata.floor",
        "d/nine": f"identity.entity.aliases.{accessor}.custom_metadata.desk",
        "g/con-inner": f"identity.groups.ids.{inner_id}.name",
        "h/in": "identity.groups.names.con-inner.metadata.kind",
        "o/con-outer": "identity.groups.names.con-outer.name",
    }
    rules = [(f"con/{path[0]}/{{{{{name}}}}}", ["read"]) for path, name in names.items()]
    none = ("identity.entity.metadata.none", "identity.entity.none", "identity.groups.names.CON-INNER.id")
    rules += [(f"con/none/{{{{{name}}}}}*", ["read"]) for name in none]
    rules += [("con/all/*", ["read"]), ("con/all/{{identity.entity.metadata.team}}", ["deny"])]
    await host.policy("con-var", *rules)
    for path in (*names, "all/red"):
        await host.write("sys/capabilities", {"token": auth["client_token"], "paths": [f"con/{path}"]})
    asked = ["con/all/blue", "con/none/x", "con/t/blue"]
    body = await host.write("sys/capabilities", {"token": auth["client_token"], "paths": asked})
    assert [body["data"][each] for each in asked] == [["read"], ["deny"], ["deny"]]


@case
async def variables_that_are_not_closed(host: Session) -> None:
    """A policy is refused whose braces do not match."""
    for pattern in ("a/{{identity.entity.id", "a/identity.entity.id}}", "a/{{{{x}}}}", "}}{{"):
        await host.policy("con-open", (pattern, ["read"]), status=400)


@case
async def variable_with_a_wildcard(host: Session) -> None:
    """A wildcard in a value counts as one; a value that makes a pattern which is none denies everything."""
    auth = await host.login(alias="bob", policies=["con-var"])
    own = f"identity/entity/id/{auth['entity_id']}"
    await host.policy("con-var", ("con/{{identity.entity.name}}", ["read"]))
    for name, status in (("con-b*", 200), ("+", 200), ("+*", 500)):
        await host.write(own, {"name": name}, status=204)
        asked = {"paths": ["con/con-bob"]}
        sent = {"status": status, "token": auth["client_token"]}
        body = await host.write("sys/capabilities-self", asked, **sent)
        if status == 200:
            assert body["data"]["capabilities"] == ["read"]
    await host.write(own, {"name": "con-end"}, status=204)


# --- the server --------------------------------------------------------------------------------

begin("server")


@case
async def openness(host: Session) -> None:
    """What a server tells everybody."""
    assert (await host.read("sys/init", token=None))["initialized"] is True
    assert (await host.read("sys/health", token=None))["sealed"] is False
    assert (await host.read("sys/seal-status", token=None))["sealed"] is False
    assert "ha_enabled" in await host.read("sys/leader", token=None)
