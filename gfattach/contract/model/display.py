"""What of a variable's value may be shown. Nothing here can show a secret.

An endpoint is shown as scheme, host and port, because everything around them may be a
password; a text that is no endpoint is described by its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gfattach.contract.model.variables import BY_NAME, Secrecy, value_of
from gfattach.core.endpoint import EndpointError, parse_endpoint
from gfattach.core.redact import redact

#: Characters of a value that are shown; more say nothing more.
SHOWN_CHARACTERS = 80


def shown(environment: Mapping[str, str], name: str) -> str:
    """The value of the variable `name` as it may be shown; `unset` for none."""
    value = value_of(environment, name)
    if not value:
        return "unset"
    variable = BY_NAME.get(name)
    secrecy = Secrecy.SECRET if variable is None else variable.secrecy
    if secrecy is Secrecy.SECRET:
        return "set"
    return shown_endpoint(value) if secrecy is Secrecy.ENDPOINT else shown_text(value)


def shown_endpoint(text: str) -> str:
    """`scheme://host:port` of an endpoint; of anything else, as much as cannot be a password."""
    try:
        endpoint = parse_endpoint(text)
    except EndpointError:
        pass
    else:
        written = text.partition("://")[0]  # GRPC is refused for being in capitals
        scheme = written if written.lower() == endpoint.scheme else endpoint.scheme
        return shown_text(f"{scheme}://{endpoint.authority}{'/…' if endpoint.path else ''}")
    begins = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,11}://", text)
    if begins is None:
        return f"a text of {len(text)} characters"
    rest = text[begins.end() :]
    # What stands before an @ is a user or a password, wherever the @ stands.
    host = "" if "@" in rest else re.match(r"[A-Za-z0-9.-]*", rest).group()  # type: ignore[union-attr]
    return f"{begins.group()}{host}{'' if rest == host else '…'}"


def shown_text(text: str) -> str:
    """`text` on one line and not too long, control characters written out, and without what is a secret by
    its shape: cut off, it would have that shape no more."""
    text = redact(text)
    line = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
