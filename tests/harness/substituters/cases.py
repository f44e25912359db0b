"""Every code of the stage "substituter", with the cache that earns it; here Attic, tokens and stores."""

import base64
import json
import time

from msgspec.structs import replace

from tests.harness.substituters.binary_caches import OTHER_KEY, answer
from tests.harness.substituters.cases_content import CONTENT, SIGNATURE
from tests.harness.substituters.cases_reach import PROTOCOL, REACH
from tests.harness.substituters.stage import SAME_KEY_OTHER_NAME, TRUSTED

# Attic.

CONFIG = "/_api/v1/cache-config/main"


def attic_says(rig, keys=(TRUSTED,), **config):
    """A cache below /main, and what its Attic says of it: a public cache, unless it says otherwise."""
    routes = {path if path == CONFIG else f"/main{path}": reply for path, reply in rig.good().items()}
    said = {"public_key": TRUSTED, "is_public": True, "store_dir": "/nix/store", "priority": 41, **config}
    routes[CONFIG] = answer(json.dumps(said).encode(), kind="application/json")
    target = rig.cache(routes, public_keys=keys)
    return replace(target, endpoint=replace(target.endpoint, path="/main"))


def _elsewhere(rig):
    """The address of a cache that is not on this machine, asked through a proxy."""
    target = attic_says(rig, substituter_endpoint="https://cache.example/main")
    rig.proxied(target.endpoint.url.removesuffix("/main"))
    return replace(target, endpoint=replace(target.endpoint, host="cache.invalid", port=80))


def _attic_broken(rig):
    target = attic_says(rig)
    routes = {f"/main{path}": reply for path, reply in rig.good().items()} | {CONFIG: answer(b"", 503)}
    return replace(target, endpoint=replace(rig.cache(routes).endpoint, path="/main"))


def token(rights=None, lasts: float = 3600.0):
    """A token as Attic makes them, with nobody's signature."""
    claim = {"https://jwt.attic.rs/v1": {"caches": {"*": rights or {}}}, "exp": time.time() + lasts}
    parts = ({"alg": "HS256", "typ": "JWT"}, claim)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*texts, "c2ln"))


def _with_token(text: str):
    return lambda rig: rig.cache(rig.good(), headers=(("Authorization", f"Bearer {text}"),))


ATTIC = {
    "substituter.attic.ok": attic_says,
    "substituter.attic.other": lambda rig: rig.cache(rig.good()),
    "substituter.attic.unset": lambda rig: attic_says(rig, keys=()),
    "substituter.attic.key": lambda rig: attic_says(rig, public_key=str(OTHER_KEY.public_key)),
    "substituter.attic.key-name": lambda rig: attic_says(rig, public_key=SAME_KEY_OTHER_NAME),
    "substituter.attic.endpoint": _elsewhere,
    "substituter.attic.unanswered": _attic_broken,
}
TOKEN = {
    "substituter.token.none": lambda rig: rig.cache(rig.good()),
    "substituter.token.ok": _with_token(token({"r": 1})),
    "substituter.token.opaque": _with_token("s3cret"),
    "substituter.token.expired": _with_token(token({"r": 1}, lasts=-86400 * 3)),
    "substituter.token.writes": _with_token(token({"r": 1, "w": 1})),
    "substituter.token.rights": _with_token(token()),
}
STORE = {
    "substituter.store.unsaid": lambda rig: rig.cache(rig.good()),
    "substituter.store.ok": lambda rig: rig.cache(rig.good(), object_store="durable"),
    "substituter.store.interim": lambda rig: rig.cache(rig.good(), object_store="interim_only"),
}

CASES = {**REACH, **PROTOCOL, **CONTENT, **SIGNATURE, **ATTIC, **TOKEN, **STORE}
