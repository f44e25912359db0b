"""The sentence of what a proof does not prove, composed from the manifest's boundary."""

from __future__ import annotations


def not_proved(label: str, boundary: str, platform: str, *, workers_seen: bool) -> str:
    """One paragraph: the proof's reach, then the class's boundary word for word."""
    said = [
        f"This proves that {label} was executed remotely in this one run, on {platform}.",
        "It proves nothing of another target, be it a neighbour, of a later run, or of another platform.",
    ]
    if not workers_seen:
        said.append("The workers were not looked at: nothing is said of their image or of their restarts.")
    return " ".join([*said, boundary.strip()])
