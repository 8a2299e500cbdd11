"""Generated C and our own kernels build without a warning or not at all; what a user brings may have warnings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import HostError
from tinyrig.core.records import CompiledModel
from tinyrig.tests.small_models import dense_int8
from tinyrig.workload import host_build
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.image import build_image

SPOILT = {
    "a store": "static const int x[2] = {1, 2};\nvoid store(void);\nvoid store(void) {\n    x[0] = 3;\n}\n",
    "a cast": "static const int x[2] = {1, 2};\nint *cast(void);\nint *cast(void) {\n    return (int *)x;\n}\n",
    "a pointer": "static const int x[2] = {1, 2};\nint *pass(void);\nint *pass(void) {\n    return x;\n}\n",
    "a place outside": "int beyond(void);\nint beyond(void) {\n    int x[2] = {1, 2};\n    return x[5];\n}\n",
}


def with_text(more: str) -> CompiledModel:
    board = BOARDS["virtual"]
    model = compile_model(dense_int8(), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, engine="portable")
    return dataclasses.replace(model, sources={"model.c": model.sources["model.c"] + more})


@pytest.mark.parametrize("what", ["a store", "a cast", "a pointer"])
def test_a_way_into_a_constant_does_not_build_for_the_host(what: str) -> None:
    model = with_text(SPOILT[what])
    for build in (lambda: HostModel(model), lambda: run_sanitized(model, [])):
        with pytest.raises(HostError, match="C compiler failed") as e:
            build()
        assert "-Werror" in e.value.received or "read-only" in e.value.received


@pytest.mark.parametrize("what", SPOILT)
def test_a_way_into_a_constant_does_not_build_for_the_board(what: str, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"model\.c does not compile"):
        build_image(with_text(SPOILT[what]), BOARDS["virtual"], tmp_path)


def test_warnings_of_other_peoples_sources_are_theirs(tmp_path: Path) -> None:
    source = tmp_path / "theirs.c"
    source.write_text(SPOILT["a cast"])
    model = dataclasses.replace(with_text(""), extra_sources=(source,))
    HostModel(model)
    assert build_image(model, BOARDS["virtual"], tmp_path / "build").footprint.flash_engine > 0


def test_what_another_compiler_has_built_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cc` stays `cc` after an upgrade."""
    before = host_build._cached(".o", b"source", "-O2")
    assert host_build._cached(".o", b"source", "-O2") == before
    assert host_build._cc_version().strip()
    monkeypatch.setattr(host_build, "_cc_version", lambda: "cc 99.1")
    assert host_build._cached(".o", b"source", "-O2") != before
