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
    found = re.search(r"force_inputs\[FINGERS\] = \{([\d, ]+)\}", (FIRMWARE / "sensors" / "glove.c").read_text())
    inputs = tuple(map(int, found.group(1).split(",")))
    assert inputs == FORCE_INPUTS == tuple(AIN[pin.split()[1]] for pin in wiring.FORCE_PINS)
