"""Options that several commands share, gathered into the objects that the work takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gfattach.attach.model.options import ClientOptions
from gfattach.cli.sections import option

#: Options that name a site's settings: the option's words, what stands behind them, the setting, the help.
_SITE = (
    ("--cache", "URL", "cache.endpoint", "The Bazel cache: grpc://, grpcs://, http:// or https://."),
    ("--instance", "NAME", "cache.instance", "The REAPI instance name."),
    ("--ca-file", "FILE", "cache.ca_file", "The authority that signed the cache's certificate (PEM)."),
    ("--substituter", "URL", "nix.substituter", "The Nix binary cache: http:// or https://."),
    (
        "--substituter-ca-file",
        "FILE",
        "nix.ca_file",
        "The authority that signed the Nix binary cache's certificate (PEM).",
    ),
    ("--public-key", "NAME:BASE64", "nix.public_keys", "A key that signs the Nix binary cache."),
)

#: Options that name the cluster.
_CLUSTER = (
    ("--kubeconfig", "FILE", "cluster.kubeconfig", "The kubeconfig; without it, what kubectl would take."),
    ("--context", "NAME", "cluster.context", "The context in it; without it, the current one."),
    ("--namespace", "NAME", "cluster.namespace", "The namespace in which the caches are looked for."),
)

#: Options that name a Service, and the section that it belongs to.
_SERVICES = (
    ("--cache-service", "cache", "The Service of the Bazel cache, to go to through a forward."),
    ("--nix-service", "nix", "The Service of the Nix cache, to go to through a forward."),
)

#: Store paths that a proof asks for besides; the command gets them as `nix_paths`.
nix_path_option = option(
    "Clients",
    "--nix-path",
    "nix_paths",
    metavar="PATH",
    multiple=True,
    help="Realise this store path too, from the attached cache into an empty store.",
)


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for a site's settings; the command gets them as `site`, a mapping by setting key."""
    return _settings(command, {"Site": _SITE, "Cluster": _CLUSTER}, _SERVICES)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which cluster is meant; the command gets them as `site`, as from `site_options`."""
    return _settings(command, {"Cluster": _CLUSTER}, ())


def _settings(
    command: Callable[..., Any],
    sections: dict[str, tuple[tuple[str, str, str, str], ...]],
    services: tuple[tuple[str, str, str], ...],
) -> Callable[..., Any]:
    @functools.wraps(command)
    def gathered(*args: Any, **values: Any) -> Any:
        site = {
            key: values.pop(_name(words)) for settings in sections.values() for words, _, key, _ in settings
        }
        for words, section, _ in services:
            site |= service_settings(section, values.pop(_name(words)))
        if site["cluster.kubeconfig"] is not None:  # on a command line a path may be relative
            site["cluster.kubeconfig"] = str(Path(site["cluster.kubeconfig"]).absolute())
        return command(*args, site=site, **values)

    wrapped: Callable[..., Any] = gathered
    for words, _, about in reversed(services):
        wrapped = option("Cluster", words, metavar="[NAMESPACE/]NAME[:PORT]", help=about)(wrapped)
    for section, settings in reversed(sections.items()):
        for words, metavar, _, about in reversed(settings):
            wrapped = option(section, words, metavar=metavar, help=about)(wrapped)
    return wrapped


def words_of(site: dict[str, object]) -> list[str]:
    """The options that gave the settings of `site`, as they are written on a command line."""
    given = [words for words, _, key, _ in (*_SITE, *_CLUSTER) if site.get(key) is not None]
    return given + [words for words, section, _ in _SERVICES if site.get(f"{section}.service") is not None]


def service_settings(section: str, said: str | None) -> dict[str, str]:
    """The settings of `section` ("cache" or "nix") that `[NAMESPACE/]NAME[:PORT]` says, by key, unread."""
    if said is None:
        return {}
    namespace, slash, rest = said.rpartition("/")
    name, colon, port = rest.partition(":")
    found = {f"{section}.service": name}
    if slash:
        found[f"{section}.namespace"] = namespace
    if colon:
        found[f"{section}.service_port"] = port
    return found


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for the programs to prove with; the command gets them as `clients`."""

    @functools.wraps(command)
    def gathered(*args: Any, **values: Any) -> Any:
        clients = ClientOptions(
            bazel=values.pop("bazel"),
            nix=values.pop("nix"),
            use_bazel=values.pop("use_bazel"),
            use_nix=values.pop("use_nix"),
        )
        return command(*args, clients=clients, **values)

    wrapped: Callable[..., Any] = gathered
    for words, about in (
        ("--bazel", "The Bazel to use; BAZEL_BIN, bazelisk or bazel without it."),
        ("--nix", "The nix to use; the one on PATH without it."),
    ):
        wrapped = option("Clients", words, metavar="PROGRAM", help=about)(wrapped)
    wrapped = option(
        "Clients", "--use-bazel/--no-bazel", default=True, show_default=True, help="Prove with Bazel."
    )(wrapped)
    return option("Clients", "--use-nix/--no-nix", default=True, show_default=True, help="Prove with Nix.")(
        wrapped
    )


def _name(words: str) -> str:
    return words.lstrip("-").replace("-", "_")
