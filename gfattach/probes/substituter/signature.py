"""Whether the keys that the site configures are those that sign the substituter's paths."""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, skip, warn
from gfattach.core.quote import word
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.signature import (
    PublicKey,
    Signature,
    fingerprint,
    is_readable,
    parse_public_key,
    parse_signature,
    verify,
)
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.content import known_narinfos

_SITE = "see which keys the site says: gfattach site show"
_REFUSES = "Nix refuses every path of the cache that is not content-addressed, and builds it here"


def _signature(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    try:
        keys = [parse_public_key(text) for text in inquiry.subject.public_keys]
    except FormatError as error:
        return fail(
            "substituter.signature.key-malformed",
            f"a configured key cannot be used: {error.fact}",
            "Nix ends with an error on such a key, whatever it is asked to do",
            "a public key is NAME:BASE64, as nix-store --generate-binary-cache-key writes it",
            _SITE,
        )
    infos = known_narinfos(inquiry)
    if not infos:
        return skip("substituter.signature.nothing", "not asked: the cache has nothing that could be signed")
    if not keys:
        return warn(
            "substituter.signature.no-keys",
            "no public key is configured for this cache",
            f"{_REFUSES}, unless the key is trusted elsewhere",
            "ask the operator for it, and write it in gfattach.toml: nix.public_keys",
            signers=_names(infos[0]),
        )
    # The first is the signed path, where there is one: the one that can prove the key.
    return _judged(infos[0], keys)


def _names(info: NarInfo) -> list[str]:
    return [text.partition(":")[0] for text in info.signatures]


def _judged(info: NarInfo, keys: list[PublicKey]) -> Finding:
    path = info.store_path
    if info.content_address is not None and not info.content_addressed:
        return fail(
            "substituter.signature.content-address",
            f"{path} says that it is content-addressed, and its content address leads elsewhere",
            "Nix does not take it for content-addressed, and warns of it",
            "operator: remove the path from the cache and push it again",
        )
    message = fingerprint(info)
    signatures: list[Signature] = []
    malformed = ""
    known = {key.name for key in keys}
    for text in info.signatures:
        try:
            signatures.append(parse_signature(text))
        except FormatError as error:
            malformed = error.fact
            if text.partition(":")[0] in known:
                # Nix reads every signature by a name that it knows, though another were good.
                return _malformed(info, malformed, "Nix ends with an error, whoever else has signed the path")
    # Of several keys of one name Nix goes by the first.
    first = {key.name: key for key in reversed(keys)}
    for signature in signatures:
        if signature.name in known and verify(first[signature.name], message, signature):
            return _unreadable(info) or _trusted(info, first[signature.name])
    for signature in signatures:
        for key in keys:
            if key.name == signature.name and verify(key, message, signature):
                return fail(
                    "substituter.signature.key-hidden",
                    f"{path} is signed by {key}, and another key of that name is configured before it",
                    f"of two keys of one name Nix goes by the first: {_REFUSES[0].lower()}{_REFUSES[1:]}",
                    f"take the old one out, in gfattach.toml: nix.public_keys, {first[key.name]}",
                    _SITE,
                )
    for signature in signatures:
        if signature.name in known:
            return fail(
                "substituter.signature.wrong-key",
                f"{path} is signed by another key than the one that is configured as {signature.name}",
                _REFUSES,
                f"ask the operator for the public key that belongs to {signature.name} now",
                _SITE,
            )
        for key in keys:
            if verify(key, message, signature):
                return fail(
                    "substituter.signature.key-name",
                    f"{path} is signed by the configured key under the name {signature.name}, not {key.name}",
                    f"Nix looks keys up by name: {_REFUSES[0].lower()}{_REFUSES[1:]}",
                    f"write {PublicKey(signature.name, key.raw)} in gfattach.toml: nix.public_keys",
                )
    if info.content_addressed:
        names = ", ".join(_names(info))
        how = f"signed by {names}, unknown here" if names else "unsigned"
        # A cache signs what it holds by one key: its other paths are likely to be refused.
        option = f"--public-key {word(names)}:BASE64"
        ask = f"if it is the cache's key, ask the operator for it: gfattach up {option}"
        return warn(
            "substituter.signature.unproved",
            f"{path} is content-addressed and {how}",
            "Nix takes it as it is: it proves that paths can be fetched, and says nothing of the key",
            *([ask] if names and len(info.signatures) == 1 else []),
            "operator: publish one input-addressed path, and name it in gfattach.toml: nix.signed_path",
            path=str(path),
        )
    return _untrusted(info, signatures, malformed)


def _unreadable(info: NarInfo) -> Finding | None:
    """The finding for a signature of anybody's that newer Nixes end at, beside one that is good."""
    for text in info.signatures:
        if not is_readable(text):
            return warn(
                "substituter.signature.unreadable",
                f"{info.store_path} is signed as configured, and has a line Sig: {text[:80]!r} as well",
                "Nix 2.34 reads every signature of a path and ends at one that is none, whoever else signed; "
                "2.8 and 2.26 pass over it",
                f"operator: sign it anew: nix store sign --key-file FILE {word(str(info.store_path))}",
            )
    return None


def _trusted(info: NarInfo, key: PublicKey) -> Finding:
    more = " (content-addressed: Nix would take it unsigned too)" if info.content_addressed else ""
    return ok(
        "substituter.signature.ok",
        f"{info.store_path} is signed by {key.name}, as configured{more}",
        key=key.name,
        path=str(info.store_path),
    )


def _untrusted(info: NarInfo, signatures: list[Signature], malformed: str) -> Finding:
    path = info.store_path
    if signatures:
        names = ", ".join(signature.name for signature in signatures)
        return fail(
            "substituter.signature.unknown-key",
            f"{path} is signed by {names}, which is not among the configured keys",
            _REFUSES,
            "ask the operator for its public key, and write it in gfattach.toml: nix.public_keys",
            _SITE,
            signers=[signature.name for signature in signatures],
        )
    if malformed:
        return _malformed(info, malformed, _REFUSES)
    return fail(
        "substituter.signature.unsigned",
        f"{path} is not signed",
        _REFUSES,
        f"operator: sign it and push it again: nix store sign --key-file FILE {word(str(path))}",
        "Attic signs by itself, once the cache has a key: attic cache info CACHE",
    )


def _malformed(info: NarInfo, reason: str, why: str) -> Finding:
    return fail(
        "substituter.signature.malformed",
        f"a signature of {info.store_path} cannot be read: {reason}",
        why,
        f"operator: sign it again: nix store sign --key-file FILE {word(str(info.store_path))}",
    )


SIGNATURE = Probe(
    name="substituter.signature",
    question="is it signed by a key that is configured",
    ask=_signature,
    codes={
        "substituter.signature.ok": "signed by a configured key",
        "substituter.signature.nothing": "there is nothing whose signature could be seen",
        "substituter.signature.no-keys": "no public key is configured",
        "substituter.signature.key-malformed": "a configured key is not a public key",
        "substituter.signature.unproved": "content-addressed, and not signed by a configured key: shows the "
        "transport and nothing of the key",
        "substituter.signature.unsigned": "input-addressed and not signed",
        "substituter.signature.malformed": "a signature by a known name, or the only one, is none",
        "substituter.signature.unreadable": "beside a good signature one that Nix 2.34 ends at",
        "substituter.signature.unknown-key": "signed only by keys that are not configured",
        "substituter.signature.wrong-key": "the key of that name is another than the configured one",
        "substituter.signature.key-hidden": "the key that signs is configured behind another of its name",
        "substituter.signature.key-name": "the configured key signs under another name",
        "substituter.signature.content-address": "the content address does not lead to the path",
    },
    needs=("substituter.narinfo",),
)
