"""Views of logins with a form: the login, its explanation, and the token that it grants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from authkit.host.api_client import APIClient, APIError, MountSummary
from authkit.host.formatting import Explained, Granted, reference_in, shown_entity, shown_settings
from authkit.host.mount_overview import Form, MountDescription
from authkit.host.page.visits import PageError, Visit, address
from authkit.values import replace

__all__ = ["explain_denial", "log_in", "login_page", "renew", "revoke", "show_granted", "show_login"]


async def show_login(visit: Visit) -> Response:
    """Show the form of a login."""
    return await login_page(visit, await visit.mount())


async def login_page(
    visit: Visit, mount: MountSummary, refused: APIError | None = None, role: str = ""
) -> Response:
    """Return the form of a login, with why the last one was refused."""
    description, login = await _describe_login(visit, mount)
    roles = await visit.client.names(mount, description.roles) if description.roles else []
    role = role or visit.parameter("role") or await _usual_role(visit.client, mount, description, roles)
    found = await visit.client.read(f"auth/{mount.path}{description.roles}{role}") if role else None
    settings: Mapping[str, Any] = found or {}
    kind = settings.get("role_type", "oidc") if settings else ""
    in_browser = description.has_browser_logins and kind == "oidc"
    reference = reference_in(refused.texts) if refused and description.explains_denials else ""
    return visit.render(
        "login.html",
        400 if refused else 200,
        mount=mount,
        role=role,
        roles=roles,
        fields=sorted(login.fields, key=lambda field: field.name != "role"),
        values={**visit.form, "role": role},
        in_browser=in_browser,
        with_form=not (in_browser and "role_type" in settings),
        explains=description.explain is not None,
        denial=address("explain", mount.path, reference=reference) if reference else "",
        settings=shown_settings(settings),
        refused=refused,
    )


async def log_in(visit: Visit) -> Response:
    """Log in without a token, or explain what a login would do."""
    mount = await visit.mount()
    description, login = await _describe_login(visit, mount)
    fields = {name: visit.form[name] for name in login.names if visit.form.get(name)}
    role = fields.get("role", "")
    if "explain" in visit.form and description.explain is not None:
        answer = await visit.client.write(f"auth/{mount.path}{description.explain.path}", fields)
        return _explained(visit, mount, answer, role)
    try:
        path, body = login.request(fields)
        answer = await replace(visit.client, token="").post(f"auth/{mount.path}{path}", body)
    except APIError as error:
        return await login_page(visit, mount, error)
    return await show_granted(visit, mount, "Logged in", answer, role)


async def explain_denial(visit: Visit) -> Response:
    """Explain a denied login by its reference."""
    mount = await visit.mount()
    reference = quote(visit.parameter("reference"), safe="")
    answer = await visit.client.read(f"auth/{mount.path}explain/{reference}")
    if answer is None:
        raise PageError(404, "Nothing is known of it", "Denied logins are remembered for a while.")
    return _explained(visit, mount, answer, str(answer.get("role", "")))


async def renew(visit: Visit) -> Response:
    """Renew a token by its accessor."""
    mount = await visit.mount()
    answer = await visit.client.post("auth/token/renew-accessor", {"accessor": visit.parameter("accessor")})
    return await show_granted(visit, mount, "Renewed", answer, visit.parameter("role"))


async def revoke(visit: Visit) -> Response:
    """Revoke a token by its accessor."""
    mount, accessor = await visit.mount(), visit.parameter("accessor")
    answer = await visit.client.post("auth/token/revoke-accessor", {"accessor": accessor})
    return visit.render(
        "done.html",
        mount=mount,
        title="Revoked",
        facts=[("Accessor", accessor)],
        warnings=answer.get("warnings") or [],
        links=[("Log in again", address("login", mount.path, role=visit.parameter("role")))],
    )


async def show_granted(
    visit: Visit, mount: MountSummary, title: str, answer: Mapping[str, Any], role: str
) -> Response:
    """Show what a login or renewal has granted. The token is in this one page, and in no address."""
    granted = Granted.read(answer)
    return visit.render(
        "granted.html",
        mount=mount,
        title=title,
        role=role,
        granted=granted,
        entity=await _shown_entity(visit.client, granted.entity_id),
        again=address("login", mount.path, role=role),
    )


def _explained(visit: Visit, mount: MountSummary, answer: Mapping[str, Any], role: str) -> Response:
    again = address("login", mount.path, role=role)
    return visit.render("explained.html", mount=mount, explained=Explained.read(answer), again=again)


async def _usual_role(
    client: APIClient, mount: MountSummary, description: MountDescription, roles: list[str]
) -> str:
    """Return the default role of the configuration, else the only role; empty if there are several."""
    config = await client.read(f"auth/{mount.path}config") if description.config else None
    default = str((config or {}).get("default_role") or "")
    return default or (roles[0] if len(roles) == 1 else "")


async def _describe_login(visit: Visit, mount: MountSummary) -> tuple[MountDescription, Form]:
    description = await visit.client.describe(f"auth/{mount.path}")
    if description.login is None:
        raise PageError(404, "No login here", f"{mount.path} does not describe a path to log in at.")
    return description, description.login


async def _shown_entity(client: APIClient, entity_id: str) -> list[tuple[str, str]]:
    entity = await client.read(f"identity/entity/id/{entity_id}") if entity_id else None
    if entity is None:
        return []
    ids = entity.get("group_ids")
    groups = [
        await client.read(f"identity/group/id/{each}") for each in (ids if isinstance(ids, list) else [])
    ]
    return shown_entity(entity, [str(group.get("name", "")) for group in groups if group])
