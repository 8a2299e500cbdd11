"""The `tinyrig` command; glue only. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines import add_parser as add_engines
from harness.errors import EXIT_CLAIM, EXIT_GOOD, RigError, UserError

if TYPE_CHECKING:
    from harness.config import Config
    from harness.records import Run

_PACKAGES = {"variants": "variants", "report": "reports"}
"""Commands that are packages of their own."""
_EXITS = "exit codes: 0 good; 1 a claim failed; 2 unusable input or model; 3 the rig failed"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; a RigError becomes its message on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in _PACKAGES:
        return _hand_over(_PACKAGES[words[0]], words[1:])
    arguments = _parser().parse_args(words)
    try:
        return arguments.command(arguments)
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("tinyrig: interrupted; finished variants are kept (tinyrig run --resume RUN)", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyrig",
        description="Measures TinyML models on microcontrollers: is it right, what does it cost, did it get worse?",
        epilog=_EXITS,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, what in (("variants", "build model variants"), ("report", "write a report of stored runs")):
        commands.add_parser(name, help=what)
    _add_run(commands)
    _add_compare(commands)
    add_engines(commands)
    commands.add_parser("boards", help="known boards, and what is attached").set_defaults(command=_boards)
    return parser


def _add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("run", help="measure variants or a model on a board", epilog=_EXITS)
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--variant", nargs="+", action="extend", metavar="NAME", help="built variants (default: all, built first if missing)"
    )
    what.add_argument("--model", type=Path, metavar="FILE.tflite", help="a model that was trained elsewhere")
    parser.add_argument(
        "--windows", type=Path, metavar="FILE.npz", help="test windows of --model: x, and optionally y and class_names"
    )
    parser.add_argument("--dataset", help="glove, watch, an .npz or a folder of CSV trials (default: rig.toml's)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument(
        "--oracle", choices=["tflm", "litert-ref", "none"], help="whose outputs are right (default: rig.toml's, tflm)"
    )
    parser.add_argument(
        "--engine", default="tinyrig", metavar="NAME|FOLDER", help="tinyrig, portable, cmsis-nn, or a folder: your own runtime"
    )
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was cut off: its finished variants are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result (schema 1)")
    parser.add_argument("--no-report", action="store_true", help="store the run and write no report")
    parser.set_defaults(command=_run)


def _add_compare(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("compare", help="debugging: every op's output against the oracle's, on the host")
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows (default: random ones)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref"], help="whose outputs are right (default: rig.toml's, tflm)")
    parser.add_argument(
        "--engine", choices=["tinyrig", "portable", "cmsis-nn"], default="tinyrig", help="kernels to compile the model with"
    )
    parser.set_defaults(command=_compare)


def _hand_over(package: str, words: Sequence[str]) -> int:
    """Another package's own command line takes over this process: the rig side never imports it."""
    os.execv(sys.executable, [sys.executable, "-m", package, *words])


def _run(arguments: argparse.Namespace) -> int:
    from harness.boards import parse_board
    from harness.campaign import Campaign, built_variants, model_variant, write_report
    from harness.config import load_config
    from harness.metrics import run_to_json
    from harness.progress import progress

    if arguments.windows and not arguments.model:
        raise UserError(
            "--windows needs --model",
            expected="--model FILE.tflite --windows FILE.npz",
            received="--windows alone",
            remedy="variants bring their own windows",
        )
    config = load_config()
    if arguments.dataset:
        config = dataclasses.replace(config, dataset=arguments.dataset)
    target = parse_board(arguments.board)
    _check_writable(arguments.json)
    variants = (
        [model_variant(arguments.model, arguments.windows)]
        if arguments.model
        else built_variants(config, arguments.variant or ())
    )
    with (
        progress(len(variants)) as bar,
        Campaign(
            target,
            config,
            oracle=arguments.oracle,
            limit=arguments.limit,
            engine=arguments.engine,
            resume=arguments.resume,
            say=bar.say,
        ) as campaign,
    ):
        for variant in variants:
            campaign.run(variant)
            bar.step()
        result = campaign.result()
    if arguments.json:
        arguments.json.write_text(json.dumps(run_to_json(result), indent=1) + "\n")
    if arguments.no_report:
        print(f"stored as run {result.run_id}; `tinyrig report {result.run_id} --summary` writes its report")
    else:
        write_report(result.run_id, config, "--summary")
    return _verdict(result, config)


def _check_writable(path: Path | None) -> None:
    """Before any work is done for it."""
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(
            f"--json can't be written to {path}",
            expected="a file in a folder that exists",
            received=str(path),
            remedy="name another file",
        )


def _verdict(result: Run, config: Config) -> int:
    """EXIT_CLAIM where a claim failed, each named on stderr."""
    from harness.claims import failed_claims

    failures = [line for run in result.runs for line in failed_claims(run, config)]
    for line in failures:
        print(f"tinyrig: claim failed: {line}", file=sys.stderr)
    return EXIT_CLAIM if failures else EXIT_GOOD


def _compare(arguments: argparse.Namespace) -> int:
    from harness.boards import BOARDS
    from harness.campaign import model_variant
    from harness.compare import compare_ops, table
    from harness.compiler.compile import compile_model
    from harness.config import load_config
    from harness.runner import Job, read_model, windows_of

    config, data, board = load_config(), read_model(arguments.model), BOARDS["virtual"]
    compiled = compile_model(data, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, engine=arguments.engine)
    job = Job(model_variant(arguments.model, arguments.windows), limit=arguments.limit)
    windows = [list(w) for w in windows_of(job, compiled.inputs, config).inputs]
    rows = compare_ops(data, windows, oracle=arguments.oracle or config.oracle, engine=arguments.engine, optimise=config.optimise)
    print(table(rows, config.float_tolerance))
    return EXIT_CLAIM if any(row.wrong(config.float_tolerance) for row in rows) else EXIT_GOOD


def _boards(arguments: argparse.Namespace) -> int:
    from harness.boards import BOARDS
    from harness.rig import attached

    for board in BOARDS.values():
        memory = f"{board.flash_bytes} B flash, {board.ram_bytes} B RAM"
        print(f"{board.name:<12} {board.title}; {board.clock_hz // 1_000_000} MHz, {memory}, {board.timing} cycles")
    ports = attached()
    print("attached:" if ports else "attached: no serial ports")
    for device, usb, board in ports:
        print(f"  {device:<20} {usb or '-':<10} {board.title if board else 'unknown'}")
    return EXIT_GOOD


if __name__ == "__main__":
    sys.exit(main())
