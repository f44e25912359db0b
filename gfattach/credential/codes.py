"""Every code of what can be wrong with tokens, with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "credential.argument": "a token, or what looks like one, stands on the command line",
        "credential.bazel.helper": "Bazel asks a helper for the cache's token",
        "credential.bazel.no-helper": "this Bazel knows no credential helpers",
        "credential.cache.found": "the cache is asked with the token that is stored for it",
        "credential.cell.both": "both variables for a cell's token are set",
        "credential.expired": "the token has expired, or has less than a minute left",
        "credential.file.format": "the file of tokens is none",
        "credential.file.missing": "the file with the token is not there",
        "credential.file.open": "others may read or write the file of tokens",
        "credential.file.unreadable": "the file with the token cannot be read",
        "credential.gone": "a token was stored, and its store does not have it any more",
        "credential.host": "what is named is no host",
        "credential.keyring.failed": "the keyring failed",
        "credential.keyring.locked": "the keyring is locked",
        "credential.keyring.lost": "the keyring took a token and does not give it back",
        "credential.keyring.missing": "this machine has no keyring",
        "credential.keyring.silent": "the keyring gives no answer",
        "credential.listener": "another user, or nobody, listens where the forward of the cache should",
        "credential.not-yet": "the token is not good yet, by this machine's clock",
        "credential.question": "what stdin holds is no question of a credential helper",
        "credential.scope": "the token was stored for another port, or would go in plaintext",
        "credential.store": "there is no such store",
        "credential.token.binary": "the token holds what no header can carry",
        "credential.token.empty": "there is no token where one was read from",
        "credential.token.long": "the token is longer than any header",
        "credential.token.space": "the token holds white space or a line break",
        "credential.variable": "the variable that should hold the token is not set",
        "nix.netrc.machine": "the machine of the netrc's entry would never match",
        "nix.netrc.malformed": "the user's netrc is not well formed",
        "nix.netrc.shared": "a token would go to every server on this machine",
        "nix.netrc.taken": "the user's netrc has an entry for the machine already",
        "nix.netrc.word": "the token cannot stand in a netrc",
        "nix.netrc.written": "the netrc gives the forward its token",
    }
)
