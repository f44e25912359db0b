"""A page for people who would rather look: one self-contained HTML document, without script or address.

It is read in a light and a dark scheme, on a phone's width too. Every text is escaped here and nowhere else:
`text` is the one way into a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from gfattach.core.redact import redact

#: Nothing is loaded and nothing runs.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882;
  --ok: #1f7a3a; --fail: #b3261e; --warn: #8a5a00; --skip: #666; --unknown: #7a3e9d; }
@media (prefers-color-scheme: dark) {
  :root { --ok: #6fd08c; --fail: #ff8a80; --warn: #e3b341; --skip: #aaa; --unknown: #cf9bea; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
.verdict { font-size: 1.15rem; font-weight: 600; }
.ok { color: var(--ok); } .warn { color: var(--warn); } .fail { color: var(--fail); }
.skip { color: var(--skip); }
.unknown { color: var(--unknown); } .detail { color: var(--skip); }
code, pre { font: 13px/1.45 ui-monospace, monospace; margin: 0; }
code, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
.hops { display: flex; flex-wrap: wrap; gap: .5rem; align-items: stretch; padding: 0; list-style: none; }
.hops li { border: 1px solid var(--line); border-top: 4px solid currentColor; border-radius: 6px;
  padding: .4rem .7rem; flex: 1 1 9rem; }
.hops b, .hops span { display: block; } .hops span { color: CanvasText; font-size: 13px; }
.bar { display: flex; height: 1.4rem; border-radius: 4px; overflow: hidden; background: var(--soft); }
.bar span { min-width: 2px; background: currentColor; opacity: .75; border-right: 1px solid Canvas; }
.finding { border-left: 4px solid currentColor; padding: .1rem .8rem; margin: .6rem 0; }
.finding > * { color: CanvasText; } .finding > b { color: inherit; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
td, th { text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }
td, th { border-bottom: 1px solid var(--line); }
""".strip()


def document(title: str, body: Iterable[str]) -> str:
    """The whole page. `title` is text, `body` is HTML that was made with `text`."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{text(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
            f"<h1>{text(title)}</h1>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def text(said: str) -> str:
    """Text of anybody's as HTML: without secrets, without markup."""
    return escape(redact(said))
