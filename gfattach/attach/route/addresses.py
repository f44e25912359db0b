"""The loopback address that a forward has to itself, so that a netrc, which knows no ports, can name it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from msgspec.structs import replace

from gfattach.agent.model.spec import ForwardSpec
from gfattach.core.errors import CredentialError
from gfattach.core.paths import state_directory
from gfattach.core.trust import secret
from gfattach.credential.tokens import has_token
from gfattach.nixcache.target import SubstituterTarget


def own_address(name: str, agent: str = "") -> str | None:
    """The loopback address of the forward `name` of `agent` alone, the same every time; None where there is
    only one.

    On Linux all of 127.0.0.0/8 is this machine; 127.0.0.0/16 is left to what others choose by hand.
    """
    if sys.platform != "linux":
        return None
    digest = secret.derived(state_directory(), f"address {agent} {name}")
    second, third, fourth = digest[0] % 255 + 1, digest[1], digest[2] % 254 + 1
    return f"127.{second}.{third}.{fourth}"


def with_address(
    spec: ForwardSpec, target: SubstituterTarget, environ: Mapping[str, str], agent: str = ""
) -> ForwardSpec:
    """The forward of `target`, at an address of its own if something has a token for it and there is one.

    `agent` is the agent that is to hold it, one for each cluster.

    It has a name of its own then too: what is forwarded without a token keeps its address. Raises
    StorageError.
    """
    try:
        wanted = has_token(target.token_host, environ, vouched=True)
    except CredentialError:
        wanted = True  # it is said where the token is asked for
    name = f"{spec.name}+token"
    address = own_address(name, agent) if wanted else None
    return spec if address is None else replace(spec, name=name, address=address)
