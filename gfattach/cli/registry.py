"""The registry of commands: a line each, in the order in which help lists them. A command is a folder."""

from __future__ import annotations

from typing import NamedTuple


class Registered(NamedTuple):
    """A command: the module of its folder, the click command there, and what it does in one line.

    A tuple, as `--help` and `--version` need nothing else of what makes a Struct.
    """

    module: str
    attribute: str
    about: str


def _in(folder: str, about: str, attribute: str = "") -> Registered:
    return Registered(f"gfattach.cli.{folder}.command", attribute or folder, about)


COMMANDS: dict[str, Registered] = {
    "up": _in("up", "attach: probe, write the fragments, prove a hit"),
    "status": _in("status", "what is attached, and is it healthy now"),
    "logs": _in("logs", "what the agent, the process that holds the forwards, has logged"),
    "down": _in("down", "undo everything that up did, byte for byte"),
    "doctor": _in("doctor", "ask everything, attached or not, and put the cause first"),
    "prove": _in("prove", "time to first cache hit, with evidence"),
    "site": _in("site", "show, check, publish and warm the site that is attached to"),
    "rbe": _in("rbe", "remote execution: may a target, was it, and what does that prove"),
    "contract": _in("contract", "what the environment contract says of this shell"),
    "bazel": _in("bazel", "Bazel with the attachment's rc and the contract applied"),
    "inputs": _in("inputs", "external inputs: list, cover, prove offline"),
    "env": _in("env", "the environment contract, to eval, for direnv, or as a file"),
    "exec": _in("env", "run a command in the attached environment", "exec_"),
    "consumer-env": _in("env", "write the environment of an enrolment profile", "consumer_env"),
    "queue": _in("queue", "why is a CI job queued: who holds the label, what keeps it"),
    "credential": _in("credential", "store, check and forget tokens; Bazel's helper"),
    "notes": _in("notes", "compare recorded runs: faster, slower, fixed, new"),
    "help": _in("help", "of a command, or a topic: exit-codes, site, codes", "help_"),
}
