"""The pages that people see in a browser: short texts, one short script at most, nothing from elsewhere.

They stand for themselves: whoever reads one is in the middle of a login. Everything in them is escaped; the
official plugin put texts in as they are (CVE-2026-33758).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from authkit import Raw, Value

__all__ = [
    "Page",
    "confirmation_page",
    "error_page",
    "is_in_frame",
    "is_opened_in_window",
    "post_message_page",
    "raw_page",
    "success_page",
]

MAX_SHOWN: Final = 300
"""Characters of a text that a stranger may have made up."""

STYLE: Final = """
:root{color-scheme:light dark;--paper:#f5f6f8;--card:#fff;--ink:#1b2130;--dim:#586074;--line:#d9dde6;
--accent:#2f4fc4;--on-accent:#fff;--bad:#a8232f}
@media (prefers-color-scheme:dark){:root{--paper:#12151c;--card:#1b202b;--ink:#e8ebf2;--dim:#a2abbf;
--line:#313949;--accent:#9db4ff;--on-accent:#10162b;--bad:#ff9ba1}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
main{flex:1;width:100%;max-width:34rem;margin:0 auto;padding:3rem 1.25rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem}
h1{margin:0 0 .9rem;font-size:1.6rem;line-height:1.25;overflow-wrap:anywhere}
.bad h1{color:var(--bad)}
p{margin:0 0 .9rem;overflow-wrap:anywhere}
p:last-child{margin-bottom:0}
dl{margin:0 0 1rem}
dt{color:var(--dim)}
dd{margin:0 0 .5rem;overflow-wrap:anywhere;
font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
button{font:inherit;font-weight:600;padding:.6rem 1.1rem;border:0;border-radius:.5rem;
background:var(--accent);color:var(--on-accent);cursor:pointer}
button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
""".strip()


ASK: Final = """
if(window.top===window.self){document.getElementById("alone").remove();
document.getElementById("question").hidden=false;document.querySelector("button").disabled=false}
""".strip()
"""Shows a question to somebody who sees where it comes from. Without it the question does not work."""


class Page(Value, frozen=True):
    """A page, and what it is allowed to do."""

    html: str
    policy: str
    """Its Content-Security-Policy. It stands in the page too: few mounts let a plugin send headers."""


def success_page() -> Page:
    """Return the page of a login that a client waits for."""
    return _page(
        "Logged in", "<h1>Logged in</h1><p>You can close this window, and go on where you came from.</p>"
    )


def error_page(heading: str, detail: str) -> Page:
    """Return the page of a login that has failed. Both texts may hold what strangers have made up.

    Whoever loads the page of a good direct login again sees it too, so it does not say that nobody is in.
    """
    content = f"""<h1>{_shown(heading)}</h1>
<p>{_shown(detail)}</p>
<p>Look where you began. If you are not logged in there, close this window and begin again.</p>"""
    return _page("Login failed", content, kind="card bad")


def confirmation_page(address: str, role: str, fields: Mapping[str, str]) -> Page:
    """Return the page that asks whether somebody has begun this login.

    Without it a link could make somebody log in whoever sent it (CVE-2026-33757). Inside another page it does
    nothing: headers against frames reach a browser only from a mount that is tuned to let them out.

    Args:
        address: where it was begun, empty when the host did not say.
        role: the name of its role.
        fields: what the button sends, the proof that this page was shown among them.
    """
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
        if value
    )
    content = f"""<div id="question" hidden><h1>Did you begin this login?</h1>
<dl><dt>Begun from</dt><dd>{_shown(address or "an unknown address")}</dd>
<dt>Role</dt><dd>{_shown(role)}</dd></dl>
<p>Whoever began it will be logged in as you. Go on only if that was you, just now.</p>
<p>Did a link in a message bring you here? Is the address not yours? Then close this window, and nobody is
logged in.</p>
<form method="get">{inputs}<button type="submit" disabled>I began it: log in</button></form></div>
<p id="alone">This step needs JavaScript, and a window of its own: inside another page it does nothing.</p>
<script>{ASK}</script>"""
    return _page("Confirm the login", content, policy=f"form-action 'self'; script-src {_hash(ASK)}")


def is_in_frame(headers: Mapping[str, Sequence[str]]) -> bool:
    """Whether a browser says that it loads something else than a page in a window (Fetch Metadata, 2.1).

    The header arrives where the mount is tuned to pass it through. Older browsers do not send it.
    """
    return any(value != "document" for value in _values(headers, "sec-fetch-dest"))


def is_opened_in_window(headers: Mapping[str, Sequence[str]]) -> bool:
    """Whether a browser says that somebody has opened the address, so that a person reads the answer.

    Either header arrives where the mount is tuned to pass it through: `Sec-Fetch-Dest` or `Accept`.
    """
    if any(value == "document" for value in _values(headers, "sec-fetch-dest")):
        return True
    return any("text/html" in value for value in _values(headers, "accept"))


def _values(headers: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    return {each.lower(): values for each, values in headers.items()}.get(name, ())


def post_message_page(mount: str, state: str, code: str) -> Page:
    """Return the page that tells the window of a web interface how to go on (vault-plugin-auth-jwt 0.26,
    path_oidc.go, pathCallbackPost).
    """
    message = {"source": "oidc-callback", "path": mount, "code": code, "state": state}
    script = f"window.opener?.postMessage({_json(message)}, window.origin);"
    content = f"""<h1>Almost done</h1>
<p>The login goes on in the window where you began it. This one closes by itself.</p>
<noscript><p>This step needs JavaScript. Switch it on for this site, and begin again.</p></noscript>
<script>{script}</script>"""
    return _page("Almost done", content, policy=f"script-src {_hash(script)}")


def raw_page(page: Page, status: int = 200) -> Raw:
    """Return the answer with a page. The headers reach a browser where the mount is tuned to let them out."""
    return Raw(
        page.html,
        content_type="text/html; charset=utf-8",
        status=status,
        cache_control="no-store",
        headers={
            "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        },
    )


def _page(title: str, content: str, *, kind: str = "card", policy: str = "form-action 'none'") -> Page:
    policy = f"default-src 'none'; base-uri 'none'; style-src {_hash(STYLE)}; {policy}"
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body><main><div class="{kind}">
{content}
</div></main></body>
</html>
"""
    return Page(html, policy)


def escape(text: str) -> str:
    """Return a text for HTML, attributes included."""
    from html import escape as escape_html  # a process that is only probed shows no page

    return escape_html(text)


def _shown(text: str) -> str:
    """Return a stranger's text for HTML: bounded, and without characters that move others about."""
    printable = "".join(each if each.isprintable() else " " for each in text[:MAX_SHOWN])
    return escape(printable + ("…" if len(text) > MAX_SHOWN else ""))


def _json(value: object) -> str:
    """Return JSON that can stand in a script element: nothing in it ends the element, or begins a comment."""
    text = json.dumps(value)  # ASCII only, so no U+2028 either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """Return how a policy names one inline element (Content Security Policy Level 3, 2.3.1)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
