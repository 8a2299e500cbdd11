"""`tinyrig crossval`: how accurate a model family is on windows it has not seen, by stratified k-fold cross-validation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyrig.core.errors import EXIT_GOOD, EXIT_RIG, RigError, UserError
from tinyrig.variants.crossval import evaluate, pool, words
from tinyrig.variants.crossval.evaluate import Outcome, Plan
from tinyrig.variants.crossval.grid import GRID, PAPER
from tinyrig.variants.data import datasets
from tinyrig.variants.networks import families
from tinyrig.variants.networks.families import Network

OUT = Path(__file__).resolve().parents[1] / "out" / "crossval"


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0 good, 2 the user's input is unusable, 3 the host lacks something."""
    args = _parser().parse_args(argv)
    try:
        _crossval(args)
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: finished networks are kept", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return EXIT_RIG
    return EXIT_GOOD


def _crossval(args: argparse.Namespace) -> None:
    wanted = list(GRID) if args.grid else []
    wanted += [families.parse(text) for text in args.networks]
    wanted = list(dict.fromkeys(wanted or [PAPER]))
    plan = Plan(args.folds, args.epochs, args.seed)
    data = datasets.load(args.dataset, args.seed)
    for network in wanted:
        families.check_fits(network, data.x.shape[1])
    folder = Path(args.out).resolve() if args.out else OUT / datasets.name_of(args.dataset)
    outcomes = list(_outcomes(wanted, data, plan, args, folder))
    text = words.page(outcomes, data, plan.epochs)
    _write(folder / "crossval.md", text)
    if args.json:
        _write(Path(args.json), json.dumps(_as_json(outcomes, data, plan), indent=1))
    print(text, end="")


def _outcomes(
    wanted: Sequence[Network], data: datasets.Dataset, plan: Plan, args: argparse.Namespace, folder: Path
) -> Iterator[Outcome]:
    """All that are wanted, in any order; those that an earlier call left behind at once."""
    keys = {network: evaluate.key_of(network, data, plan) for network in wanted}
    missing = []
    for network, key in keys.items():
        found = None if args.force else evaluate.kept(folder, key)
        if found is None:
            missing.append(network)
        else:
            yield found
    _say(f"{len(wanted) - len(missing)} of {len(wanted)} networks are known, {len(missing)} to train")
    for number, outcome in enumerate(pool.trained(missing, data, args.dataset, plan, args.workers), 1):
        evaluate.keep(folder, keys[outcome.network], outcome)
        _say(f"  {number}/{len(missing)} {outcome.network}: {outcome.mean:.2%} ± {outcome.spread:.2%}")
        yield outcome


def _as_json(outcomes: Sequence[Outcome], data: datasets.Dataset, plan: Plan) -> dict[str, object]:
    entries = [dataclasses.asdict(o) | {"network": str(o.network), "test_mean": o.mean, "test_sd": o.spread} for o in outcomes]
    about = {"name": data.name, "synthetic": data.synthetic, "class_names": list(data.class_names)}
    return {"schema": 1, "dataset": about, "plan": dataclasses.asdict(plan), "networks": entries}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{path}: can't be written", received=str(error), remedy="choose another file") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tinyrig crossval", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{families.GRAMMAR} (default: the paper's, {PAPER})")
    parser.add_argument("--grid", action="store_true", help=f"both families over sizes, kernels and rates: {len(GRID)} of them")
    parser.add_argument("--dataset", default="glove", help="glove (synthetic), watch, an .npz file or a folder of CSV files")
    parser.add_argument("--folds", type=int, default=evaluate.FOLDS, metavar="K", help="default 10")
    parser.add_argument("--epochs", type=_count, default=evaluate.EPOCHS, metavar="N", help=f"default {evaluate.EPOCHS}")
    parser.add_argument("--seed", type=_seed, default=0, help="of the synthetic data, the folds and the training (default 0)")
    parser.add_argument("--workers", type=_count, metavar="N", help="training processes (default: one a core)")
    parser.add_argument("--out", metavar="DIR", help="where outcomes are kept (default: variants/out/crossval/<dataset>)")
    parser.add_argument("--json", metavar="FILE", help="write the outcomes of all folds as JSON too")
    parser.add_argument("--force", action="store_true", help="train anew what is known already")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError("a seed is in 0..4294967295")
    return value


if __name__ == "__main__":
    sys.exit(main())
