"""The table of repetitions, and what is not made again; no training here."""

import json

import numpy as np
import pytest

from tinyrig.variants.data import splits
from tinyrig.variants.lab import builders, chains, repetitions, seeds_table

NAMES = ("simple", "pqt", "simple+qat")


def request(**changes):
    return repetitions.RepetitionPlan(**{"dataset": "glove", "seed": 0, "seeds": 5, "names": NAMES} | changes)


def result(variant, seed, accuracy, compressed_bytes=None):
    return repetitions.RepetitionResult(
        variant,
        seed,
        None,
        round(240 * accuracy),
        240,
        accuracy,
        960,
        10,
        None,
        compressed_bytes,
        None,
        7,
        None,
        0.0,
        "key",
        "sha",
    )


def table(rows, **changes):
    lines = seeds_table.markdown(request(**changes), rows).splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {c[0].strip("`"): c[1:] for c in cells}, "\n".join(lines)


def stories():
    """qat differs by 2 points every time, pqt by as much as noise."""
    levels = [0.95, 0.97, 0.93, 0.96, 0.94]
    for seed, level in enumerate(levels):
        yield result("pqt", seed, level + [0.01, -0.01, 0.005, -0.006, 0.002][seed])
        yield result("simple", seed, level)
        yield result("simple+qat", seed, level - 0.02 + [0, 0.001, -0.001, 0.0005, 0][seed], compressed_bytes=3)


def test_noise_is_called_noise_and_a_difference_a_difference():
    lines, text = table([*stories()])
    assert list(lines) == ["simple", "pqt", "simple+qat"]  # the baseline first
    assert lines["simple"][0] == "95.00 %" and lines["simple"][5] == "baseline"
    assert lines["pqt"][2:6:3] == ["+0.02", "within noise"]
    assert lines["simple+qat"][2] == "-1.99" and lines["simple+qat"][4:6] == ["< 0.001", "worse"]
    assert lines["simple+qat"][6:] == ["10", "3", "7"] and lines["pqt"][7] == "-"
    assert "synthetic" in text and "5 seeds" in text


def test_pairs_are_made_by_seed_whatever_the_order_of_rows():
    rows = [*stories()]
    assert table(rows[::-1])[0].items() == table(rows)[0].items()


def test_p_values_are_corrected_for_their_number():
    """A variant that is significant alone isn't among ten others."""
    noise = [0.01, 0.012, 0.002, 0.008, 0.0005]
    base = [result("simple", s, 0.9) for s in range(5)]
    one = [result("pqt", s, 0.9 + noise[s]) for s in range(5)]
    others = [result(f"v{i}", s, 0.9 + (-1) ** (s + i) * 0.01) for i in range(10) for s in range(5)]
    assert table([*base, *one])[0]["pqt"][5] == "better"
    assert table([*base, *one, *others])[0]["pqt"][5] == "within noise"


def test_shared_data_widen_intervals():
    own, _ = table([*stories()])
    shared, text = table([*stories()], dataset="mine.npz")
    width = [float(lines["pqt"][3].split(" to ")[1]) - float(lines["pqt"][3].split(" to ")[0]) for lines in (own, shared)]
    assert width[1] / width[0] == pytest.approx(np.sqrt((1 / 5 + 1 / 4) / (1 / 5)), rel=0.01) and "widened" in text


def test_rows_that_are_there_are_not_made_again(tmp_path, monkeypatch):
    made = []

    def make(request, repetition, names):
        made.append((repetition.seed, names))
        return [result(name, repetition.seed, 0.9) for name in names]

    monkeypatch.setattr(repetitions, "_in_a_process", make)

    def rows(names, **changes):
        wanted = request(names=names, seeds=2, **changes)
        return repetitions.results(wanted, chains.plan(names, builders.BUILT_IN, wanted.epochs), tmp_path)

    rows(("simple", "pqt"))
    assert made == [(0, ("simple", "pqt")), (1, ("simple", "pqt"))]
    found = rows(NAMES)
    assert made[2:] == [(0, ("simple+qat",)), (1, ("simple+qat",))] and [r.variant for r in found] == [*NAMES, *NAMES]
    rows(NAMES)
    assert len(made) == 4
    rows(("simple",), epochs=3)
    rows(("simple",), retrain=True)
    assert len(made) == 8
    stored = json.loads((tmp_path / "seeds-glove.json").read_text())
    assert stored["schema"] == 1 and len(stored["rows"]) == 2


def test_each_group_is_left_out_once():
    groups = np.array(["ann", "bob", "ann", "cy"])
    parts = splits.leave_out(groups, "ann")
    assert parts.test.tolist() == [0, 2] and parts.train.tolist() == [1, 3] and "ann" in parts.method
    found = repetitions._repetitions(request(dataset="watch", seeds=None))
    assert len(found) == 10 and len({r.left_out for r in found}) == 10 and found[0].label.startswith("without ")
