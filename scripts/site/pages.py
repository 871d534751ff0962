"""Pages of the site that are not in docs/: those of other folders, and a reference from docstrings.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks), named in mkdocs.yml.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tables

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "authkit": "What every plugin imports, and auth methods alone need.",
    "secrets": "Secrets engines: leased credentials and rotation.",
    "database": "Database plugins, for the server's own `database` engine.",
    "oidc": "OpenID Connect and JSON Web Tokens.",
    "testing": "Tests of plugins without a server, and with one.",
}
COPIED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "vulnerabilities.md",
} | {
    f"examples/{name}/README.md": f"examples/{name}.md"
    for name in ("shared_pin", "jwt_auth", "postgres_users", "redis_acl")
}
COMMANDS = ("new", "dev", "doctor", "explain", "build", "install", "upgrade", "rollback")

_LINK = re.compile(r"\[([^]\[]*)\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)]*)?\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the program that draws diagrams."""
    from mkdocs.structure.files import File

    for source, target in COPIED.items():
        text = _with_links((ROOT / source).read_text(), Path(source).parent, Path(target).parent)
        files.append(File.generated(config, target, content=text))
    home = Path(__file__).with_name("index.md").read_text()
    files.append(File.generated(config, "index.md", content=home))
    for name, about in PACKAGES.items():
        module = name if name == "authkit" else f"authkit.{name}"
        files.append(File.generated(config, f"reference/{name}.md", content=_reference(module, about)))
    for name, make in GENERATED.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    mermaid = os.environ.get("AUTHKIT_MERMAID")
    content = (
        Path(mermaid).read_bytes() if mermaid else b"// Diagrams are shown as their text: npm was missing.\n"
    )
    files.append(File.generated(config, "assets/mermaid.min.js", content=content))
    return files


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Point links in docs/ to files of the repository at the pages of these files."""
    source = page.file.src_uri  # type: ignore[attr-defined]
    if source in {*COPIED.values(), "index.md"} or source.startswith("reference/"):
        return markdown
    return _with_links(markdown, Path("docs", source).parent, Path(source).parent)


def on_page_content(html: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Remove the `::` before code blocks of docstrings: it is not Markdown."""
    return html.replace("<p>::</p>", "")


def _with_links(text: str, source: Path, target: Path) -> str:
    """Return a page of the folder `source` of the repository for the folder `target` of the site.

    Its links are changed. A link text that is the name of a file becomes the title of the page.
    """

    def change(match: re.Match[str]) -> str:
        wanted = Path(os.path.normpath(source / match[2]))
        place = _place(wanted)
        if place is None:
            return match[0]
        shown = match[1]
        if shown.endswith(".md") and (title := _TITLE.search((ROOT / wanted).read_text())):
            shown = f"*{title[1]}*"
        return f"[{shown}]({os.path.relpath(place, target)}{match[3] or ''})"

    return _LINK.sub(change, text)


def _place(wanted: Path) -> Path | None:
    """Return where the site has a file of the repository, `None` where it has none."""
    if wanted.parts[:1] == ("docs",):
        return Path(*wanted.parts[1:])
    if wanted == Path("README.md"):
        return Path("index.md")
    copied = COPIED.get(wanted.as_posix())
    return Path(copied) if copied else None


def _reference(module: str, about: str) -> str:
    imported = importlib.import_module(module)
    entries = [f"::: {_defined_at(module, name, getattr(imported, name))}" for name in imported.__all__]
    return "\n\n".join(
        [f"# {module}", about, *sorted(entries, key=lambda entry: entry.split(".")[-1].lower())]
    )


def _defined_at(module: str, name: str, public: object) -> str:
    """Return where a public name is defined: a package may have a module of the same name."""
    if not (inspect.isclass(public) or inspect.isfunction(public)):
        return f"{module}.{name}"
    return f"{public.__module__}.{public.__qualname__}"


def commands() -> str:
    """Return the page of the command line."""
    parts = ["# authkit, the command\n"]
    for command in COMMANDS:
        shown = subprocess.run(
            [sys.executable, "-m", "authkit", command, "--help"],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        parts.append(f"## {command}\n\n```text\n{shown.strip()}\n```\n")
    return "\n".join(parts)


GENERATED = {"fields": tables.field_types, "errors": tables.error_classes, "cli": commands}
"""Pages of the reference that are not those of a package."""
