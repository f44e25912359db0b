"""Options that several commands share, gathered into the objects that the work takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from gfattach.attach.options import ClientOptions

#: Options that name a site's settings: the option's words, the setting, the help.
_SITE = (
    ("--cache", "cache.endpoint", "The Bazel cache: grpc://, grpcs://, http:// or https://."),
    ("--instance", "cache.instance", "The REAPI instance name."),
    ("--ca-file", "cache.ca_file", "The authority that signed the cache's certificate (PEM)."),
    ("--substituter", "nix.substituter", "The Nix binary cache: http:// or https://."),
    ("--public-key", "nix.public_keys", "A key that signs the Nix binary cache, NAME:BASE64."),
)


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for a site's settings; the command gets them as `site`, a mapping by setting key."""

    @functools.wraps(command)
    def gathered(*args: Any, **values: Any) -> Any:
        site = {key: values.pop(_name(words)) for words, key, _ in _SITE}
        return command(*args, site=site, **values)

    wrapped: Callable[..., Any] = gathered
    for words, _, about in reversed(_SITE):
        wrapped = click.option(words, metavar="VALUE", help=about)(wrapped)
    return wrapped


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
        wrapped = click.option(words, metavar="PROGRAM", help=about)(wrapped)
    wrapped = click.option("--use-bazel/--no-bazel", default=True, help="Prove with Bazel.")(wrapped)
    return click.option("--use-nix/--no-nix", default=True, help="Prove with Nix.")(wrapped)


def _name(words: str) -> str:
    return words.lstrip("-").replace("-", "_")
