"""The picture of the glove's wiring is what its script draws, and the script what the driver does."""

import re
import xml.etree.ElementTree as ET

from tinyrig.places.installed import FIRMWARE
from tinyrig.tests import wiring
from tinyrig.virtual.sensors.glove import FORCE_INPUTS

AIN = {"P0.02": 0, "P0.03": 1, "P0.04": 2, "P0.05": 3, "P0.28": 4, "P0.29": 5, "P0.30": 6, "P0.31": 7}
"""nRF52840 Product Specification v1.7, pin assignments."""


def test_the_picture_is_what_the_script_draws():
    drawn = wiring.drawing()
    ET.fromstring(drawn)
    assert wiring.FILE.read_text("utf-8") == drawn, "python -m tinyrig.tests.wiring draws it again"


def test_pins_are_the_drivers():
    header = table(r"force_inputs\[FINGERS\]", "glove.c")
    of_header = table(r"ain\[\]", "nrf52840.c")
    inputs = tuple(of_header[pin] for pin in header)
    assert inputs == FORCE_INPUTS == tuple(AIN[pin.split()[1]] for pin in wiring.FORCE_PINS)
    assert [f"A{pin}" for pin in header] == [pin.split()[0] for pin in wiring.FORCE_PINS]


def table(name, file):
    """The numbers of an array in a file of firmware/sensors."""
    found = re.search(name + r" = \{([\d, ]+)\}", (FIRMWARE / "sensors" / file).read_text())
    return tuple(map(int, found.group(1).split(",")))
