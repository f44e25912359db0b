"""The codes of findings on external inputs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "inputs.listed": "everything that the targets need from outside was seen",
        "inputs.incomplete": "Bazel ended before everything could be seen",
        "inputs.declared": "only what is declared was looked at: nothing was observed",
        "inputs.unreachable": "upstream does not give an input, or gives other bytes",
        "inputs.credential.url": "the URL of an input holds a credential",
        "inputs.covered": "how many inputs of the contract are covered",
        "inputs.missing": "nothing covers the input",
        "inputs.wrong-bytes": "a file of the input's name has other bytes: Bazel would pass over it",
        "inputs.collides": "the file of the input's name is another input's",
        "inputs.uncoverable": "no distdir can cover the input",
        "inputs.undeclared": "the workspace needs an input that the contract does not have",
        "inputs.unneeded": "the contract has an input that the workspace does not need any more",
        "inputs.same": "the contract is what the workspace needs",
        "inputs.fetched": "how many files were fetched, and how many were there",
        "inputs.fetch.wrong-bytes": "what came has another checksum",
        "inputs.fetch.unreachable": "no address gave the input",
        "inputs.fetch.stopped": "the fetch ended before the file was whole; what has come is kept",
        "inputs.fetch.failed": "the file could not be fetched, for a reason of this machine",
        "inputs.prove.namespace": "the proof ran in a network namespace of its own",
        "inputs.prove.proxy": "the proof ran behind a proxy that refuses: no namespace can be had",
        "inputs.prove.hole": "the build and the contract differ about an input",
        "inputs.prove.fetch": "Bazel went to the network",
        "inputs.prove.foreign": "the build takes inputs from elsewhere too",
        "inputs.prove.build": "the build failed without a network",
        "inputs.prove.control": "without one of the inputs the build fails, and asks for it",
        "inputs.prove.control-passed": "without one of the inputs the build does not fail for want of it",
        "inputs.prove.no-control": "there is no input that a control could take away",
        "inputs.proved": "the targets build from the declared inputs alone",
        "inputs.authority.durable": "a durable authority was verified for every input",
        "inputs.authority.none": "no durable authority was verified for every input",
        "inputs.authority.seen": "the place holds every input",
        "inputs.authority.lacks": "the place lacks inputs",
        "site.authority.allowed": "the store may be used in that role",
        "site.authority.unknown": "nothing says that the store is durable, and the role trusts it",
        "site.authority.none": "the site speaks of no store",
    }
)
