"""Curves as SVG, without a library for plots: points, lines, axes and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from livebed.bench.curves import Curve

__all__ = ["nice_step", "write_plots"]

WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 74, 44
COLOURS = ("#0b63b5", "#d1590a", "#2c8a3d", "#8a2c7f")
Point = tuple[float, float]

LOGARITHMIC_FROM = 20
"""An axis that spans more than so many times its first value has logarithmic steps."""


def write_plots(curves: Sequence[Curve], folder: Path) -> list[Path]:
    """Write one file for each curve; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for curve in curves:
        file = folder / f"{curve.name}.svg"
        file.write_bytes(ElementTree.tostring(draw(curve)) + b"\n")
        files.append(file)
    return files


def draw(curve: Curve) -> ElementTree.Element:
    """Return the picture of a curve."""
    picture = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}"},
        width=str(WIDTH),
        height=str(HEIGHT),
    )
    picture.set("font-family", "sans-serif")
    picture.set("font-size", "11")
    ElementTree.SubElement(picture, "rect", width="100%", height="100%", fill="white")
    points = [point for series in curve.series for point in series.points]
    xs = sorted({x for x, _ in points})
    step = nice_step(max(y for _, y in points))
    top = step * math.ceil(max(y for _, y in points) / step)
    is_logarithmic = not curve.is_linear and xs[-1] > LOGARITHMIC_FROM * (xs[0] or 1)

    def place_x(x: float) -> float:
        low, high, here = (math.log10(each + 1) if is_logarithmic else each for each in (xs[0], xs[-1], x))
        return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * (here - low) / (high - low or 1)

    def place_y(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top

    for number in range(round(top / step) + 1):
        y = place_y(number * step)
        line(picture, [(LEFT, y), (WIDTH - RIGHT, y)], "#ddd", 1)
        text(picture, LEFT - 6, y + 4, f"{number * step:,g}", "end")
    shown = -math.inf
    for x in xs:
        if place_x(x) - shown > 46:  # labels do not overlap
            shown = place_x(x)
            text(picture, shown, HEIGHT - BOTTOM + 16, f"{x:,g}")
    text(picture, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, curve.x)
    text(picture, 8, 16, curve.y, "start")
    for number, (series, colour) in enumerate(zip(curve.series, COLOURS, strict=False)):
        placed = [(place_x(x), place_y(y)) for x, y in series.points]
        line(picture, placed, colour, 2)
        for x, y in placed:
            ElementTree.SubElement(picture, "circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", fill=colour)
        left, y = 8 + number % 2 * (WIDTH / 2), 34 + number // 2 * 16
        ElementTree.SubElement(picture, "circle", cx=f"{left + 4}", cy=f"{y - 4}", r="4", fill=colour)
        text(picture, left + 14, y, series.label, "start")
    return picture


def nice_step(top: float) -> float:
    """Return the distance of lines of which some five fit below `top`: 1, 2 or 5 with zeros."""
    power = 10.0 ** math.floor(math.log10(top / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= top)


def line(
    picture: ElementTree.Element, points: Sequence[tuple[float, float]], colour: str, width: int
) -> None:
    """Draw a line through points."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = ElementTree.SubElement(picture, "polyline", points=joined, fill="none", stroke=colour)
    drawn.set("stroke-width", str(width))


def text(picture: ElementTree.Element, x: float, y: float, words: str, anchor: str = "middle") -> None:
    """Write words."""
    written = ElementTree.SubElement(picture, "text", x=f"{x:.1f}", y=f"{y:.1f}", fill="#222")
    written.set("text-anchor", anchor)
    written.text = words
