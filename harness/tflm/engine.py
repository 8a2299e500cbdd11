"""tflite-micro behind firmware/nn/engine.h: the interpreter, a resolver with the model's operators, an arena of the size that its
own recorder finds."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tinyrig.compiler.model.graph import Graph, read_graph
from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, LinkError, ModelError, UserError
from tinyrig.core.records import CompiledModel
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tflm.library import Library
from tinyrig.tflm.tree import Operator, Tree, opened
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image
from tinyrig.workload.user_engine import bare_engine

log = logging.getLogger(__name__)
PROBE = BOARDS["virtual"]
PROBE_ARENA = PROBE.ram_bytes - 48 * 1024
"""Bytes, on the virtual board: what firmware and stack leave."""
ALIGN = 16
PROBE_S = 60.0


def tflm_engine(data: bytes, engine: str, board: Board, config: Config) -> CompiledModel:
    """A .tflite's bytes -> what the image builder needs, with TFLM compiled beside it. Raises UserError without a tree, HostError
    without a C++ compiler, ModelError for a model that TFLM can't prepare or that does not fit."""
    if board.builder != "gcc":
        raise UserError(
            f"the engine {engine} can't be built for {board.name}",
            expected="a board with a bare-metal image",
            received=f"builder {board.builder}",
            remedy="use nano33ble-uart, which is the same chip"
            if board.builder == "arduino"
            else "use virtual, nano33ble-uart, nucleo-f401re, or the engines tinyrig and portable",
        )
    tree, graph = opened(config.tflm_dir, engine), read_graph(data)
    operators = _operators(tree, graph, config.tflm_ops == "all")
    arena = _recorded(data, tree, operators, graph, config)
    model = bare_engine(data, engine, arena, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    return _with_objects(model, glue_text(engine, operators, graph, arena), tree, operators, board, config)


def _operators(tree: Tree, graph: Graph, all_: bool) -> list[Operator]:
    used = {op.code for op in (*graph.ops, *(op for inner in graph.inner for op in inner.ops))}
    return tree.wanted(tree.operators if all_ else used)


def _with_objects(
    model: CompiledModel, text: str, tree: Tree, operators: Iterable[Operator], board: Board, config: Config
) -> CompiledModel:
    build = Path(config.folders.build)
    library = Library.of(tree, board, build, config.limits.build_s)
    folder = library.folder / f"model-{hashlib.sha256(model.sources['model_data.h'].encode()).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    (folder / "model_data.h").write_text(model.sources["model_data.h"])
    archive = library.archive(tree.sources(operators))
    return replace(model, objects=(library.glue(text, [folder]), archive))


def _recorded(data: bytes, tree: Tree, operators: Sequence[Operator], graph: Graph, config: Config) -> int:
    """Bytes of arena that TFLM's recording allocator has used once it is prepared, on a virtual board. Raises ModelError."""
    model = bare_engine(data, tree.engine, PROBE_ARENA, flash_bytes=PROBE.flash_bytes, ram_bytes=PROBE.ram_bytes)
    text = glue_text(tree.engine, operators, graph, PROBE_ARENA, recording=True)
    image = build_image(
        _with_objects(model, text, tree, operators, PROBE, config), PROBE, Path(config.folders.build), config.limits.build_s
    )
    try:
        with VirtualBoard(image=image.elf, clock="off") as board, Session(open_link(board.port, PROBE.baud)) as session:
            used = session.hello().arena_bytes
    except (DeviceError, LinkError) as error:
        raise ModelError(
            "tflite-micro can't prepare the model",
            expected="kernels for its operators and types",
            received=f"{error.what}: {error.received}",
        ) from error
    if used >= PROBE_ARENA:
        raise ModelError(
            "tflite-micro can't prepare the model",
            expected=f"kernels for its operators and types, and at most {PROBE_ARENA} bytes of arena",
            received="its interpreter refused it",
        )
    return -(-used // ALIGN) * ALIGN


def glue_text(engine: str, operators: Sequence[Operator], graph: Graph, arena: int, recording: bool = False) -> str:
    adds = "".join(f"    ok = ok && resolver.{one.method}() == kTfLiteOk;\n" for one in operators)
    ends = [("input", i) for i in range(len(graph.inputs))] + [("output", i) for i in range(len(graph.outputs))]
    lists = {
        side: ", ".join(f"MODEL_{side.upper()}_{i}(nullptr)" for kind, i in ends if kind == side) for side in ("input", "output")
    }
    places = "".join(f"    {side}s[{i}].data = interpreter->{side}({i})->data.raw;\n" for side, i in ends)
    prefix = "Recording" if recording else ""
    used = (
        f"    engine.arena_bytes = ok ? allocator->GetSimpleMemoryAllocator()->GetUsedBytes() : {arena};\n    return ENGINE_OK;\n"
    )
    values = {
        "engine": engine,
        "prefix": prefix,
        "header": "recording_micro_interpreter.h" if recording else "micro_interpreter.h",
        "arena": str(arena),
        "count": str(max(1, len(operators))),
        "adds": adds,
        "inputs": lists["input"],
        "outputs": lists["output"],
        "variables": str(len(graph.variables)) if any(one.method == "AddVarHandle" for one in operators) else "0",
        "places": places,
        "end": used if recording else "    return ok ? ENGINE_OK : ENGINE_ERR_INIT;\n",
        "const": "" if recording else "const ",
        "allocator": f"tflite::{prefix}MicroAllocator",
    }
    text = _GLUE
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


_GLUE = """\
/* Generated by tinyrig: tflite-micro's interpreter behind engine.h. No heap, no exceptions, no static constructors. */
#include <cstdarg>
#include <cstddef>
#include <new>

extern "C" {
#define engine engine_declared_const /* a probe writes what it has found into its own */
#include "engine.h"
#undef engine
#include "model_data.h"
}
#include "tensorflow/lite/micro/@header@"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

void operator delete(void *) noexcept {}
void operator delete(void *, std::size_t) noexcept {}
extern "C" {
void abort() { __builtin_trap(); } /* newlib's needs an operating system; this is a fault that names its place */
void __cxa_pure_virtual() { __builtin_trap(); }
void *__dso_handle = nullptr;
void DebugLog(const char *, va_list) {}
int DebugVsnprintf(char *buffer, size_t size, const char *, va_list) { if (size) buffer[0] = 0; return 0; }
}

namespace {
using Interpreter = tflite::@prefix@MicroInterpreter;
using Resolver = tflite::MicroMutableOpResolver<@count@>;
alignas(16) uint8_t arena[@arena@];
alignas(Interpreter) uint8_t interpreter_place[sizeof(Interpreter)];
alignas(Resolver) uint8_t resolver_place[sizeof(Resolver)];
Interpreter *interpreter;
engine_tensor inputs[] = {@inputs@};
engine_tensor outputs[] = {@outputs@};
} /* namespace */

extern "C" {
extern @const@engine_info engine;
@const@engine_info engine = {"@engine@", MODEL_SHA256, sizeof arena, MODEL_INPUT_COUNT, MODEL_OUTPUT_COUNT, 0, inputs, outputs};

int engine_init(void)
{
    bool ok = true;
    Resolver &resolver = *new (resolver_place) Resolver();
@adds@    @allocator@ *allocator = @allocator@::Create(arena, sizeof arena);
    constexpr int count = @variables@;
    tflite::MicroResourceVariables *variables = count ? tflite::MicroResourceVariables::Create(allocator, count) : nullptr;
    interpreter = new (interpreter_place) Interpreter(tflite::GetModel(model_data), resolver, allocator, variables);
    ok = ok && interpreter->AllocateTensors() == kTfLiteOk;
    if (ok) {
@places@    }
@end@}

void engine_reset(void)
{
    (void)interpreter->Reset();
}

int engine_invoke(void)
{
    return interpreter->Invoke() == kTfLiteOk ? ENGINE_OK : ENGINE_ERR_INVOKE;
}

int engine_run_op(uint16_t)
{
    return ENGINE_ERR_INVOKE;
}
}
"""
