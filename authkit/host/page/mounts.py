"""Views of mounts and their roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from authkit.host.api_client import APIError, MountSummary
from authkit.host.formatting import shown_settings
from authkit.host.mount_overview import Field, Form
from authkit.host.page.forms import changes, form_text
from authkit.host.page.visits import PageError, Visit, address

__all__ = ["show_mount", "show_mounts", "show_role", "write_role"]


async def show_mounts(visit: Visit) -> Response:
    """Show all mounts."""
    mounts, engines = await visit.client.mounts(), await visit.client.engines()
    return visit.render("mounts.html", mounts=mounts, engines=engines)


async def show_mount(visit: Visit) -> Response:
    """Show the roles and the configuration of a mount."""
    mount = await visit.mount()
    description = await visit.client.describe(f"auth/{mount.path}")
    roles = await visit.client.names(mount, description.roles) if description.roles else []
    config = await visit.client.read(f"auth/{mount.path}config") if description.config else None
    return visit.render(
        "mount.html",
        mount=mount,
        description=description,
        roles=[
            (role, address("login", mount.path, role=role), address("role", mount.path, role=role))
            for role in roles
        ],
        login=address("login", mount.path),
        new_role=address("role", mount.path) if description.role else "",
        config=shown_settings(config or {}),
    )


async def show_role(visit: Visit) -> Response:
    """Show the form of a role, a new one without the parameter `role`."""
    mount = await visit.mount()
    form, _, stored = await _find_role(visit, mount)
    texts = {field.name: form_text(field, stored.get(field.name)) for field in form.fields}
    return _role_form(visit, mount, form, texts, [])


async def write_role(visit: Visit) -> Response:
    """Write a role, and show what the server says."""
    mount = await visit.mount()
    form, path, stored = await _find_role(visit, mount)
    try:
        answer = await visit.client.post(path, changes(form.fields, visit.form, stored))
    except ValueError as error:
        return _role_form(visit, mount, form, visit.form, [str(error)])
    except APIError as error:
        return _role_form(visit, mount, form, visit.form, error.texts)
    role = _role_name(visit)
    return visit.render(
        "done.html",
        mount=mount,
        title=f"The role {role} is written",
        facts=[],
        warnings=answer.get("warnings") or [],
        links=[
            ("Log in", address("login", mount.path, role=role)),
            ("Edit it again", address("role", mount.path, role=role)),
        ],
    )


async def _find_role(visit: Visit, mount: MountSummary) -> tuple[Form, str, Mapping[str, Any]]:
    """Return the form of a role, its path, and what is stored there."""
    description = await visit.client.describe(f"auth/{mount.path}")
    if description.role is None:
        raise PageError(404, "No roles here", f"{mount.path} does not describe roles.")
    role = _role_name(visit)
    path = f"auth/{mount.path}{description.roles}{role}"
    return description.role, path, (await visit.client.read(path) or {}) if role else {}


def _role_name(visit: Visit) -> str:
    """Return the name in the address, that of the form for a new role: a setting may be called `role` too."""
    return visit.request.query_params.get("role") or visit.form.get("role", "")


def _role_form(
    visit: Visit, mount: MountSummary, form: Form, texts: Mapping[str, str], refused: list[str]
) -> Response:
    groups: dict[str, list[Field]] = {}
    for field in form.fields:
        groups.setdefault(field.group, []).append(field)
    return visit.render(
        "role.html",
        400 if refused else 200,
        mount=mount,
        role=_role_name(visit),
        is_new=not visit.request.query_params.get("role"),
        groups=sorted(groups.items()),
        values=texts,
        filled={name for name, text in texts.items() if text},
        refused=refused,
    )
