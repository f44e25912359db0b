"""The codes of findings that no probe gives: what a step of a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STEPS: Mapping[str, str] = MappingProxyType(
    {
        "site.direct": "the site says the address: no forward is needed",
        "site.service": "the Service in the cluster that is forwarded to",
        "site.none": "no Service of that kind is known, and the site asks for none",
        "site.profile.read": "what an operator published in the cluster was read",
        "site.profile.missing": "no operator has published anything there",
        "site.published": "the site was published in the cluster",
        "site.lint.good": "the site's file has no fault",
        "site.trusted": "a key, an authority or an address that the site has this machine trust",
        "site.changed.accepted": "the ConfigMap says otherwise than at the last attach: accepted",
        "site.allowed": "what the workspace's own files say was allowed",
        "attachment.earlier.undone": "an attachment of an earlier gfattach was undone",
        "trial.started": "the embedded caches were started",
        "trial.running": "the embedded caches serve",
        "trial.ended": "the embedded caches have ended",
        "trial.stopped": "the embedded caches were stopped",
        "agent.running": "the agent that holds the forwards runs",
        "agent.ended": "no agent runs where one should hold the forwards",
        "agent.hung": "the agent that holds the forwards runs and does not answer",
        "agent.released": "the agent holds nothing for this workspace any more",
        "agent.left": "the agent does not answer, and is left to the other attachments that use it",
        "forward.up": "the forward leads to what it should",
        "forward.down": "the forward is there, and what it leads to does not answer",
        "forward.foreign": "another user's process listens where a forward should",
        "forward.absent": "nothing listens where a forward should",
        "forward.unproved": "whose the forwards' ports are cannot be told on this system",
        "fragment.written": "the fragment of the configuration was written",
        "fragment.linked": "the workspace imports the fragment",
        "fragment.there": "the fragment is there",
        "fragment.missing": "the fragment is gone, and the attachment has it",
        "fragment.none": "the attachment has no fragment of that kind",
        "fragment.emptied": "the fragment is emptied while the substituter is away",
        "nix.netrc.path": "Nix could not be given the token: the path of its netrc cannot be included",
        "nix.netrc.no-address": "Nix could not be given the token: no loopback address for one forward alone",
        "credential.nix.found": "the substituter is asked with the token that is stored for it",
        "warm.nix": "nothing is published to a Nix cache: an operator does that",
        "undo.restored": "the file is again what it was, byte for byte",
        "undo.removed": "gfattach had made the file, and it is gone",
        "undo.untouched": "nothing had to be undone",
        "undo.block-removed": "the file was edited since: only gfattach's block was taken out",
        "undo.left": "the file was edited since, and nothing of gfattach's can be told apart in it",
        "undo.gone": "somebody has removed the file since, and it stays so",
        "undo.failed": "the file cannot be read or written now",
        "undo.done": "nothing of the attachment is left",
    }
)
