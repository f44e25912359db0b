"""The environment of an agent's process: what it needs, and nothing that may be a secret.

An agent lives long, and its environment can be read by whatever else the user runs. An exec plugin of the
kubeconfig, which may need anything, makes the agent keep the rest, and the address of a proxy may hold a
password: those are handed over in a pipe, while the process starts, and are not in the environment that the
system shows of it.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping

from gfattach.cluster.connection import ClusterRef
from gfattach.core.daemon.start import environment

#: Where proxies are.
_PROXIES = {
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
}

#: Where programs, files and libraries are, and what needs no proxy.
_PASSED_ON = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "KUBECONFIG",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "NIX_LD",
    "NIX_LD_LIBRARY_PATH",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
}

_PASSED_ON_PREFIXES = ("XDG_",)

#: What the agent has of its own. One arena: threads, which are few and short, would each reserve memory.
_OWN = {"MALLOC_ARENA_MAX": "1"}
_OWN_NAMES = frozenset(("PYTHONPATH", "PYTHONUTF8", *_OWN))


def at_once(withheld: Container[str]) -> dict[str, str]:
    """The variables that every agent is started with; never one that `withheld` names."""
    return {**environment(lambda name: _passed_on(name) and name not in withheld), **_OWN}


def later(ref: ClusterRef | None, withheld: Container[str]) -> dict[str, str]:
    """The variables that the agent of the cluster `ref` needs besides: without an exec plugin, the proxies
    whose addresses hold a password.

    Raises ClusterError for a kubeconfig that cannot be read.
    """
    if ref is None:
        return {}
    every = _has_exec_plugin(ref)
    return {
        name: value
        for name, value in kept_back().items()
        if name not in withheld and (every or name in _PROXIES)
    }


def kept_back() -> dict[str, str]:
    """The variables of this process that no agent is started with."""
    return {
        name: value for name, value in os.environ.items() if not _passed_on(name) and name not in _OWN_NAMES
    }


def handed_over(ref: ClusterRef | None, withheld: Container[str]) -> dict[str, str]:
    """All that an agent of the cluster `ref` is to have of this process's environment: `at_once` and `later`.

    Raises ClusterError for a kubeconfig that cannot be read.
    """
    found = {name: value for name, value in os.environ.items() if _passed_on(name) and name not in withheld}
    return found | later(ref, withheld)


def replace_variables(environ: Mapping[str, str]) -> bool:
    """Have `environ` in place of this process's variables, but for those of an agent's own; whether that
    changed any.
    """
    wanted = {name: value for name, value in environ.items() if name not in _OWN_NAMES}
    before = {name: value for name, value in os.environ.items() if name not in _OWN_NAMES}
    for name in before.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
    return wanted != before


def _passed_on(name: str) -> bool:
    if name in _PROXIES:
        return "@" not in os.environ.get(name, "")
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)


def _has_exec_plugin(ref: ClusterRef) -> bool:
    from gfattach.cluster.kubeconfig.resolve import find_files, read_kubeconfig, select

    user = select(read_kubeconfig(find_files(ref)), ref).user
    return user is not None and user.exec is not None
