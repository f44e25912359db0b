"""The pictures of docs/benchmarks.md: the stages of the first hit, and the growth. SVG, drawn by
matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Growth, Results, Timeline


def draw(record: Mapping[str, Any], directory: Path) -> dict[str, list[str]]:
    """Draw what there is to draw into `directory`; the files, as docs/ names them, by the benchmark's
    name.
    """
    drawn: dict[str, list[str]] = {}
    for name, entry in record.items():
        results = Results.from_json(entry["results"])
        if results.timelines:
            drawn.setdefault(name, []).append(_stages(results.timelines, directory / f"{name}-stages.svg"))
        if results.growth:
            drawn.setdefault(name, []).append(_growth(results.growth, directory / f"{name}.svg"))
    return drawn


def _plots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A picture with so many plots, and nothing in it that differs from run to run."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text: it is small, it can be searched, and the reader's fonts are used.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gfattach", "font.size": 9})
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def _save(figure: Any, file: Path) -> str:
    from matplotlib import pyplot

    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
    return f"{file.parent.name}/{file.name}"


def _stages(timelines: Sequence[Timeline], file: Path) -> str:
    figure, plots = _plots(1, 1, (9, 1.0 + 0.75 * len(timelines)))
    plot = plots[0][0]
    for row, line in enumerate(reversed(timelines)):
        for number, (name, begun, seconds) in enumerate(line.stages):
            plot.barh(row, seconds, left=begun, height=0.38, color=f"C{number % 10}", edgecolor="white")
            if seconds > 0.04 * max(begun + taken for each in timelines for _, begun, taken in each.stages):
                plot.text(begun + seconds / 2, row, name, ha="center", va="center", fontsize=7)
        for name, begun, seconds in line.beside:
            plot.barh(row - 0.32, seconds, left=begun, height=0.18, color="lightgrey", edgecolor="grey")
            plot.text(begun + 0.02, row - 0.32, name, va="center", fontsize=6)
        if line.first_hit is not None:
            plot.plot([line.first_hit] * 2, [row - 0.25, row + 0.28], color="black", linewidth=1.5)
    plot.set_yticks(range(len(timelines)), [line.name for line in reversed(timelines)])
    plot.set_xlabel("seconds; a black line is the first hit, grey went on beside the stages")
    return _save(figure, file)


def _growth(growths: Sequence[Growth], file: Path) -> str:
    columns = min(3, len(growths))
    rows = -(-len(growths) // columns)
    figure, plots = _plots(rows, columns, (3.3 * columns, 2.6 * rows))
    for number in range(rows * columns):
        plot = plots[number // columns][number % columns]
        if number >= len(growths):
            plot.set_axis_off()
            continue
        growth = growths[number]
        numbers, costs = zip(*sorted(growth.points), strict=True)
        plot.loglog(numbers, costs, "o-")
        linear = [costs[0] + (costs[-1] - costs[0]) * each / numbers[-1] for each in numbers]
        plot.loglog(numbers, linear, ":", color="grey")
        plot.set_title(f"{growth.name}: power {growth.power:.2f}", fontsize=8)
        plot.set_ylabel(growth.unit)
    return _save(figure, file)
