"""Whether there is a Nix, whether it works, and who writes its store."""

from __future__ import annotations

import os
import sys

from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError, NixError, ProgramMissingError
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, skip, warn
from gfattach.nix.config import read_settings
from gfattach.nix.daemon import STORE_DIRECTORY, Access, Mode, access, connect, store_directory
from gfattach.nix.program import INSTALL_HINT, identify, locate
from gfattach.nix.uri import shown
from gfattach.probes.nix.subject import END_SECONDS, NixSubject, found_nix, last_part, looked_at, settings_of

#: Seconds for an answer that takes 0.03, and for ending what gives none.
START_SECONDS = 10.0

RESTART_HINT = (
    "sudo launchctl kickstart -k system/org.nixos.nix-daemon"
    if sys.platform == "darwin"
    else "sudo systemctl restart nix-daemon"
)


def _ask_program(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    try:
        path = locate(subject.program, subject.environment)
        if path is None:
            return skip("nix.program.missing", "there is no Nix on this machine", INSTALL_HINT)
        nix = identify(path, _until(inquiry), subject.environment)
    except ProgramMissingError as error:
        why = "it was asked for by name, so no other is taken in its place"
        return fail("nix.program.named", error.fact, why, *error.hints)
    except NixError as error:
        why = "nothing can be substituted with it"
        hints = (*error.hints, f"see what is there: file {path}")
        return fail(f"nix.program.{last_part(error)}", error.fact, why, *hints)
    return ok("nix.program.ok", f"{path}, {nix.label}", **nix.as_json())


def _ask_starts(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    nix = found_nix(inquiry)
    why = "every command of Nix ends the same way"
    try:
        settings = read_settings(nix, _until(inquiry), subject.environment)
    except NixError as error:
        return fail(f"nix.starts.{last_part(error)}", error.fact, why, *error.hints)
    try:
        environ = subject.attached_environment(settings, nix)
        attached = read_settings(nix, _until(inquiry), environ)
    except GfattachError as error:
        why = "Nix reads its configuration without the fragment of this attachment, and not with it"
        return fail("nix.starts.fragment", error.fact, why, *error.hints, "gfattach up writes it anew")
    return ok(
        "nix.starts.ok",
        f"it reads its configuration, of {len(settings.known)} settings",
        settings=looked_at(settings),
        attached=looked_at(attached),
    )


def _ask_mode(inquiry: Inquiry[NixSubject]) -> Finding:
    store = str(settings_of(inquiry, attached=False).setting("store", "auto"))
    found = access(store, inquiry.subject.environment)
    data = {"mode": found.mode.value, "store": shown(store)}
    directory, said = store_directory(store, inquiry.subject.environment)
    if directory != STORE_DIRECTORY:
        return warn(
            "nix.mode.directory",
            f"the store of this Nix is {directory}, by {said}",
            f"it takes nothing from any cache of {STORE_DIRECTORY}: no path of one is a path of the other",
            f"to take from the cache, leave it where everybody's is: {_without(said)}",
            **data,
        )
    match found.mode:
        case Mode.DAEMON:
            return _daemon(found, inquiry.deadline, data)
        case Mode.ELSEWHERE:
            return warn(
                "nix.mode.elsewhere",
                f"Nix keeps its store elsewhere: {shown(store)}",
                "what substitutes is the Nix there, which may not reach this machine's forwards",
                "see what sets it: nix show-config | grep '^store', echo $NIX_REMOTE",
                **data,
            )
        case Mode.SHUT:
            return fail(
                "nix.mode.shut",
                f"this user may not write the store, and no daemon is there to do so: {found.socket}",
                "no command of Nix can build or substitute anything",
                RESTART_HINT,
                **data,
            )
        case Mode.NEW:
            where = "/nix" if os.getuid() == 0 else "~/.local/share/nix/root or /nix"
            return ok("nix.mode.new", f"there is no store yet: the first use makes one in {where}", **data)
        case _:
            return ok("nix.mode.direct", "this user writes the store: no daemon stands between", **data)


def _without(said: str) -> str:
    return f"unset {said}" if said.isupper() else f"take `store=` out of the setting {said}"


def _daemon(found: Access, deadline: Deadline, data: dict[str, str]) -> Finding:
    assert found.socket is not None
    data = {**data, "socket": str(found.socket)}
    try:
        connect(found.socket, deadline.within(2.0))
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        return fail(
            "nix.mode.daemon-dead",
            f"the daemon of Nix does not answer at {found.socket}: {reason}",
            "without it no command of Nix can read or write the store",
            RESTART_HINT,
            **data,
        )
    return ok("nix.mode.daemon", f"a daemon writes the store: {found.socket}", **data)


def _until(inquiry: Inquiry[NixSubject]) -> Deadline:
    return Deadline(inquiry.deadline.at - END_SECONDS)


PROGRAM: Probe[NixSubject] = Probe(
    "nix.program",
    "is there a Nix, and which?",
    _ask_program,
    codes={
        "nix.program.ok": "a Nix is there and says what it is",
        "nix.program.missing": "there is no Nix on this machine",
        "nix.program.named": "the Nix that was asked for by name is not there",
        "nix.program.unusable": "the file that should be Nix cannot be run",
        "nix.program.hung": "Nix does not say its version in time",
        "nix.program.crashed": "Nix ends with an error when asked for its version",
        "nix.program.rubbish": "what is there in Nix's place does not answer as Nix does",
    },
    seconds=START_SECONDS,
)

STARTS: Probe[NixSubject] = Probe(
    "nix.starts",
    "does it start, and read its configuration?",
    _ask_starts,
    codes={
        "nix.starts.ok": "Nix starts and reads its configuration, with and without the fragment",
        "nix.starts.configuration": "Nix cannot read its configuration",
        "nix.starts.fragment": "Nix cannot read the fragment of this attachment",
        "nix.starts.unusable": "Nix cannot be run",
        "nix.starts.crashed": "Nix crashes when it reads its configuration",
        "nix.starts.hung": "Nix does not show its configuration in time",
        "nix.starts.rubbish": "Nix does not print its settings as Nix does",
    },
    needs=("nix.program",),
    seconds=START_SECONDS,
)

MODE: Probe[NixSubject] = Probe(
    "nix.mode",
    "who writes its store: this user, or a daemon?",
    _ask_mode,
    codes={
        "nix.mode.direct": "this user writes the store, and decides alone",
        "nix.mode.daemon": "a daemon writes the store, and decides what this user may choose",
        "nix.mode.daemon-dead": "the daemon that should write the store does not answer",
        "nix.mode.shut": "this user may not write the store, and no daemon is there",
        "nix.mode.new": "there is no store yet",
        "nix.mode.directory": "the store is not /nix/store, and caches have no path of it",
        "nix.mode.elsewhere": "the store is on another machine, or of another kind",
    },
    needs=("nix.starts",),
)
