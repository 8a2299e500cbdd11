"""The kernel of a chain that goes row by row: the kernels of its stages, each for one row, and a loop over the schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinyrig.compiler.kernels.choose import select_kernel
from tinyrig.compiler.model.step import C_TYPES, AnyStep, CompileOptions, Constant, Kernel
from tinyrig.compiler.stream.schedule import Group, Schedule, schedule, timing
from tinyrig.compiler.stream.stages import Read, Stage

MAX_STAGES = 32


@dataclass(frozen=True, eq=False)
class Stream:
    """stream: `group` as one step. Its inputs are the maps from outside by rows, then operands that every row reads whole; its
    outputs the maps that are kept."""

    group: Group


def row_kernel(stage: Stage, engine: str, options: CompileOptions) -> Kernel | None:
    """None where the engine's kernel for one row can't be told how much of its window is there."""
    kernel = select_kernel(stage.row, engine, replace(options, rows=stage.height))
    padded = hasattr(stage.row.params, "window") and stage.row.params.window.padded_rows
    return kernel if kernel.rows or not padded else None


def stream_kernel(step: AnyStep, kernels: list[Kernel]) -> Kernel:
    """`kernels`: of each stage's row."""
    group: Group = step.params.group
    plan = schedule(group)
    order = Constant("order", np.array(plan.order, np.uint8), "the stage of each row")
    constants = [replace(c, name=f"s{k}_{c.name}") for k, kernel in enumerate(kernels) for c in kernel.constants]
    text = _Text(step, group, plan, kernels)
    return Kernel(
        text.body,
        (order, *constants),
        text.file_scope,
        sources=tuple(sorted({s for k in kernels for s in k.sources})),
        headers=tuple(sorted({"nn_rows.h", *(h for k in kernels for h in k.headers)})),
        timing=timing(group, plan, [k.scratch_bytes for k in kernels]),
    )


@dataclass(frozen=True, eq=False)
class _Text:
    step: AnyStep
    group: Group
    plan: Schedule
    kernels: list[Kernel]

    def file_scope(self, prefix: str) -> str:
        return "".join(self._stage(f"{prefix}_s{k}", s.row, kernel) for k, (s, kernel) in enumerate(self._pairs()))

    def _pairs(self) -> list[tuple[Stage, Kernel]]:
        return list(zip(self.group.stages, self.kernels, strict=True))

    def _stage(self, prefix: str, row: AnyStep, kernel: Kernel) -> str:
        """A function for one row."""
        parameters = [f"const {C_TYPES[t.dtype]} *in{i}" for i, t in enumerate(row.inputs)]
        parameters += [f"{C_TYPES[row.outputs[0].dtype]} *out0", "uint8_t *scratch", "int32_t in_h", "int32_t pad_top"]
        body = "".join(f"    {line}\n" if line else "\n" for line in kernel.body(prefix).splitlines())
        unused = "    (void)scratch;\n    (void)in_h;\n    (void)pad_top;\n"
        scope = kernel.file_scope(prefix) if kernel.file_scope else ""
        return f"{scope}static void {prefix}({', '.join(parameters)}) {{\n{unused}{body}}}\n"

    def body(self, prefix: str) -> str:
        n = len(self.kernels)
        cases = "".join(self._case(prefix, k) for k in range(n))
        return (
            f"int32_t next[{n}] = {{0}}, base[{n}] = {{0}};\n"
            f"for (int32_t i = 0; i < {len(self.plan.order)}; i++) {{\n"
            f"    switch ({prefix}_order[i]) {{\n{cases}    }}\n}}\n"
        )

    def _case(self, prefix: str, k: int) -> str:
        stage, ring = self.group.stages[k], self.plan.rings[k]
        lines = [f"const int32_t y = next[{k}];"]
        if ring:
            lines += [f"if (y - base[{k}] == {ring}) {{", *self._drop(k), "}"]
            ctype = C_TYPES[stage.step.outputs[0].dtype]
            out = f"({ctype} *)work{k} + (y - base[{k}]) * {stage.size}"
        else:
            out = f"out{self._number(self.step.outputs, self.group.output(k))} + y * {stage.size}"
        padded = next((r for r in stage.reads if r), None)
        if padded and (padded.reach, padded.stride, padded.pad) != (1, 1, 0):
            rows = self._rows(padded)
            lines += [f"const int32_t top = y * {padded.stride} - {padded.pad} - {rows[1]}, above = top < 0 ? 0 : top;"]
            height, pad = f"{rows[2]} - above", "above - top"
        else:
            height, pad = "1", "0"
        inputs = [self._input(stage, i) for i in range(len(stage.reads))]
        scratch = f"work{len(self.kernels) + k}" if self.kernels[k].scratch_bytes else "0"
        lines += [f"{prefix}_s{k}({', '.join([*inputs, out, scratch, height, pad])});", f"next[{k}] = y + 1;", "break;"]
        return f"    case {k}: {{\n" + "".join(f"        {line}\n" for line in lines) + "    }\n"

    def _drop(self, k: int) -> list[str]:
        """The rows that no reader needs any more leave the ring."""
        size, ring = self.group.stages[k].size, self.plan.rings[k]
        firsts = [f"next[{j}] * {r.stride} - {r.pad}" for j, r in self.group.readers(self.group.output(k))]
        text = "y"  # a stride may leave out rows that are still to come
        for other in firsts:
            text = f"nn_least({text}, {other})"
        return [
            f"    const int32_t gone = {text} - base[{k}];",
            f"    nn_drop_rows(work{k}, gone * {size}, {ring} * {size});",
            f"    base[{k}] += gone;",
        ]

    def _rows(self, read: Read) -> tuple[str, str, str]:
        """Where a map's rows lie, which is the first there and which the last."""
        source = self.group.root(read.tensor.index)
        k = self.group.made.get(source)
        if k is None:
            return f"in{self._number(self.step.inputs, source)}", "0", str(read.height)
        if self.plan.rings[k]:
            return f"(const {C_TYPES[read.tensor.dtype]} *)work{k}", f"base[{k}]", f"(next[{k}] - base[{k}])"
        return f"out{self._number(self.step.outputs, source)}", "0", f"next[{k}]"

    def _input(self, stage: Stage, i: int) -> str:
        read = stage.reads[i]
        if read is None:
            return f"in{self._number(self.step.inputs, self.group.root(stage.step.inputs[i].index))}"
        at, first, _ = self._rows(read)
        windowed = (read.reach, read.stride, read.pad) != (1, 1, 0)
        row = "above" if windowed else f"(y - {first})"
        return f"{at} + {row} * {read.size}"

    def _number(self, tensors: tuple[object, ...], root: int) -> int:
        return [self.group.root(t.index) for t in tensors].index(root)  # type: ignore[attr-defined]
