"""The BMI270's program out of a user's file. Bosch's own is not part of this project: another stands for it."""

import hashlib

import pytest

from tinyrig.core.errors import UserError
from tinyrig.live.program.bmi270 import program_source

PROGRAM = bytes((7 * i + i // 256) % 256 for i in range(8192))
SHA256 = hashlib.sha256(PROGRAM).hexdigest()
NUMBERS = ", ".join(f"0x{b:02x}" for b in PROGRAM)


def written(text):
    return bytes(int(word) for word in text[text.rindex("{") + 1 : text.rindex("}")].split(","))


@pytest.mark.parametrize(
    "content",
    [
        PROGRAM,
        f"const uint8_t bmi270_config_file[] = {{ {NUMBERS} }};".encode(),
        f"/* {{1}} */ int n[] = {{1, 2}};\n// = {{ }}\nconst uint8_t p[8192] = {{\n{NUMBERS},\n}}; int z[] = {{3}};".encode(),
        ("x = {" + ",".join(map(str, PROGRAM)) + "};").encode(),
    ],
)
def test_binary_and_c(tmp_path, content):
    file = tmp_path / "bmi270.c"
    file.write_bytes(content)
    assert written(program_source(str(file), SHA256)) == PROGRAM


@pytest.mark.parametrize(
    "content",
    [b"", PROGRAM[:-1], PROGRAM + b"\0", f"x = {{ {NUMBERS}, 0x01 }};".encode(), f"x={{{NUMBERS}}};y={{{NUMBERS}}};".encode()],
)
def test_what_is_no_program(tmp_path, content):
    file = tmp_path / "bmi270.c"
    file.write_bytes(content)
    with pytest.raises(UserError, match="no program for the BMI270"):
        program_source(str(file), SHA256)


def test_another_program_is_refused_unless_it_is_named(tmp_path):
    file = tmp_path / "program.bin"
    file.write_bytes(PROGRAM)
    with pytest.raises(UserError, match="another program") as error:
        program_source(str(file), "")
    assert SHA256 in str(error.value)


@pytest.mark.parametrize("file", ["", "/nowhere/bmi270.c"])
def test_without_a_file_it_says_where_to_get_it(file):
    with pytest.raises(UserError) as error:
        program_source(file, "")
    assert "github.com/boschsensortec/BMI270_SensorAPI" in str(error.value)
