"""tflite-micro as an engine: what a tree must have, what of it is compiled; where TINYRIG_TFLM_DIR names a real one, a run."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.compiler.model.graph import read_graph
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.errors import ModelError, UserError
from tinyrig.tests import small_models
from tinyrig.tflm.engine import glue_text, tflm_engine
from tinyrig.tflm.library import Library
from tinyrig.tflm.tree import CMSIS, LITE, REFERENCE, RESOLVER, opened

RESOLVER_TEXT = """
  TfLiteStatus AddSoftmax(const TFLMRegistration& registration =
                              Register_SOFTMAX()) {
    return AddBuiltin(BuiltinOperator_SOFTMAX, registration, ParseSoftmax);
  }
  TfLiteStatus AddFullyConnected(
      const TFLMRegistration& registration = tflite::Register_FULLY_CONNECTED()) {
    return AddBuiltin(BuiltinOperator_FULLY_CONNECTED, registration,
                      ParseFullyConnected);
  }
"""
FILES = {
    RESOLVER: RESOLVER_TEXT,
    f"{LITE}/micro/micro_interpreter.cc": "",
    f"{LITE}/micro/micro_interpreter_test.cc": "",
    f"{LITE}/micro/debug_log.cc": "",
    f"{LITE}/micro/kernels/softmax.cc": "TFLMRegistration Register_SOFTMAX() {\n}\n",
    f"{LITE}/micro/kernels/softmax_common.cc": "",
    f"{LITE}/micro/kernels/fully_connected.cc": "TFLMRegistration Register_FULLY_CONNECTED() {\n}\n",
    f"{LITE}/micro/kernels/cmsis_nn/softmax.cc": "TFLMRegistration Register_SOFTMAX() {\n}\n",
    "third_party/flatbuffers/include/flatbuffers/flatbuffers.h": "",
    "third_party/gemmlowp/fixedpoint/fixedpoint.h": "",
    f"{LITE}/micro/tools/make/downloads/ruy/ruy/profiler/instrumentation.h": "",
    "third_party/cmsis_nn/Include/arm_nnfunctions.h": "",
    "third_party/cmsis_nn/Source/SoftmaxFunctions/arm_softmax_s8.c": "",
    "third_party/cmsis_nn/Source/SoftmaxFunctions/arm_softmax_f16.c": "float16_t half;\n",
    "third_party/cmsis_nn/Source/SoftmaxFunctions/arm_softmax_f32.c": "float32_t whole;\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_without_a_tree_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(small_models.dense_float())
    assert main(["engines", "--model", str(model), "--engine", "tflm"]) == 2
    assert "the engine tflm needs the sources of tflite-micro" in capsys.readouterr().err
    assert main(["engines", "--model", str(model), "--engine", "tflm-cmsis-nn", "--tflm-dir", str(tmp_path)]) == 2
    assert "is no checkout of tflite-micro" in capsys.readouterr().err


def test_operators_are_the_resolvers(folder: Path) -> None:
    tree = opened(str(folder), REFERENCE)
    assert [one.method for one in tree.wanted(["SOFTMAX", "FULLY_CONNECTED", "SOFTMAX"])] == ["AddFullyConnected", "AddSoftmax"]
    with pytest.raises(ModelError, match="no such operator") as caught:
        tree.wanted(["SOFTMAX", "GELU", "EXP"])
    assert caught.value.received == "EXP, GELU"


def test_only_what_the_model_needs_is_compiled(folder: Path) -> None:
    def names(engine: str) -> list[str]:
        tree = opened(str(folder), engine)
        return [str(p.relative_to(folder)) for p in tree.sources(tree.wanted(["SOFTMAX"]))]

    core, kernels = [f"{LITE}/micro/micro_interpreter.cc"], f"{LITE}/micro/kernels"
    assert names(REFERENCE) == [*core, f"{kernels}/softmax.cc", f"{kernels}/softmax_common.cc"]
    cmsis = "third_party/cmsis_nn/Source/SoftmaxFunctions/arm_softmax_s8.c"
    assert names(CMSIS) == [*core, f"{kernels}/cmsis_nn/softmax.cc", f"{kernels}/softmax_common.cc", cmsis]


@pytest.mark.parametrize("part", ["flatbuffers", "gemmlowp", "ruy", "cmsis_nn"])
def test_a_missing_third_party_is_named(part: str, folder: Path) -> None:
    for place in [p for p in folder.rglob(part) if p.is_dir() and p.parent.name in ("third_party", "downloads")]:
        shutil.rmtree(place)
    with pytest.raises(UserError, match=f"lacks {part}") as caught:
        opened(str(folder), CMSIS)
    assert "third_party_downloads" in caught.value.remedy


def test_another_tree_is_compiled_again(folder: Path) -> None:
    before = opened(str(folder), REFERENCE).digest
    assert opened(str(folder), REFERENCE).digest == before != opened(str(folder), CMSIS).digest
    (folder / LITE / "micro/micro_interpreter.cc").write_text("int changed;\n")
    assert opened(str(folder), REFERENCE).digest != before


def test_a_source_that_does_not_compile_is_the_users(folder: Path, tmp_path: Path) -> None:
    source = folder / LITE / "micro/kernels/softmax.cc"
    source.write_text("#error an older tree\n")
    library = Library.of(opened(str(folder), REFERENCE), BOARDS["virtual"], tmp_path / "build", 60.0)
    with pytest.raises(UserError, match=r"softmax\.cc of tflite-micro does not compile") as caught:
        library.compile(source, tmp_path / "softmax.o")
    assert "an older tree" in caught.value.received and not (tmp_path / "softmax.o").exists()


def test_the_glue_adds_each_operator_and_leaves_no_gap(folder: Path) -> None:
    tree, graph = opened(str(folder), REFERENCE), read_graph(small_models.dense_float())
    operators = tree.wanted(op.code for op in graph.ops)
    final, probe = (glue_text(REFERENCE, operators, graph, 4096, recording) for recording in (False, True))
    for text in (final, probe):
        assert "@" not in text and "resolver.AddFullyConnected()" in text and "arena[4096]" in text
    assert "RecordingMicroInterpreter" in probe and "Recording" not in final


def test_a_sketch_can_not_hold_it(folder: Path) -> None:
    with pytest.raises(UserError, match="can't be built for nano33ble"):
        tflm_engine(small_models.dense_float(), REFERENCE, BOARDS["nano33ble"], replace(Config(), tflm_dir=str(folder)))


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TINYRIG_TFLM_DIR"), reason="TINYRIG_TFLM_DIR names no checkout of tflite-micro")
def test_a_real_tree_runs_and_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "net.tflite", tmp_path / "engines.json"
    model.write_bytes(small_models.dense_float())
    asked = ["--engine", "tinyrig", *(REFERENCE, CMSIS), "--limit", "2", "--json", str(out)]
    assert main(["engines", "--model", str(model), *asked]) == 0, capsys.readouterr().err
    rows = {row["engine"]: row for row in json.loads(out.read_text())["models"][0]["engines"]}
    for name in (REFERENCE, CMSIS):
        assert rows[name]["cycles"] > rows["tinyrig"]["cycles"] and rows[name]["parity"]["mismatched_windows"] == 0
        assert rows[name]["flash"]["model_total"] > rows["tinyrig"]["flash"]["model_total"]
