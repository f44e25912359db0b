"""Exec plugins: the programs that hand out a user's credential, as client.authentication.k8s.io has it.

A plugin is run without a terminal and with a time limit; what it says on stderr goes into the error. What
it hands out is kept by `exec_cache`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.cluster.kubeconfig import exec_cache as exec_credentials
from gfattach.cluster.kubeconfig.entries import Cluster, Exec, User
from gfattach.cluster.kubeconfig.exec_cache import ANSWER_BYTES, ExecCredential, moment
from gfattach.cluster.kubeconfig.trust import authority_bytes
from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.redact import redact

#: The group, and its versions that are spoken here.
GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

#: Seconds that a plugin may take.
PLUGIN_SECONDS = 20.0

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
) -> ExecCredential:
    """The credential of `plugin`; `anew` runs it though an earlier one has not expired (it was refused).

    Raises ClusterError (cluster.credential.plugin-*).
    """
    _check(user, plugin)
    request = _request(plugin, cluster)
    key = _key(plugin, cluster, request)
    if not anew:
        held = exec_credentials.find(key, environ)
        if held is not None:
            return held
    exec_credential = _answer(plugin, _run(plugin, request, deadline, environ))
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
    if plugin.interactive_mode == "Always":
        raise _fault(
            plugin,
            "interactive",
            f"{where} wants to ask at a terminal (interactiveMode: Always)",
            "set interactiveMode: IfAvailable, if it can go on from an earlier login",
        )
    modes = ("Never", "IfAvailable") + (("",) if plugin.api_version.endswith("/v1beta1") else ())
    if plugin.interactive_mode not in modes:
        mode = (
            f"the interactiveMode {plugin.interactive_mode!r}"
            if plugin.interactive_mode
            else "no interactiveMode"
        )
        raise _fault(plugin, "entry", f"{where} has {mode}", "set it to IfAvailable or Never")
    if any(not name or "=" in name or "\0" in name + value for name, value in plugin.env) or any(
        "\0" in word for word in (plugin.command, *plugin.args)
    ):
        raise _fault(plugin, "entry", f"{where} has an argument or a variable that no program can be given")


def _request(plugin: Exec, cluster: Cluster) -> str:
    """The content of KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": False}
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


def _run(plugin: Exec, request: str, deadline: Deadline, environ: Mapping[str, str]) -> str:
    """What the plugin printed."""
    env = {**environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": request}
    hints = _lines(plugin.install_hint)
    # Looked for as kubectl does: along the caller's PATH, whatever the entry adds for the plugin, and
    # never in the directory that happens to be the current one.
    program = shutil.which(plugin.command, path=environ.get("PATH", os.defpath))
    if program is None or not Path(program).is_absolute():
        fact = "does not exist, or cannot be run" if "/" in plugin.command else "is not on PATH"
        raise _fault(plugin, "missing", fact, *(hints or ("install it, or correct the kubeconfig",)))
    try:
        done = process.run([program, *plugin.args], deadline.within(PLUGIN_SECONDS), env=env)
    except OSError as error:
        raise _fault(
            plugin, "missing", f"cannot be run: {(error.strerror or str(error)).lower()}", *hints
        ) from None
    said = tuple(f"it said: {line}" for line in _lines(done.stderr)[-5:])
    if done.timed_out:
        raise _fault(
            plugin,
            "silent",
            f"gave no answer in {done.seconds:.0f} s",
            *said,
            _BY_HAND,
        )
    if not done.good:
        raise _fault(plugin, "failed", done.ending, *said, *hints, _BY_HAND)
    if len(done.stdout) > ANSWER_BYTES:
        raise _fault(plugin, "answer", f"printed more than {ANSWER_BYTES // 1024} KiB", *said)
    return done.stdout


def _lines(text: str) -> tuple[str, ...]:
    """Lines that are harmless to a terminal, without what looks like a secret."""
    lines = redact(text[-_SAID_CHARACTERS:]).splitlines()
    shown = ("".join(c if c.isprintable() else " " for c in line).strip()[:300] for line in lines)
    return tuple(line for line in shown if line)


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


def _key(plugin: Exec, cluster: Cluster, request: str) -> str:
    """What tells one plugin's credential from every other."""
    import hashlib  # its libraries cost a start more than the rest

    asked = [plugin.command, plugin.args, plugin.env, cluster.server, cluster.name, request]
    return hashlib.sha256(json.dumps(asked).encode("utf-8", "surrogatepass")).hexdigest()
