"""`python -m tinyrig.variants`: builds the .tflite variants of a dataset, or finds that they are built already."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinyrig.core.config import load_config
from tinyrig.core.errors import EXIT_GOOD, EXIT_USER, RigError
from tinyrig.core.text import visible
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.variants import arguments
from tinyrig.variants.data import datasets
from tinyrig.variants.lab import build, builders, chains, listing, manifest, user_builders


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0 good, 2 the user's input is unusable, 3 the host lacks something or a build failed; 128 and the number of
    the signal that ended it."""
    args = _parser().parse_args(argv)
    try:
        with ending():
            print(_answer(args), flush=True)
    except BrokenPipeError:  # `tinyrig variants --list | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_GOOD
    except RigError as error:
        say(f"error: {error}")
        return error.exit_code
    except SystemExit as end:  # of a step or of what it imports: nothing of ours ends the process
        print(f"error: a builder or step ended the process, with exit({end.code!r})", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt as interruption:
        print("interrupted: nothing was changed", file=sys.stderr)
        return exit_status(interruption)
    except Exception as error:  # disk full, or a mistake in a builder's code
        return unforeseen(error, "error")
    return EXIT_GOOD


def _answer(args: argparse.Namespace) -> str:
    tables = user_builders.tables({**load_config().networks, **user_builders.pairs(args.own)})
    folder = _folder(args)
    if args.list:
        return listing.text(tables, folder)
    every = {builders.EVERYTHING: builders.EVERY_LINE}
    names = [n for name in args.names or builders.DEFAULT for n in every.get(name, (name,))]
    nodes = chains.plan(names, tables, args.epochs)  # refuses names before anything else happens
    if args.seeds or args.leave_out:
        return _compared(nodes, args)
    found = ensure(folder, args, nodes, tables)
    return str(folder) if args.folder_only else _summary(folder, *found)


def _folder(args: argparse.Namespace) -> Path:
    return Path(args.out).resolve() if args.out else Path(load_config().folders.variants) / datasets.name_of(args.dataset)


def _compared(nodes: list[chains.Node], args: argparse.Namespace) -> str:
    from tinyrig.variants.lab import repetitions, seeds_table

    datasets.load(args.dataset, args.seed, _show)  # its cautions are said once, and not by each training process

    plan = repetitions.RepetitionPlan(
        args.dataset, args.seed, args.seeds, tuple(node.name for node in nodes), args.epochs, args.force, tuple(args.own)
    )
    folder = Path(args.out).resolve() if args.out else Path(load_config().folders.reports)
    return seeds_table.write(plan, repetitions.results(plan, nodes, folder), folder)


def ensure(
    folder: Path, args: argparse.Namespace, nodes: list[chains.Node], tables: builders.Tables
) -> tuple[dict[str, Any], float]:
    """The folder's manifest and the seconds spent on building it, 0 if it was finished already."""
    source = build.source_of(args.dataset, args.seed)
    recipe = build.recipe_of(args.dataset, args.seed, args.epochs)
    keys = {node.name: chains.key(node, source) for node in nodes}
    if not args.force and (found := manifest.finished(folder, recipe, keys)):
        for text in found["dataset"].get("cautions", ()):
            _show(f"warning: {visible(str(text))}")
        return found, 0.0
    with manifest.locked(folder, lambda: print(f"waiting for another build of {folder}", file=sys.stderr, flush=True)):
        if not args.force and (found := manifest.finished(folder, recipe, keys)):
            return found, 0.0  # somebody else built it while we waited
        if args.out:  # the default folder is ours, even when half gone
            manifest.check_replaceable(folder)
        started = time.monotonic()
        wanted = _with_present(folder, recipe, nodes, tables, args.epochs)
        data = datasets.load(args.dataset, args.seed, _show)
        if data.source_id and dict(data.source_id) != recipe["dataset"]:
            raise datasets.changed(args.dataset)
        with _progress(folder) as progress:
            built = build.build(folder, wanted, data, recipe, progress, args.force)
        return built, time.monotonic() - started


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _with_present(
    folder: Path, recipe: dict[str, Any], nodes: list[chains.Node], tables: builders.Tables, epochs: int | None
) -> list[chains.Node]:
    """The named variants and those of the same recipe that the folder holds already: asking for one more loses none."""
    present = manifest.finished(folder, recipe, {})
    wanted = {node.name: node for node in nodes}
    for variant in present["variants"] if present else ():
        with contextlib.suppress(RigError):  # a step whose package is gone
            wanted.setdefault(variant["name"], chains.parse(variant["name"], tables, epochs))
    return [wanted[name] for name in chains.in_order(wanted, tables)]


@contextlib.contextmanager
def _progress(folder: Path) -> Iterator[build.Progress]:
    """A bar for each variant on a terminal, a line for each when piped."""
    if not sys.stderr.isatty():
        print(f"building variants in {folder} (about 20 s where all is new)", file=sys.stderr, flush=True)
        yield lambda name, done, _total: print(f"  {name} ...", file=sys.stderr, flush=True) if not done else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:16}"), BarColumn(), TextColumn("{task.fields[epochs]}"), TimeElapsedColumn())
    # Its own handle of the terminal, because stderr is kept quiet while native code talks.
    with os.fdopen(os.dup(2), "w") as terminal, Progress(*columns, console=Console(file=terminal)) as bars:
        bars.console.print(f"building variants in {folder} (about 20 s where all is new)")
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1)
                tasks[name] = bars.add_task(name, total=None, epochs="")
            if total:
                bars.update(tasks[name], total=total, completed=done, epochs=f"epoch {done}/{total}")

        yield show
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def _summary(folder: Path, found: dict[str, Any], seconds: float) -> str:
    data = found["dataset"]
    label = f"{data['name']}{' (synthetic)' if data['synthetic'] else ''}"
    lines = [f"{label}: {data['n_train']} training and {data['n_test']} test windows, split {data['split']}"]
    width = max(len(v["name"]) for v in found["variants"])
    lines += [
        f"  {v['name']:{width}} {v['host_correct']:4}/{v['host_windows']} right on the host ({v['host_accuracy']:.2%})"
        f"  {v['tflite_bytes']:6} B  {v['sha256'][:12]}{_stored(v)}"
        for v in found["variants"]
    ]
    return "\n".join([*lines, f"{folder}: {f'built in {seconds:.0f} s' if seconds else 'already built'}"])


def _stored(variant: dict[str, Any]) -> str:
    coded = variant.get("compressed_bytes")
    return f"  weights {variant['weight_bytes']} B, coded {coded} B" if coded is not None else ""


_EXAMPLES = """examples:
  tinyrig variants
  tinyrig variants simple simple+pqt --dataset own.npz
  tinyrig variants --seeds 5

exit codes: 0 good; 2 unusable input; 3 this machine lacks something, or a build failed"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyrig variants",
        description="Build the .tflite variants of a dataset, unless they are already built.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=_names_help())
    arguments.add_data_arguments(parser, "the split and the training")
    parser.add_argument("--list", action="store_true", help="list bases, steps with their arguments, and what is already built")
    parser.add_argument(
        "--seeds",
        type=arguments.number_of_seeds,
        metavar="N",
        help="train each variant with N seeds and compare the variants (docs/lab.md)",
    )
    parser.add_argument("--leave-out", choices=["groups"], help="like --seeds, but leave out one group after another for testing")
    parser.add_argument(
        "--own",
        action="append",
        default=[],
        metavar="NAME=WHAT",
        help="use your own network as a base: FILE.keras, FILE.h5 or module:function (also [models] in rig.toml)",
    )
    parser.add_argument("--folder-only", action="store_true", help="print only the path of the finished folder")
    parser.add_argument("--out", metavar="DIR", help="output folder (default: .tinyrig/variants/<dataset name>)")
    parser.add_argument(
        "--epochs", type=arguments.count, metavar="N", help="train every step for N epochs instead (for a quick trial)"
    )
    parser.add_argument("--force", action="store_true", help="build even if the folder is finished")
    return parser


def _names_help() -> str:
    default = ", ".join(builders.DEFAULT)
    return f"BASE or BASE+STEP[@ARGUMENT]+..., see --list; `all` builds one for each line of it (default: {default})"


if __name__ == "__main__":
    sys.exit(main())
