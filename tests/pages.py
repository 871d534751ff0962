"""The blocks of code on the pages of the documentation: which test runs each of them, or why none does.

A test that runs blocks takes them from here. `tests/test_page_blocks.py` holds that no block is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

__all__ = ["APART", "PAGES", "ROOT", "TOGETHER", "Block", "apart", "blocks", "read_blocks", "together"]

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
DOCS = "tests/test_docs.py::"
LIVE = "tests/live/test_documentation.py::"
DEV = LIVE + "test_pages_about_the_development_server_run_as_written"
JWT = LIVE + "test_the_pages_of_the_jwt_example_run_as_written"
TUTORIAL = "scripts/live/tutorial"
OTHER_JWT = LIVE + "test_other_mounts_of_the_jwt_example_run_as_written"

TOGETHER = {
    ("README.md", "python"): DOCS + "test_code_blocks_run",
    ("docs/*.md", "python"): DOCS + "test_code_blocks_run",
    ("examples/*/README.md", "python"): DOCS + "test_examples_quote_themselves",
    ("docs/*.md", "mermaid"): "tests/test_page_blocks.py::test_a_diagram_declares_who_takes_part",
    ("docs/why.md", "py"): DOCS + "test_the_comparison_quotes_what_is_compared",
    ("docs/why.md", "go"): DOCS + "test_the_comparison_quotes_what_is_compared",
    ("docs/hosts.md", "sh"): "tests/live/test_hosts_page.py::test_the_page_leads_to_a_login",
    ("docs/hosts.md", "go"): DOCS + "test_the_main_of_a_go_plugin_is_the_one_that_the_live_tests_run",
    ("docs/operate.md", "sh"): LIVE + "test_the_operators_pages_run_as_written",
    ("docs/monitoring.md", "sh"): LIVE + "test_the_page_of_monitoring_runs_as_written",
    ("docs/configuration.md", "sh"): LIVE + "test_the_operators_pages_run_as_written",
    ("docs/performance.md", "sh"): LIVE + "test_the_operators_pages_run_as_written",
    ("docs/troubleshooting.md", "sh"): LIVE + "test_the_operators_pages_run_as_written",
    ("docs/quickstart.md", "*"): TUTORIAL,
    ("docs/tutorial-*.md", "*"): TUTORIAL,
    ("docs/howto-dev.md", "sh"): DEV,
    ("docs/howto-dev.md", "text"): DEV,
    ("docs/howto-doctor.md", "sh"): DEV,
    ("docs/howto-doctor.md", "text"): DEV,
    ("examples/jwt_auth/README.md", "sh"): JWT,
    ("docs/jwt-explain.md", "sh"): JWT,
    ("docs/jwt-explain.md", "text"): JWT,
    ("docs/jwt-groups.md", "sh"): JWT,
    ("docs/jwt-issuers.md", "sh"): JWT,
    ("docs/jwt-browser.md", "sh"): OTHER_JWT,
    ("docs/page.md", "sh"): OTHER_JWT,
    ("docs/clients.md", "sh"): OTHER_JWT,
    ("docs/howto-jwt-provider.md", "sh"): OTHER_JWT,
    ("docs/howto-secrets.md", "sh"): LIVE + "test_the_page_of_a_secrets_engine_runs_as_written",
    ("docs/howto-database.md", "sh"): LIVE + "test_the_pages_with_postgresql_run_as_written",
    ("examples/postgres_users/README.md", "sh"): LIVE + "test_the_pages_with_postgresql_run_as_written",
    ("examples/redis_acl/README.md", "sh"): LIVE + "test_the_page_of_the_redis_example_runs_as_written",
    ("examples/shared_pin/README.md", "sh"): DEV,
}
"""By pages and language, the test or script that runs all these blocks in order, but for those in `APART`."""

DRAWING = "a drawing"
SUITE = "the suite itself"
APART = {
    "README.md": {
        "make demo": "tests/host_http/test_demo.py::test_the_demo_shows_the_main_job",
        "pip install": "takes packages from the index; scripts/test_wheel installs the wheels",
    },
    "CONTRIBUTING.md": {
        "make test": SUITE,
        ".venv/bin/python -m pytest": SUITE,
        ".venv/bin/towncrier create": "tests/test_changelog.py::test_a_release_takes_the_fragments",
    },
    "docs/architecture.md": {
        "errors base64url": "tests/test_page_blocks.py::test_the_map_of_packages_names_what_is_there",
        "host -> rpc -> wire.backend": DRAWING,
        "class definition": DRAWING,
        "host -> wire -> framework.routing": DRAWING,
        "host -> rpc -> database.service": DRAWING,
        "server/core.py": "tests/test_page_blocks.py::test_the_parts_of_the_host_s_server_are_there",
        "AUTHKIT_RECORD=1": "what it records is kept, and compared by tests/conformance",
    },
    "docs/clients.md": {
        'provider "vault" {': "Terraform fetches its provider from its makers: its requests are tests",
        'variable "pin" {': "Terraform fetches its provider from its makers: its requests are tests",
        "auto_auth {": "tests/live/test_clients_page.py::test_the_agent_logs_in",
        "apiVersion: v1": "tests/live/test_clients_page.py::test_the_pod_brings_its_parts_together",
    },
    "docs/hosts.md": {
        "from authkit import serve": "tests/live/test_hosts_page.py::test_the_page_leads_to_a_login",
    },
    "docs/howto-database.md": {
        "from authkit.database import serve": LIVE + "test_the_pages_with_postgresql_run_as_written",
    },
    "docs/howto-auth.md": {"#!/opt/authkit/bin/python -I": "one line of a file"},
    "docs/howto-dev.md": {"vault write database/config/dev": "each plugin has settings of its own"},
    "docs/howto-test.md": {
        "[tool.pytest.ini_options]": "settings",
        "AUTHKIT_VAULT=": SUITE,
    },
    "docs/jwt-browser.md": {
        "vault login -method=oidc": "tests/live/test_oidc_cli.py::test_login_in_a_browser",
        "vault write auth/oidc/oidc/auth_url": "tests/live/test_oidc_ours.py::test_a_device",
    },
    "docs/jwt-issuers.md": {"vault write identity/entity-alias": "needs identifiers of the reader's server"},
    "docs/jwt-providers.md": {"vault write auth/jwt/config": "asks Okta"},
    "docs/monitoring.md": {"scrape_configs:": "settings of Prometheus"},
    "docs/operate.md": {
        "install -m 755": "tests/live/test_packed_kinds.py::test_a_server_registers_it_as_what_it_is",
        "python3 -m venv": "writes to /opt, and takes from the index",
        "#!/opt/authkit/bin/python -I": LIVE + "test_the_operators_pages_run_as_written",
        'vault plugin register -sha256="$SHA256" -command=postgres_users': "runs on the example's page",
        'vault plugin register -sha256="$SHA256" -command=redis_acl': "runs on the example's page",
        "vault server -dev": LIVE + "test_a_server_in_development_mode_takes_the_plugin_by_itself",
        "vault auth enable jwt_auth": LIVE + "test_a_server_in_development_mode_takes_the_plugin_by_itself",
    },
    "docs/packaging.md": {
        "authkit build --lock": "tests/live/test_standalone.py::test_two_builds_are_the_same",
        "skopeo copy": "needs a registry; tests/live/test_standalone.py pushes the image to one of its own",
        "plugin_auto_download": "tests/live/test_standalone.py::test_openbao_downloads_it",
        "authkit install": "tests/live/test_deployment.py::test_a_mount_is_upgraded_and_rolled_back",
    },
    "docs/performance.md": {
        "make bench": "takes the machine for itself; tests/live/test_bench.py is its short form"
    },
    "docs/reliability.md": {
        "make torture": "takes 40 minutes; tests/live/test_reliability_*.py are its short form"
    },
    "docs/releasing.md": {
        "scripts/release check": "tests/test_releasing.py::test_a_tag_that_agrees_with_everything",
        "git tag": "publishes",
        "sha256sum --check": "needs a release that is published",
        "pypi-attestations verify": "needs a release that is published",
    },
}
"""By page and what a block begins with: the test that runs this block by itself, or why none does."""


class Block(NamedTuple):
    """One block of a page."""

    page: str
    line: int
    """Of its first line."""
    language: str
    """Empty for one that is indented, or has none."""
    title: str
    """What stands after the language."""
    text: str

    def __str__(self) -> str:
        """Return where it is."""
        return f"{self.page}:{self.line}"


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return all blocks of a page."""
    return tuple(read_blocks(page, (ROOT / page).read_text()))


def read_blocks(page: str, text: str) -> Iterator[Block]:
    """Yield all blocks of a text in Markdown."""
    for token in MarkdownIt().parse(text):
        if token.type in ("fence", "code_block") and token.map is not None:
            language, _, title = token.info.partition(" ")
            line = token.map[0] + 1 + (token.type == "fence")
            yield Block(page, line, language, title, token.content)


def together(page: str, language: str) -> list[Block]:
    """Return the blocks that run together with the others of their page and language, in their order."""
    beginnings = tuple(APART.get(page, ()))
    found = [block for block in blocks(page) if (block.language, block.title) == (language, "")]
    return [block for block in found if not (beginnings and block.text.startswith(beginnings))]


def apart(page: str, beginning: str) -> str:
    """Return the text of the block that begins like this, which runs by itself."""
    assert beginning in APART[page]
    (found,) = (block for block in blocks(page) if block.text.startswith(beginning))
    return found.text
