"""`tinyrig record`: trials from a board's sensor into a dataset. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinyrig.core.errors import EXIT_GOOD
from tinyrig.live.command import add_virtual


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `record` command, for cli.py."""
    parser = commands.add_parser("record", help="record labelled trials from a board's sensor into a dataset")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    parser.add_argument("--sensor", default="glove", help="what is wired to the board (default: glove)")
    parser.add_argument("--label", required=True, help="class of the trials")
    parser.add_argument("--trials", type=int, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="length of each (default: 3)")
    parser.add_argument("--rate", type=float, metavar="HZ", help="samples a second (default: the sensor's usual one)")
    parser.add_argument("--group", default="", metavar="NAME", help="person or session, which a split keeps together")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="the dataset; trials are added")
    parser.add_argument("--resume", action="store_true", help="up to N trials of the label, counting those that are there")
    parser.add_argument("--yes", action="store_true", help="ask nothing: record all trials one after another")
    parser.add_argument("--no-self-test", action="store_true", help="leave out the sensor's self-test before the first trial")
    add_virtual(parser)
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.config import load_config
    from tinyrig.core.errors import UserError
    from tinyrig.live.sensors import sensor_named
    from tinyrig.record.guide import guide
    from tinyrig.record.record import Plan, record

    config = load_config()
    target = parse_own_board(arguments.board, config.boards, "only our own firmware samples")
    sensor = sensor_named(arguments.sensor)
    if not 0.01 <= arguments.speed <= 1000:
        raise UserError("no such speed", expected="0.01 to 1000", received=f"{arguments.speed:g}")
    plan = Plan(
        sensor,
        arguments.label,
        arguments.trials,
        arguments.seconds,
        arguments.rate or sensor.rate_hz,
        arguments.out,
        arguments.group,
        arguments.resume,
        not arguments.no_self_test,
        arguments.play,
        arguments.speed,
        arguments.play_seed,
        tuple(arguments.fault),
    )
    done = record(plan, target, config, guide(arguments.yes))
    lost = f"; {done.dropped} samples not taken, {done.lost} not fetched" if done.dropped or done.lost else ""
    print(f"{done.stored} trials stored in {plan.folder}, {done.repeated} repeated, {done.skipped} skipped{lost}")
    return EXIT_GOOD
