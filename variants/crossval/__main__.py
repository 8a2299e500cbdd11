"""`tinyrig crossval`: how accurate a model family is on windows it has not seen, by stratified k-fold cross-validation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyrig.core.config import load_config
from tinyrig.core.errors import EXIT_GOOD, RigError, UserError
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.places.project import made
from tinyrig.variants import arguments
from tinyrig.variants.crossval import evaluate, page, pool
from tinyrig.variants.crossval.evaluate import CrossvalResult, CrossvalSettings
from tinyrig.variants.crossval.grid import GRID, PAPER
from tinyrig.variants.data import datasets
from tinyrig.variants.networks import families
from tinyrig.variants.networks.families import Network


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0 good, 2 the user's input is unusable, 3 the host lacks something; 128 and the number of the signal that
    ended it."""
    args = _parser().parse_args(argv)
    try:
        with ending():
            _crossval(args)
    except RigError as error:
        say(f"tinyrig: {error}")
        return error.exit_code
    except KeyboardInterrupt as interruption:
        print("interrupted: finished networks are kept", file=sys.stderr)
        return exit_status(interruption)
    except Exception as error:
        return unforeseen(error, "tinyrig")
    return EXIT_GOOD


def _crossval(args: argparse.Namespace) -> None:
    wanted = list(GRID) if args.grid else []
    wanted += [families.parse(text) for text in args.networks]
    wanted = list(dict.fromkeys(wanted or [PAPER]))
    settings = CrossvalSettings(args.folds, args.epochs, args.seed)
    data = datasets.load(args.dataset, args.seed, _show)
    for network in wanted:
        families.check_fits(network, data.x.shape[1])
    folder = (
        Path(args.out).resolve()
        if args.out
        else Path(load_config().folders.variants) / "crossval" / datasets.name_of(args.dataset)
    )
    results = list(_results(wanted, data, settings, args, folder))
    text = page.page(results, data, settings.epochs)
    _write_text(folder / "crossval.md", text)
    if args.json:
        _write_text(Path(args.json), json.dumps(_as_json(results, data, settings), indent=1, allow_nan=False))
    print(text, end="")


def _results(
    wanted: Sequence[Network], data: datasets.Dataset, settings: CrossvalSettings, args: argparse.Namespace, folder: Path
) -> Iterator[CrossvalResult]:
    """One for each wanted network, in any order; those that an earlier call left behind come first."""
    keys = {network: evaluate.key_of(network, data, settings) for network in wanted}
    missing = []
    for network, key in keys.items():
        found = None if args.force else evaluate.kept(folder, key)
        if found is None:
            missing.append(network)
        else:
            yield found
    _show(f"{len(wanted) - len(missing)} of {len(wanted)} networks are known, {len(missing)} to train")
    for number, result in enumerate(pool.trained(missing, data, args.dataset, settings, args.workers), 1):
        evaluate.keep(folder, keys[result.network], result)
        _show(f"  {number}/{len(missing)} {result.network}: {result.mean:.2%} ± {result.spread:.2%}")
        yield result


def _as_json(results: Sequence[CrossvalResult], data: datasets.Dataset, settings: CrossvalSettings) -> dict[str, object]:
    entries = [dataclasses.asdict(r) | {"network": str(r.network), "test_mean": r.mean, "test_sd": r.spread} for r in results]
    about = {"name": data.name, "synthetic": data.synthetic, "class_names": list(data.class_names)}
    return {"schema": 1, "dataset": about, "plan": dataclasses.asdict(settings), "networks": entries}


def _write_text(path: Path, text: str) -> None:
    try:
        made(path.parent)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{path}: can't be written", received=str(error), remedy="choose another file") from error


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


_EXAMPLES = """examples:
  tinyrig crossval
  tinyrig crossval cnn-8x3 mlp-32 --dataset own.npz --json crossval.json
  tinyrig crossval --grid

exit codes: 0 good; 2 unusable input; 3 this machine lacks something, or a training failed"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyrig crossval",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
        description="Measure by stratified k-fold cross-validation how accurate networks are on windows that they have not seen.",
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{families.GRAMMAR} (default: the paper's, {PAPER})")
    parser.add_argument(
        "--grid", action="store_true", help=f"add both families over sizes, kernels and rates: {len(GRID)} networks"
    )
    arguments.add_data_arguments(parser, "the folds and the training")
    parser.add_argument("--folds", type=int, default=evaluate.FOLDS, metavar="K", help="number of folds (default 10)")
    parser.add_argument(
        "--epochs", type=arguments.count, default=evaluate.EPOCHS, metavar="N", help=f"epochs a fold (default {evaluate.EPOCHS})"
    )
    parser.add_argument("--workers", type=arguments.count, metavar="N", help="training processes (default: one per core)")
    parser.add_argument(
        "--out", metavar="DIR", help="folder that keeps the results (default: .tinyrig/variants/crossval/<dataset>)"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the results of all folds as JSON")
    parser.add_argument("--force", action="store_true", help="train again even where a result is known")
    return parser


if __name__ == "__main__":
    sys.exit(main())
