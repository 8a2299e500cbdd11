"""`python bench/matrix.py`: networks on every core that QEMU has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config, load_config
from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, RigError, UserError
from tinyrig.core.records import CompiledModel, Variant
from tinyrig.cores.matrix import CORES, Cell, Network, measure
from tinyrig.cores.page import table, with_table
from tinyrig.measure.variant import compiled_for
from tinyrig.measure.variants import built_variants
from tinyrig.workload.windows import load_windows, random_windows

SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 1 where any output is wrong or differs between cores."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except RigError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/matrix.py", description="Networks on every core that QEMU has.")
    parser.add_argument("networks", nargs="*", default=["simple", "pqt"], help="variants by name, or .tflite files")
    parser.add_argument("--cores", default=",".join(CORES), help="boards, with commas between them")
    parser.add_argument("--windows", type=int, default=8, metavar="N", help="of each network (8)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="a page whose table is rewritten, docs/cores.md")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    config, cores = load_config(), arguments.cores.split(",")
    if unknown := [core for core in cores if core not in BOARDS]:
        raise UserError("unknown core", expected=", ".join(CORES), received=", ".join(unknown))
    networks = _networks(arguments.networks, arguments.windows, config)
    cells = measure(networks, cores, config, _tell)
    print(f"\n{table(cells)}")
    if arguments.page:
        arguments.page.write_text(with_table(arguments.page.read_text(), table(cells)))
    return _verdict(networks, cells)


def _tell(cell: Cell) -> None:
    said = cell.refused or (f"{cell.wrong} windows WRONG" if cell.wrong else f"{cell.instructions:,} instructions")
    print(f"{cell.network:<12} {cell.core:<10} {said}", flush=True)


def _networks(names: Sequence[str], count: int, config: Config) -> list[Network]:
    variants = {v.name: v for v in built_variants(config, [n for n in names if not n.endswith(".tflite")])} if names else {}
    return [_file(Path(n), count, config) if n.endswith(".tflite") else _variant(variants[n], count, config) for n in names]


def _compiled(data: bytes, config: Config) -> CompiledModel:
    return compiled_for(data, BOARDS["qemu"], config)


def _variant(variant: Variant, count: int, config: Config) -> Network:
    data, specs = variant.tflite.read_bytes(), _compiled(variant.tflite.read_bytes(), config).inputs
    windows = load_windows(variant.windows, specs, None) if variant.windows else random_windows(specs, count, SEED)
    return Network(variant.name, data, windows.inputs[:count])


def _file(path: Path, count: int, config: Config) -> Network:
    data = path.read_bytes()
    return Network(path.stem, data, random_windows(_compiled(data, config).inputs, count, SEED).inputs)


def _verdict(networks: Sequence[Network], cells: Sequence[Cell]) -> int:
    """Integers must be the same to the byte; floats that are all within the oracle's tolerance may differ."""
    status = EXIT_GOOD
    for network in networks:
        ran = [cell for cell in cells if cell.network == network.name and not cell.refused]
        wrong, kinds = [cell.core for cell in ran if cell.wrong], len({cell.outputs for cell in ran})
        same = "the same to the byte" if kinds == 1 else f"within the tolerance, of {kinds} kinds"
        print(f"{network.name}: {', '.join(wrong) + ' WRONG' if wrong else f'{same} on {len(ran)} cores'}")
        status = EXIT_CLAIM if wrong or not ran else status
    return status
