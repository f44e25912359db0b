"""Exec plugins: the programs that hand out a user's credential, as client.authentication.k8s.io has it.

A plugin has the user's terminal as its `interactiveMode` says, by kubectl's rules (client-go, exec.go:
isInteractive), and a time limit. What it says on stderr is shown while it waits, and goes into the error.
What it hands out is kept by `exec_cache`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gfattach.cluster.kubeconfig import exec_cache as exec_credentials
from gfattach.cluster.kubeconfig.entries import Cluster, Exec, User
from gfattach.cluster.kubeconfig.exec_cache import ANSWER_BYTES, ExecCredential, moment
from gfattach.cluster.kubeconfig.trust import authority_bytes
from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.redact import redact
from gfattach.core.terminal import Terminal

#: The group, and its versions that are spoken here.
GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

#: Seconds that a plugin may take which cannot ask anything.
PLUGIN_SECONDS = 20.0

#: Seconds that one with the terminal may say nothing: each line is another chance for its user to act.
PATIENCE_SECONDS = 180.0

#: Seconds that it may take in all: a device code is good for 15 minutes (RFC 8628 leaves that to the server).
INTERACTIVE_SECONDS = 900.0

#: The variable that names other seconds in place of the first two.
SECONDS_VARIABLE = "GFATTACH_PLUGIN_SECONDS"

#: Seconds from which on what a plugin says is shown: most are done by then.
_SHOWN_AFTER_SECONDS = 1.0

#: Variables that differ from one shell or terminal to the next and say nothing of an account.
_OF_THE_SHELL = frozenset(
    (
        *("_", "SHLVL", "PWD", "OLDPWD", "PS1", "PS2", "PROMPT_COMMAND", "HISTFILE", "HISTSIZE"),
        *("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "VTE_VERSION"),
        *("COLUMNS", "LINES", "WINDOWID", "WINDOW", "TMUX", "TMUX_PANE", "STY", "LS_COLORS", "LSCOLORS"),
        *("SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT", "GPG_TTY", "XDG_SESSION_ID", "INVOCATION_ID"),
        *("JOURNAL_STREAM", "DIRENV_DIFF", "DIRENV_DIR", "DIRENV_FILE", "DIRENV_WATCHES"),
        *("PYTHONPATH", "PYTHONUTF8", "MALLOC_ARENA_MAX"),
    )
)
_OF_THE_SHELL_PREFIXES = ("BASH_FUNC_", "GFATTACH_", "KITTY_", "ITERM_", "VSCODE_")

#: Colours and what else terminals take for commands (ECMA-48): with parameters, of an operating system,
#: short.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-~])")

#: Characters of stderr that are looked at, from the end.
_SAID_CHARACTERS = 16 * 1024

#: What a plugin that failed or hung needs most of the time: somebody who logs in, on a terminal. Its own
#: command line is not shown, because it may hold a secret.
_BY_HAND = "run it on a terminal, where it can ask: kubectl auth whoami"


def hand_out(
    user: User,
    plugin: Exec,
    cluster: Cluster,
    deadline: Deadline,
    environ: Mapping[str, str],
    anew: bool = False,
    terminal: Terminal | None = None,
) -> ExecCredential:
    """The credential of `plugin`; `anew` runs it though an earlier one has not expired (it was refused).

    Raises ClusterError (cluster.credential.plugin-*).
    """
    _check(user, plugin)
    key = _key(plugin, cluster, _request(plugin, cluster, False), environ)
    if not anew:
        held = exec_credentials.find(key, environ)
        if held is not None:
            return replace(held, kept=True)
    asks = _asks(user, plugin, terminal)
    printed = _run(plugin, _request(plugin, cluster, asks), deadline, environ, terminal, asks)
    exec_credential = _answer(plugin, printed)
    exec_credentials.keep(key, exec_credential, environ)
    return exec_credential


def _fault(plugin: Exec, name: str, fact: str, *hints: str) -> ClusterError:
    return ClusterError(
        f"the credential plugin {plugin.command!r} {fact}", *hints, code=f"cluster.credential.plugin-{name}"
    )


def _check(user: User, plugin: Exec) -> None:
    where = f"of the user {user.name!r} in {user.origin}"
    if not plugin.command:
        raise ClusterError(f"the exec plugin {where} has no command", code="cluster.credential.plugin-entry")
    if plugin.api_version not in VERSIONS:
        version = f"the apiVersion {plugin.api_version!r}" if plugin.api_version else "no apiVersion"
        raise _fault(
            plugin,
            "version",
            f"{where} has {version}; {' and '.join(VERSIONS)} are spoken here",
            "update the plugin, and have it write its kubeconfig entry anew",
        )
    modes = ("Never", "IfAvailable", "Always") + (("",) if plugin.api_version.endswith("/v1beta1") else ())
    if plugin.interactive_mode not in modes:
        mode = (
            f"the interactiveMode {plugin.interactive_mode!r}"
            if plugin.interactive_mode
            else "no interactiveMode"
        )
        raise _fault(plugin, "entry", f"{where} has {mode}", "set it to IfAvailable, Never or Always")
    if any(not name or "=" in name or "\0" in name + value for name, value in plugin.env) or any(
        "\0" in word for word in (plugin.command, *plugin.args)
    ):
        raise _fault(plugin, "entry", f"{where} has an argument or a variable that no program can be given")


def _asks(user: User, plugin: Exec, terminal: Terminal | None) -> bool:
    """Whether the plugin gets the terminal. Raises ClusterError where it has to have one and there is
    none.
    """
    interactive = terminal is not None and terminal.interactive
    if plugin.interactive_mode == "Always" and not interactive:
        raise _fault(
            plugin,
            "interactive",
            f"of the user {user.name!r} has to ask (interactiveMode: Always), and stdin is no terminal",
            "run it on a terminal: gfattach up",
            "or set interactiveMode: IfAvailable, if it can go on from an earlier login",
        )
    return interactive and plugin.interactive_mode != "Never"


def seconds_for(user: User | None, environ: Mapping[str, str], terminal: Terminal | None) -> float:
    """Seconds that the plugin of `user` may take in all where it may ask, or was given them by its user;
    else 0.
    """
    if user is None or user.exec is None:
        return 0.0
    told = told_seconds(environ)
    asks = terminal is not None and terminal.interactive and user.exec.interactive_mode != "Never"
    return max(INTERACTIVE_SECONDS, told or 0.0) if asks else told or 0.0


def told_seconds(environ: Mapping[str, str]) -> float | None:
    """What SECONDS_VARIABLE says; None where it says nothing, or no number of seconds."""
    try:
        told = float(environ.get(SECONDS_VARIABLE, ""))
    except ValueError:
        return None
    return told if 0.0 < told < 86400.0 else None


def _request(plugin: Exec, cluster: Cluster, asks: bool) -> str:
    """The content of KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": asks}
    if plugin.provide_cluster_info:
        described = {
            "server": cluster.server,
            "tls-server-name": cluster.tls_server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(authority_bytes(cluster)).decode(),
            "proxy-url": cluster.proxy_url,
            "config": cluster.exec_config,
        }
        spec["cluster"] = {name: value for name, value in described.items() if value}
    return json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})


def _run(
    plugin: Exec,
    request: str,
    deadline: Deadline,
    environ: Mapping[str, str],
    terminal: Terminal | None,
    asks: bool,
) -> str:
    """What the plugin printed."""
    env = {**environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": request}
    hints = _lines(plugin.install_hint)
    # Looked for as kubectl does: along the caller's PATH, whatever the entry adds for the plugin, and
    # never in the directory that happens to be the current one.
    program = shutil.which(plugin.command, path=environ.get("PATH", os.defpath))
    if program is None or not Path(program).is_absolute():
        fact = "does not exist, or cannot be run" if "/" in plugin.command else "is not on PATH"
        raise _fault(plugin, "missing", fact, *(hints or ("install it, or correct the kubeconfig",)))
    told = told_seconds(environ)
    whole = deadline if asks else deadline.within(told or PLUGIN_SECONDS)
    silence = told or PATIENCE_SECONDS
    try:
        with ExitStack() as borrowed:
            watch = _Shown(terminal, asks, borrowed).watch
            done = process.run_watched([program, *plugin.args], whole, silence, watch, env=env, stdin=asks)
    except OSError as error:
        raise _fault(
            plugin, "missing", f"cannot be run: {(error.strerror or str(error)).lower()}", *hints
        ) from None
    *before, last = _lines(done.stderr)[-5:] or [""]
    said = tuple(f"it said before: {line}" for line in before)
    words = f": {last}" if last else ""
    if done.timed_out:
        longer = f"give it longer: {SECONDS_VARIABLE}=SECONDS"
        raise _fault(
            plugin, "silent", f"gave no answer in {done.seconds:.0f} s{words}", *said, _BY_HAND, longer
        )
    if not done.good:
        raise _fault(plugin, "failed", f"{done.ending}{words}", *said, *hints, _BY_HAND)
    if len(done.stdout) > ANSWER_BYTES:
        raise _fault(plugin, "answer", f"printed more than {ANSWER_BYTES // 1024} KiB", *said)
    return done.stdout


class _Shown:
    """Shows what a plugin says: at once where it may ask, and else from when it is taking its time."""

    def __init__(self, terminal: Terminal | None, asks: bool, borrowed: ExitStack) -> None:
        self._terminal = terminal
        self._asks = asks
        self._borrowed = borrowed
        self._began = time.monotonic()
        self._early = b""
        self._has = False

    def watch(self, data: bytes) -> None:
        if self._terminal is None:
            return
        self._early += data
        waits = time.monotonic() - self._began > _SHOWN_AFTER_SECONDS
        if not self._has and ((self._asks and (waits or data)) or (waits and self._early)):
            self._borrowed.enter_context(self._terminal.borrowed())
            self._has = True
        if self._has and self._early:
            self._terminal.show(self._early)
            self._early = b""


def _lines(text: str) -> tuple[str, ...]:
    """Lines that are harmless to a terminal, without colours and what looks like a secret."""
    lines = _ESCAPES.sub("", text[-_SAID_CHARACTERS:]).splitlines()
    bare = ("".join(c if c.isprintable() else " " for c in line).strip() for line in lines)
    return tuple(line[:300] for line in redact("\n".join(bare)).splitlines() if line)


def _answer(plugin: Exec, printed: str) -> ExecCredential:
    def wrong(fact: str) -> ClusterError:
        return _fault(plugin, "answer", fact, f"it has to print an ExecCredential of {plugin.api_version}")

    try:
        answer = _document(printed)
    except (ValueError, RecursionError):
        raise wrong("printed what is not JSON") from None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise wrong("printed no ExecCredential")
    if answer.get("apiVersion") != plugin.api_version:
        raise wrong("answered in another apiVersion than it was asked in")
    status = answer.get("status")
    if not isinstance(status, dict):
        raise wrong("answered without a status")
    names = ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    texts = [status.get(name) or "" for name in names]
    if not all(isinstance(text, str) for text in texts):
        raise wrong("answered with a status that holds no text where text has to be")
    token, certificate, key, expires = texts
    if not (certificate + key).isascii():
        raise wrong("handed out a certificate that is not in PEM form")
    if not token and not certificate and not key:
        raise wrong("handed out neither a token nor a certificate")
    if bool(certificate) != bool(key):
        raise wrong("handed out a certificate without its key, or a key without its certificate")
    try:
        until = moment(expires) if expires else None
    except ValueError:
        raise wrong("gave an expirationTimestamp that is no time of RFC 3339") from None
    return ExecCredential(token, certificate.encode(), key.encode(), until)


def _document(printed: str) -> Any:
    """JSON, or else YAML, which kubectl takes too. Raises ValueError and RecursionError."""
    text = printed.lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")) or ":" not in text:
        return json.loads(text)
    from gfattach.cluster.kubeconfig.yamltext import YamlError, parse

    try:
        found = parse(text.encode("utf-8", "surrogatepass"))
    except YamlError as error:
        raise ValueError(error.problem) from None
    if not isinstance(found, dict):
        raise ValueError("no mapping")
    return found


def _key(plugin: Exec, cluster: Cluster, request: str, environ: Mapping[str, str]) -> str:
    """What tells one plugin's credential from every other: who it is for may stand in any variable."""
    import hashlib  # its libraries cost a start more than the rest

    may_read = sorted((name, value) for name, value in environ.items() if not _of_the_shell(name))
    asked = [plugin.command, plugin.args, plugin.env, cluster.server, cluster.name, request, may_read]
    return hashlib.sha256(json.dumps(asked).encode("utf-8", "surrogatepass")).hexdigest()


def _of_the_shell(name: str) -> bool:
    return name in _OF_THE_SHELL or name.startswith(_OF_THE_SHELL_PREFIXES)
