"""What Nix is configured to do, as Nix itself says it.

`nix show-config --json` up to 2.19, `nix config show --json` from 2.20; both print an object of
settings by name, each with its `value`. Names that a Nix does not know are not in it, which is how
a fragment is fitted to the Nix at hand. Neither opens the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError
from gfattach.nix.program import NOWHERE, Nix, error_line, run

#: Seconds for a question that Nix answers in 0.03.
CONFIG_SECONDS = 10.0

#: Both ways of asking.
_COMMANDS = (("config", "show"), ("show-config",))

#: What commands like these need where nobody has enabled them; `--option`, because every Nix has it.
ENABLE_COMMANDS = ("--option", "extra-experimental-features", "nix-command")

#: What a Nix says of a subcommand that it does not have.
UNKNOWN_COMMAND = "is not a recognised command"


class Settings(Struct, frozen=True):
    """The settings of one Nix in one environment: values by name, as in Nix's JSON.

    A setting that a Nix has renamed (`download-attempts`, in 2.35) is there by its aliases too, which a
    nix.conf may use.
    """

    values: Mapping[str, Any]

    @property
    def known(self) -> frozenset[str]:
        """The names that this Nix knows."""
        return frozenset(self.values)

    def setting(self, name: str, default: Any = None) -> Any:
        """The value of `name`; `default` when this Nix does not know it."""
        return self.values.get(name, default)

    def words(self, name: str) -> tuple[str, ...]:
        """The value of a setting that is a list, in Nix's order."""
        value = self.values.get(name)
        return tuple(str(word) for word in value) if isinstance(value, list) else ()


def read_settings(nix: Nix, deadline: Deadline | None, environ: Mapping[str, str]) -> Settings:
    """The settings that are in force for `nix` in `environ`.

    It is the client's view; a daemon has its own. Raises NixError: `nix.configuration` when Nix
    cannot read its configuration, `nix.rubbish`, and those of `gfattach.nix.program.run`.
    """
    deadline = deadline or Deadline.after(CONFIG_SECONDS)
    failure = ""
    for command in _COMMANDS if nix.minor >= (2, 20) else _COMMANDS[::-1]:
        answer = run(nix.path, [*command, *ENABLE_COMMANDS, "--json"], deadline, environ)
        if answer.good:
            return Settings(_parse(nix, answer.stdout))
        if UNKNOWN_COMMAND not in answer.stderr:
            failure = error_line(answer)
            break
    raise NixError(
        f"{nix.label} cannot read its configuration: {failure or 'it knows no command that shows it'}",
        "correct what it names; it reads nix.conf in /etc/nix and ~/.config/nix, and NIX_CONFIG",
        code="nix.configuration",
    )


def system_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a Nix that reads the system's configuration alone, as a daemon does."""
    kept = {name: value for name, value in environ.items() if name != "NIX_CONFIG"}
    return kept | {"NIX_USER_CONF_FILES": f"{NOWHERE}/nix.conf"}


def _parse(nix: Nix, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
        # Names come before aliases, so that no alias of one setting hides another.
        aliases = {alias: entry["value"] for entry in document.values() for alias in entry.get("aliases", ())}
        return aliases | {name: entry["value"] for name, entry in document.items()}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise NixError(
            f"{nix.path} does not print its settings as a Nix does",
            f"it said: {text[:200]!r}",
            code="nix.rubbish",
        ) from error
