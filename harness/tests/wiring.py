"""`python -m tinyrig.tests.wiring`: draws docs/img/glove.svg, how the glove of docs/live.md is wired."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from tinyrig.live.sensors import FINGERS

FILE = Path(__file__).resolve().parents[2] / "docs" / "img" / "glove.svg"
FORCE_PINS = ("A0 P0.04", "A1 P0.05", "A2 P0.30", "A3 P0.29", "A6 P0.28")
"""In the order of the fingers, as firmware/sensors/glove.c has their pins; AIN2, 3, 6, 5, 4 of the chip."""
_ROW, _TOP = 74, 60
SMALL = ' class="s"'
_STYLE = "text{font:13px sans-serif}.s{font-size:11px;fill:#555}rect{fill:#f4f6f8;stroke:#333}line,path{stroke:#333;fill:none}"


def box(x: int, y: int, wide: int, high: int, *words: str) -> str:
    lines = "".join(
        f'<text x="{x + wide / 2:g}" y="{y + 18 + 15 * i}" text-anchor="middle"{SMALL if i else ""}>{escape(word)}</text>'
        for i, word in enumerate(words)
    )
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="4"/>{lines}'


def line(*points: tuple[int, int]) -> str:
    return '<path d="M' + " L".join(f"{x} {y}" for x, y in points) + '"/>'


def label(x: int, y: int, word: str) -> str:
    return f'<text x="{x}" y="{y}" class="s">{escape(word)}</text>'


def finger(n: int) -> str:
    """One row: its MPU-6050 on a bus of the multiplexer, its force sensor on an input of the board."""
    y, name = _TOP + n * _ROW, FINGERS[n]
    parts = [
        line((470, y + 22), (520, y + 22)),
        label(474, y + 17, f"bus {n}"),
        box(520, y, 150, 44, f"MPU-6050 {name}", "0x68, AD0 to GND"),
        line((700, y + 4), (700, y + 12)),
        label(706, y + 9, "3.3 V"),
        box(690, y + 12, 150, 26, f"FSR {name} || 1M"),
        line((700, y + 38), (700, y + 54)),
        label(706, y + 53, f"to {FORCE_PINS[n]}; 10k to GND"),
    ]
    return "".join(parts)


def drawing() -> str:
    high = _TOP + len(FINGERS) * _ROW
    parts = [
        box(20, _TOP, 190, high - _TOP - 30, "Arduino Nano 33 BLE", "SDA A4 P0.31", "SCL A5 P0.02", *FORCE_PINS, "3.3 V", "GND"),
        box(330, _TOP, 140, high - _TOP - 30, "TCA9548A", "0x70", "A0 A1 A2 to GND", "VCC 3.3 V", "RESET 3.3 V"),
        line((210, _TOP + 40), (330, _TOP + 40)),
        label(216, _TOP + 35, "SDA, 4.7k to 3.3 V"),
        line((210, _TOP + 70), (330, _TOP + 70)),
        label(216, _TOP + 65, "SCL, 4.7k to 3.3 V"),
        *(finger(n) for n in range(len(FINGERS))),
        '<text x="20" y="34">Glove: five MPU-6050 behind a TCA9548A, five force-sensitive resistors (FSR)</text>',
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {high}" role="img" aria-label="wiring of the glove">'
    return (
        f'{head}<style>{_STYLE}</style><rect width="900" height="{high}" style="fill:#fff;stroke:none"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    FILE.write_text(drawing(), encoding="utf-8")
