"""`tinyrig ops`: every op's output beside the oracle's, on the host. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_USER, HostError, ModelError, decisive

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.workload.op_diff import OpDiff

_EPILOG = """examples:
  tinyrig ops gesture.tflite --windows gesture.npz
  tinyrig ops a.tflite b.tflite --json ops.json

exit codes: 0 all outputs are right; 1 one differs from the oracle's; 2 a model or the windows can't be used; 3 the rig failed
"""


@dataclass(frozen=True)
class Compared:
    """One model. `refused` says why there are no `rows`, None where there are."""

    file: Path
    sha256: str
    oracle: str
    windows: int
    rows: tuple[OpDiff, ...] = ()
    refused: str | None = None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `ops` command, for cli.py."""
    parser = commands.add_parser(
        "ops",
        help="debug models: compare every op's output with the oracle's, on the host",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of every model (default: random)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument(
        "--oracle", choices=["tflm", "litert-ref", "numpy"], help="whose outputs are right (default: rig.toml's, tflm)"
    )
    parser.add_argument(
        "--engine", choices=["tinyrig", "portable", "cmsis-nn"], default="tinyrig", help="kernels to compile the models with"
    )
    parser.add_argument("--optimise", choices=["speed", "size", "ram"], help="what counts first (default: rig.toml's)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write schema 1 to FILE, or to stdout without FILE")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Prints a table for each model, or the JSON alone when that goes to stdout."""
    from tinyrig.core.config import load_config, with_optimise
    from tinyrig.workload.op_diff import table

    config, results = with_optimise(load_config(), arguments.optimise), list[Compared]()
    for path in arguments.models:
        try:
            results.append(_compare(path, arguments, config))
        except ModelError as error:
            if len(arguments.models) == 1 and not arguments.json:
                raise
            results.append(Compared(path, "", arguments.oracle or config.oracle, 0, refused=str(error)))
        if arguments.json != "-":
            head = f"{path}\n\n" if len(arguments.models) > 1 else ""
            print(head + (results[-1].refused or table(results[-1].rows, config.float_tolerance)))
    _write(document(results, config.float_tolerance), arguments.json)
    return decisive([_status(r, config.float_tolerance) for r in results])


def _compare(path: Path, arguments: argparse.Namespace, config: Config) -> Compared:
    from tinyrig.compiler.compile import compile_model
    from tinyrig.core.boards import BOARDS
    from tinyrig.measure.variant import Request, windows_of
    from tinyrig.measure.variants import model_variant
    from tinyrig.workload.op_diff import compare_ops

    job, board = Request(model_variant(path, arguments.windows), limit=arguments.limit), BOARDS["virtual"]
    data, engine, oracle = job.variant.model, arguments.engine, arguments.oracle or config.oracle
    compiled = compile_model(data, flash_bytes=board.flash_room, ram_bytes=board.ram_room, engine=engine, core=board.core)
    windows = [list(w) for w in windows_of(job, compiled.inputs, config).inputs]
    try:
        rows = compare_ops(data, windows, oracle=oracle, engine=engine, optimise=config.optimise)
    except ModelError as error:
        if len(arguments.models) == 1 and not arguments.json:
            raise
        return Compared(path, job.variant.sha256, oracle, len(windows), refused=str(error))
    return Compared(path, job.variant.sha256, oracle, len(windows), tuple(rows))


def _status(result: Compared, tolerance: float) -> int:
    if result.refused is not None:
        return EXIT_USER
    return EXIT_CLAIM if any(row.wrong(tolerance) for row in result.rows) else EXIT_GOOD


def document(results: list[Compared], tolerance: float) -> dict[str, Any]:
    """Schema 1: docs/model.md has the keys."""
    return {"schema": 1, "models": [_entry(r, tolerance) for r in results]}


def _entry(result: Compared, tolerance: float) -> dict[str, Any]:
    """`dtype` is that of the first tensor that differs, else of the last one."""
    known = [row for row in result.rows if row.max_abs_diff is not None]
    wrong = [row for row in known if row.off(tolerance)]
    shown = wrong[:1] or known[-1:]
    return {
        "file": str(result.file),
        "sha256": result.sha256,
        "oracle": result.oracle,
        "windows": result.windows,
        "mismatched_values": sum(row.differing for row in wrong),
        "compared_values": sum(row.compared for row in known),
        "nan_values": sum(row.no_numbers for row in known),
        "max_abs_diff": _number(max((row.max_abs_diff or 0.0 for row in known), default=None)),
        "dtype": shown[0].dtype if shown else None,
        "refused": result.refused,
        "ops": [
            {"index": row.index, "op": row.op, "name": row.name, "tensor": row.tensor, "dtype": row.dtype}
            | {"max_abs_diff": _number(row.max_abs_diff), "mismatched_values": row.differing if row.off(tolerance) else 0}
            | {"compared_values": row.compared, "nan_values": row.no_numbers}
            for row in result.rows
        ],
    }


def _number(value: float | None) -> float | None:
    """JSON has no infinity (a NaN on one side only): None, beside values that differ."""
    return None if value == float("inf") else value


def _write(found: dict[str, Any], json_to: str | None) -> None:
    text = json.dumps(found, indent=1, allow_nan=False)
    if json_to == "-":
        print(text)
    elif json_to:
        try:
            Path(json_to).write_text(text + "\n")
        except OSError as error:
            raise HostError(
                f"--json can't be written to {json_to}", received=str(error), remedy="name a writable file"
            ) from error
