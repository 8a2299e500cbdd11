"""ModelChecks for people: a page for one model, a table for many."""

from __future__ import annotations

from collections.abc import Sequence

from tinyrig.core.records import TensorSpec
from tinyrig.core.text import printable
from tinyrig.preflight.arena_picture import picture
from tinyrig.preflight.records import PORTABLE, ModelCheck

_LONGEST = 40


def page(check: ModelCheck) -> str:
    head = f"{printable(check.file)}: {check.file_bytes:,} bytes"
    if not check.runs:
        return "\n".join([f"{head}; can't be compiled", *_obstacles(check)])
    parts = [f"{head}; can be compiled", _border(check), _totals(check), _ops(check), picture(check), _boards(check)]
    return "\n\n".join(p for p in (*parts, _advice(check)) if p)


def _obstacles(check: ModelCheck) -> list[str]:
    """Those that one remedy helps against stand together, above it."""
    groups: dict[str, list[str]] = {}
    for o in check.obstacles:
        facts = "; ".join(f"{what} {text}" for what, text in (("expected", o.expected), ("received", o.received)) if text)
        groups.setdefault(o.remedy, []).append(o.reason + (f" ({facts})" if facts else ""))
    lines = []
    for remedy, group in groups.items():
        lines += [f"  - {text}" for text in group]
        lines += [f"    remedy: {remedy}"] if remedy else []
    return lines


def _border(check: ModelCheck) -> str:
    rows = [("input", t) for t in check.inputs] + [("output", t) for t in check.outputs]
    return "\n".join(f"{side:6} {printable(t.name, 60)}  {_shape(t)}{_quantisation(t)}" for side, t in rows)


def _shape(t: TensorSpec) -> str:
    return f"{t.dtype} {'x'.join(map(str, t.shape)) or 'scalar'}"


def _quantisation(t: TensorSpec) -> str:
    return f", scale {t.scale:.6g}, zero point {t.zero_point}" if t.scale else ""


def _totals(check: ModelCheck) -> str:
    flash, share = check.flash, check.portable_share
    lines = [f"{check.macs:,} MACs; weights {check.weight_bytes:,} bytes; arena {check.arena_bytes:,} bytes"]
    if check.arena_least < check.arena_bytes:
        lines[0] += f" ({check.arena_least:,} are alive at once)"
    if flash:
        lines.append(
            f"flash {flash.low:,} to {flash.high:,} bytes: weights and {flash.code_low:,} to {flash.code_high:,} of code"
        )
    if share:
        lines.append(f"{100 * share:.1f} % of the {'MACs' if check.macs else 'steps'} on portable kernels, the rest on fast ones")
    return "\n".join(lines)


def _ops(check: ModelCheck) -> str:
    from tabulate import tabulate

    if not check.ops:
        return ""
    rows = []
    for op in check.ops:
        share = f"{100 * op.macs / check.macs:.1f} %" if check.macs else "-"
        output = _shape(op.outputs[0]) if op.outputs else "-"
        name = printable(op.layer or op.name, _LONGEST)
        rows.append(
            [op.index, op.op, name, output, f"{op.macs:,}", share, f"{op.weight_bytes:,}", op.kernel, f"{op.alive_bytes:,}"]
        )
    headers = ["step", "op", "layer", "output", "MACs", "share", "weights", "kernel", "arena in use"]
    align = ("right", "left", "left", "left", "right", "right", "right", "left", "right")
    return tabulate(rows, headers, "simple", disable_numparse=True, colalign=align)


def _boards(check: ModelCheck) -> str:
    from tabulate import tabulate

    def of(need: int, have: int) -> str:
        return f"{need:,} of {have:,}" if have else f"{need:,}; the board's is not known"

    rows = [
        [f.board, "fits" if f.fits else f"does not fit: {f.reason}", of(f.flash_need, f.flash_bytes), of(f.ram_need, f.ram_bytes)]
        for f in check.fits
    ]
    return tabulate(rows, ["board", "", "flash at most", "RAM"], "simple", disable_numparse=True) if rows else ""


def _advice(check: ModelCheck) -> str:
    lines = [f"- {a.text}" + (f": spares about {a.saves_bytes:,} bytes" if a.saves_bytes else "") for a in check.advice]
    return "\n".join(["What would help:", *lines]) if lines else ""


def folder_table(rows: Sequence[tuple[ModelCheck, str]]) -> str:
    """Model and what came of it in words -> one line each."""
    from tabulate import tabulate

    cells = []
    for check, outcome in rows:
        share, ops = check.portable_share, [op for op in check.ops if op.kernel == PORTABLE]
        portable = "-" if share is None else f"{100 * share:.1f} %" + (f" ({len(ops)} of {len(check.ops)} steps)" if ops else "")
        known = check.runs
        numbers = [f"{n:,}" if known else "-" for n in (check.macs, check.weight_bytes, check.arena_bytes)]
        cells.append([printable(check.file, 80), outcome, *numbers, portable])
    headers = ["model", "result", "MACs", "weights", "arena", "portable"]
    return tabulate(
        cells, headers, "github", disable_numparse=True, colalign=("left", "left", "right", "right", "right", "right")
    )


def outcome(check: ModelCheck, boards: Sequence[str]) -> str:
    """Of a check alone: whether the model could be measured on these boards."""
    if not check.runs:
        return printable(f"refused: {check.refusal}", 160)
    lacking = next((f for f in check.fits if f.board in boards and not f.fits), None)
    return f"too big for {lacking.board}: {lacking.reason}" if lacking else "can be compiled, fits"
