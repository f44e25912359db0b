"""The rights that `gfattach queue` asks for, as manifests: `viewer.yaml`."""

from __future__ import annotations


def manifests(runners: str = "arc-runners", controllers: str = "arc-systems") -> str:
    """The manifests, for runners and controllers in these namespaces."""
    from importlib.resources import files

    text = files(__name__).joinpath("viewer.yaml").read_text(encoding="utf-8")
    places = {"arc-runners": runners, "arc-systems": controllers}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        name = line.removeprefix("  namespace: ")
        if name != line and name in places:
            lines[number] = f"  namespace: {places[name]}"
    return "\n".join(lines) + "\n"
