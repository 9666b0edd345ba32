"""Plots as SVG: two sets of logarithmic axes beside each other, readable in light and in dark.

On such axes what grows in proportion is a straight line at 45 degrees, and what stays is flat.
"""

import math

WIDTH, HEIGHT = 340, 250
LEFT, TOP, GAP = 74, 56, 96

# The colours of lines, in light and in dark: told apart by those who see no red or green, too.
COLORS = [
    ("#0b5fff", "#6ea8ff"),
    ("#00847e", "#3fd0c9"),
    ("#7a3ff2", "#b79bff"),
    ("#c9360a", "#ff8a5c"),
    ("#b8860b", "#f2c14e"),
    ("#c2187a", "#ff7cc3"),
]
DASHES = {"own": "", "peer": "6 4"}

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #6e7781 }
"""
DARK = """
text { fill: #e6edf3 }
.page { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #8b949e }
"""


def style():
    light = "".join(f".c{i} {{ stroke: {c} }} .f{i} {{ fill: {c} }}\n" for i, (c, _) in enumerate(COLORS))
    dark = "".join(f".c{i} {{ stroke: {c} }} .f{i} {{ fill: {c} }}\n" for i, (_, c) in enumerate(COLORS))
    return f"<style>{STYLE}{light}@media (prefers-color-scheme: dark) {{{DARK}{dark}}}</style>"


def ticks(values):
    """Powers of ten around the values; every second or third where there are many."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    return [10.0**power for power in range(low, high + 1)]


def short(value, unit):
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")):
        if value >= factor * 0.999:
            return f"{value / factor:.3g} {prefix}{unit}".strip()
    return f"{value:.3g} {unit}"


class Panel:
    """One set of axes. `series` maps names to (kind, points)."""

    def __init__(self, left, title, across, unit, series):
        points = [point for _, line in series.values() for point in line]
        self.left, self.title, self.across, self.unit, self.series = left, title, across, unit, series
        self.xs, self.ys = ticks([x for x, _ in points]), ticks([y for _, y in points])

    def x(self, value):
        return self.left + WIDTH * share(value, self.xs)

    def y(self, value):
        return TOP + HEIGHT * (1 - share(value, self.ys))

    def draw(self):
        name, unit = self.across
        bottom, right = TOP + HEIGHT, self.left + WIDTH
        yield f'<text class="title" x="{self.left}" y="{TOP - 14}">{self.title}</text>'
        for tick in self.xs:
            x = self.x(tick)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{short(tick, unit)}</text>'
        for tick in self.ys:
            y = self.y(tick)
            yield f'<line class="grid" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{self.left - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick, self.unit)}</text>'
        yield f'<path class="axis" d="M{self.left},{TOP}V{bottom}H{right}" fill="none"/>'
        yield f'<text x="{self.left + WIDTH / 2}" y="{bottom + 38}" text-anchor="middle">{name}</text>'
        for index, (kind, points) in enumerate(self.series.values()):
            path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
            dash = f' stroke-dasharray="{DASHES[kind]}"' if DASHES[kind] else ""
            yield f'<polyline class="c{index}" points="{path}" fill="none" stroke-width="2"{dash}/>'
            for a, b in points:
                yield f'<circle class="f{index}" cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="3"/>'


def share(value, marks):
    low, high = math.log10(marks[0]), math.log10(marks[-1])
    return (math.log10(value) - low) / (high - low)


def legend(series, width):
    """Three names a row, below both axes."""
    top, column = TOP + HEIGHT + 62, width / 3
    for index, (name, (kind, _)) in enumerate(series.items()):
        x, y = 24 + column * (index % 3), top + 20 * (index // 3)
        dash = f' stroke-dasharray="{DASHES[kind]}"' if DASHES[kind] else ""
        yield f'<line class="c{index}" x1="{x:.0f}" x2="{x + 26:.0f}" y1="{y}" y2="{y}" stroke-width="2"{dash}/>'
        yield f'<text x="{x + 34:.0f}" y="{y + 4}">{name}</text>'


def plot(path, title, across, series, note):
    """Time, and peak memory beside it.

    `across` is the name and unit of what is varied; `series` maps a line's name to its kind (own or
    peer) and its points (x, seconds, bytes).
    """
    lines = {name: (kind, sorted(points)) for name, (kind, points) in series.items() if points}
    times = {name: (kind, [(x, t) for x, t, _ in points]) for name, (kind, points) in lines.items()}
    peaks = {name: (kind, [(x, m) for x, _, m in points]) for name, (kind, points) in lines.items()}
    width = 2 * (LEFT + WIDTH) + GAP - LEFT + 30
    height = TOP + HEIGHT + 74 + 20 * math.ceil(len(lines) / 3) + 22
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{title}</title>",
        style(),
        f'<rect class="page" width="{width}" height="{height}"/>',
        f'<text class="title" x="24" y="22">{title}</text>',
        *Panel(LEFT, "Time", across, "s", times).draw(),
        *Panel(LEFT + WIDTH + GAP, "Peak memory of the process", across, "B", peaks).draw(),
        *legend(lines, width - 24),
        f'<text x="24" y="{height - 10}">{note}</text>',
        "</svg>",
    ]
    path.write_text("\n".join(svg) + "\n")
