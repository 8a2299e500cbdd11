"""Plausible runs without a board, for tests of metrics, store and reports. Nothing here was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.plans import MeasurementSettings, Subject
from tinyrig.core.records import (
    ESTIMATED,
    ArenaBuffer,
    BoardInfo,
    Footprint,
    Image,
    Measurement,
    OpInfo,
    Parity,
    Run,
    Sample,
    TensorSpec,
    Toolchain,
    Variant,
)

FLOAT_OUT = TensorSpec("softmax", (1, 8), "float32")
INT8_OUT = TensorSpec("softmax", (1, 8), "int8", 1 / 256, -128)
TOOLCHAIN = Toolchain("arm-none-eabi-gcc 12.2.1", "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -O3")
BOARD = BoardInfo("virtual", "5649525455414c00", 64_000_000, ESTIMATED)
SUBJECT = Subject("0" * 64, "0" * 32, "1" * 64, BOARD.name, BOARD.id)
"""What samples belong to, where nothing depends on it."""

# name -> (right of 240, .tflite B, zip B, FLOPs, MACs, cycles, dtype, (weights, engine), (arena, static, stack))
SHAPES: dict[str, tuple[Any, ...]] = {
    "simple": (236, 10092, 8400, 193648, 95888, 272266, "float32", (7392, 3300), (8484, 96, 220)),
    "pruned": (233, 10092, 5700, 193648, 95888, 272301, "float32", (7392, 3300), (8484, 96, 220)),
    "reshaped": (231, 6540, 4980, 96848, 47944, 137011, "float32", (3712, 3300), (8372, 96, 220)),
    "pqt": (230, 4552, 3820, None, 47944, 75486, "int8", (1180, 3800), (2140, 88, 244)),
}


def outputs_for(labels: np.ndarray, right: int, spec: TensorSpec) -> list[bytes]:
    """One output tensor's bytes a window; the first `right` windows predict their label, the others the next class."""
    rows = []
    for i, label in enumerate(labels):
        values = np.full(spec.size, 0.01, np.float32)
        values[(label + (i >= right)) % spec.size] = 0.93
        rows.append(spec.quantize(values).tobytes())
    return rows


def arena_for(size: int) -> tuple[ArenaBuffer, ...]:
    """The input from before the first step, then what each step makes."""
    small = size // 8
    return (
        ArenaBuffer("serving_default_x:0", size - 2 * small, 0, -1, 1),
        ArenaBuffer("model/conv1d/Relu;model/conv1d/BiasAdd", 2 * small, size - 2 * small, 1, 2),
        ArenaBuffer("scratch of CONV_2D", small, 0, 2, 2, True),
        ArenaBuffer("model/mean", small, small, 2, 3),
        ArenaBuffer("StatefulPartitionedCall:0", small, 0, 3, 5),
    )


def make_variant_run(name: str = "simple", windows: int = 240, **changes: Any) -> Measurement:
    """A verified run of one of SHAPES; `changes` replace fields of the Measurement."""
    right, tflite_bytes, zip_bytes, flops, macs, cycles, dtype, flash, ram = SHAPES[name]
    out = FLOAT_OUT if dtype == "float32" else INT8_OUT
    labels = np.arange(windows) % 8
    outputs = outputs_for(labels, min(right, windows), out)
    shares = (("RESHAPE", 0.0), ("CONV_2D", 0.93), ("MEAN", 0.03), ("FULLY_CONNECTED", 0.01), ("SOFTMAX", 0.03))
    conv_macs = int(macs * 0.99)
    ops = tuple(OpInfo(i, op, f"model/{op.lower()}", conv_macs if op == "CONV_2D" else 0) for i, (op, _) in enumerate(shares))
    samples = [Sample("window", i, data, cycles + i % 7) for i, data in enumerate(outputs)]
    samples += [Sample("repeat", i, outputs[0], cycles + i % 3) for i in range(30)]
    samples += [Sample("profile", 0, outputs[0], cycles, None, tuple(int(cycles * part) for _, part in shares))]
    samples += [Sample("stack", 0, outputs[0], cycles, ram[2])]
    run = Measurement(
        Variant(
            name,
            Path(f"{name}.tflite"),
            f"{name:0<64}",
            tflite_bytes,
            zip_bytes,
            Path("windows.npz"),
            "glove",
            True,
            right / 240,
            flops,
            macs,
            {"engine_note": "fake"},
        ),
        Image(
            Path("fw.elf"),
            Path("fw.bin"),
            0x10000,
            f"{name:0<64}",
            "0" * 32,
            "tinyrig",
            TOOLCHAIN,
            Footprint(*flash, 5200, *ram[:2], 9100),
            (TensorSpec("x", (1, 59, 35), dtype),),
            (out,),
            ops,
            arena_for(ram[0]),
        ),
        BOARD,
        tuple(samples),
        Parity("tflm", windows, 0, 0.0 if dtype == "int8" else 2.4e-7, 0, None),
        tuple(int(n) for n in labels),
        tuple(f"object {n}" for n in range(8)),
        MeasurementSettings(more={"repeat_window": 0}),
    )
    return replace(run, **changes)


def make_run(
    run_id: str = "20260101-120000-abcd", started: str = "2026-01-01T12:00:00+00:00", names: tuple[str, ...] = tuple(SHAPES)
) -> Run:
    """The paper's four variants in one run."""
    versions = {"python": "3.11.2", "numpy": "2.4.0", "unicorn": "2.1.4"}
    return Run(run_id, started, tuple(make_variant_run(name) for name in names), versions)
