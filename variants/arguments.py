"""Numbers of the command line. argparse names these functions where a text is no number."""

from __future__ import annotations

import argparse


def seed(text: str) -> int:
    """0 to 2**32 - 1, which every random generator takes."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError("a seed is in 0..4294967295")
    return value


def count(text: str) -> int:
    """At least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def number_of_seeds(text: str) -> int:
    """Of as many repetitions; a comparison needs two."""
    value = int(text)
    if not 2 <= value <= 1000:
        raise argparse.ArgumentTypeError("2 to 1000 seeds")
    return value


def add_data_arguments(parser: argparse.ArgumentParser, seeded: str) -> None:
    """--dataset and --seed; `seeded`: what the seed decides besides the synthetic data."""
    parser.add_argument("--dataset", default="glove", help="glove (synthetic), watch, an .npz file or a folder of CSV files")
    parser.add_argument("--seed", type=seed, default=0, help=f"seed of the synthetic data, {seeded} (default 0)")
