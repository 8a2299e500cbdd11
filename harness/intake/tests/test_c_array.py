"""C arrays as projects keep them."""

import numpy as np
import pytest

from tinyrig.core.errors import ModelError
from tinyrig.intake.c_array import looks_like_c, model_in

MODEL = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) + b"\xff" * 7
HEX = ", ".join(f"0x{b:02x}" for b in MODEL)
DECIMAL = ",\n  ".join(str(b) for b in MODEL)
SIGNED = ",".join(str(v) for v in np.frombuffer(MODEL, np.int8))
WORDS = ",".join(f"0x{int(w):08x}u" for w in np.frombuffer(MODEL + b"\0", np.uint32))
OTHER = "0x01, 0x02, 0x03, 0x04, 5, 6, 7, 8, 9"

FORMS = {
    "xxd": f"unsigned char model_tflite[] = {{\n  {HEX}\n}};\nunsigned int model_tflite_len = {len(MODEL)};\n",
    "TFLM": f'#include "model.h"\nalignas(16) const unsigned char g_model[] = {{{HEX}}};\nconst int g_len = {len(MODEL)};',
    "attribute": f"const unsigned char g_model[] __attribute__((aligned(4))) = {{{HEX}}};",
    "macro": f"#define ALIGN __attribute__((aligned(4)))\nconst uint8_t g_model[] ALIGN = {{{HEX},}};",
    "length": f"static const uint8_t model[{len(MODEL)}] = {{{HEX}}};",
    "decimal": f"const unsigned char g_model[] = {{\n  {DECIMAL}\n}};",
    "signed": f"const signed char g_model[] = {{{SIGNED}}};",
    "octal and suffix": "const char m[] = {" + ",".join(f"0{b:o}U" for b in MODEL) + "};",
    "words": f"const uint32_t g_model[] = {{{WORDS}}};",
    "std::array": f"constexpr std::array<uint8_t, {len(MODEL)}> kModel = {{{{{HEX}}}}};",
    "namespace": f"namespace app {{\nextern const unsigned char m[];\nconst unsigned char m[] = {{{HEX}}};\n}}  // namespace",
    "comments": f"/* model = {{1, 2}}; */\nconst unsigned char m[] = {{ // begin\n{HEX} /* end */ }};",
    "several": f"const unsigned char yes[] = {{{OTHER}}};\nconst float f[] = {{1.5f, 2}};\nconst unsigned char m[] = {{{HEX}}};",
    "twice the same": f"#ifdef A\nconst unsigned char m[] = {{{HEX}}};\n#else\nconst uint8_t PROGMEM m2[] = {{{HEX}}};\n#endif",
}


@pytest.mark.parametrize("form", FORMS)
def test_an_array_is_read_as_the_model(form: str) -> None:
    text = FORMS[form].encode()
    assert looks_like_c(text)
    assert model_in(text, "model.cc")[: len(MODEL)] == MODEL


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extern const unsigned char g_model[];\nextern const int g_model_len;", "declares the array g_model"),
        (f"const unsigned char image[] = {{{OTHER}}};", "arrays image"),
        ("int main(void) { char c = 1; return 0; }", "no array of numbers"),
        (f"const unsigned char a[] = {{{HEX}}};\nconst unsigned char b[] = {{{HEX}, 1}};", "holds 2 models"),
        (f"const unsigned char m[] = {{{HEX[:200]}", "no array of numbers"),
        (f"const unsigned char m[] = {{{HEX}, 256}};", "no array of numbers"),
        (f"const unsigned char m[] = {{{HEX}, X}};", "no array of numbers"),
    ],
)
def test_c_source_without_one_model_says_why(text: str, told: str) -> None:
    with pytest.raises(ModelError) as e:
        model_in(text.encode(), "model.cc")
    assert told in str(e.value)
