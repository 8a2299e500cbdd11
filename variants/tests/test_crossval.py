"""Cross-validation: folds, the stacked training against Keras' own, kept outcomes, and the command."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from tinyrig.core.errors import UserError
from tinyrig.variants.crossval import __main__ as command
from tinyrig.variants.crossval import evaluate, page, pool, stacked
from tinyrig.variants.crossval.evaluate import CrossvalResult, CrossvalSettings
from tinyrig.variants.crossval.grid import GRID, PAPER
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.networks import families, models
from tinyrig.variants.networks.families import CNN, MLP, Layer, Network, parse

STEPS, CHANNELS, CLASSES = 9, 3, 3


def small(windows=60, groups=None, seed=1):
    """Windows whose class shows in their first channel's mean."""
    rng = np.random.default_rng(seed)
    y = np.arange(windows) % CLASSES
    x = rng.standard_normal((windows, STEPS, CHANNELS)).astype(np.float32)
    x[:, :, 0] += 1.5 * y[:, None]
    names, channels = tuple("abc"), tuple("xyz")
    return datasets.Dataset("small", x, y.astype(np.int64), names, channels, groups, True, "made up")


def result(text="cnn-16x3", test=(0.9, 0.95), macs=100):
    confusion = ((3, 0, 0), (0, 2, 1), (0, 0, 3))
    return CrossvalResult(parse(text), (1.0, 0.99), tuple(test), confusion, 10, macs, 1000, "stratified 2-fold, seed 0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cnn-16x3", PAPER),
        ("cnn-16x5s2-8x3p2-max-lr10", Network(CNN, (Layer(16, 5, 2), Layer(8, 3, 1, 2)), "max", rate=10)),
        ("mlp-64-32-relu6", Network(MLP, (Layer(64), Layer(32)), "flat", "relu6")),
    ],
)
def test_a_network_is_spelled(text, expected):
    assert parse(text) == expected
    assert str(expected) == text


BAD = [
    "",
    "cnn",
    "cnn-16",
    "cnn-0x3",
    "cnn-16x0",
    "mlp-8x3",
    "mlp-9999",
    "cnn-16x3@2",
    "mlp-1-1-1-1-1-1-1",
    "cnn-8x3s0",
    "mlp-8-max",
    "cnn-8x3-lr0",
    "cnn-8x3-lr2000",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_network_is_refused(text):
    with pytest.raises(UserError, match="not a network"):
        parse(text)


@pytest.mark.parametrize("text", ["cnn-8x3s1", "cnn-08x3", "mlp-8-lr1", "cnn-8x3p1"])
def test_a_network_has_one_spelling(text):
    with pytest.raises(UserError, match="another spelling"):
        parse(text)


def test_the_grid_has_both_families_and_the_papers_choice():
    assert len(set(GRID)) == len(GRID) and PAPER in GRID
    assert {n.family for n in GRID} == {CNN, MLP}
    assert [parse(str(n)) for n in GRID] == list(GRID)


def test_folds_hold_out_each_window_once_and_every_class_in_each():
    data = small()
    folds, method = evaluate.folds_of(data, CrossvalSettings(folds=5))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    assert all(set(train).isdisjoint(test) and set(data.y[test]) == {0, 1, 2} for train, test in folds)
    assert method == "stratified 5-fold, seed 0"


@pytest.mark.parametrize(("people", "folds", "expected"), [(4, 10, 4), (12, 3, 3)])
def test_no_group_is_on_both_sides(people, folds, expected):
    groups = np.array([f"p{i // CLASSES % people}" for i in range(72)])
    found, _ = evaluate.folds_of(small(72, groups), CrossvalSettings(folds=folds))
    assert len(found) == expected
    assert all(set(groups[train]).isdisjoint(groups[test]) for train, test in found)


@pytest.mark.parametrize(("data", "folds"), [(small(), 1), (small(), 21), (small(groups=np.zeros(60, int)), 2)])
def test_folds_that_cannot_be_made_are_refused(data, folds):
    with pytest.raises(UserError, match="folds"):
        evaluate.folds_of(data, CrossvalSettings(folds=folds))


def test_windows_too_short_for_the_kernels_are_refused():
    with pytest.raises(UserError, match="does not fit"):
        families.check_fits(parse("cnn-4x5s2p2-4x3"), 14)
    families.check_fits(parse("cnn-4x5s2p2-4x3"), 15)
    families.check_fits(parse("mlp-4"), 1)


def in_keras(network, weights, data, fold, rows, epochs):
    """The same training by Keras: one fold, windows in the same order."""
    model = families.keras_model(network, STEPS, CHANNELS, CLASSES)
    model.set_weights([w[fold] for w in weights])
    keras = models.tensorflow().keras
    model.compile(optimizer=keras.optimizers.Adam(network.learning_rate), loss="sparse_categorical_crossentropy")
    x = ((data.x - data.mean[fold]) / data.std[fold]).astype(np.float32)
    for epoch in range(epochs):
        model.fit(x[rows[epoch]], data.y[rows[epoch]], batch_size=8, epochs=1, shuffle=False, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("text", ["cnn-5x3-4x3-lr10", "cnn-5x2s2p2-4x2-flat-relu6-lr10", "cnn-5x3p2-max-lr10", "mlp-6-5-lr10"])
def test_stacked_training_is_keras_training_of_each_fold(text):
    """Folds of unequal size, so that the shorter one has empty and partial batches."""
    network, data, epochs = parse(text), small(), 3
    rows = [np.arange(0, 40), np.arange(13, 60 - 18)]
    norms = [splits.fit_normalisation(data.x[r]) for r in rows]
    arrays = stacked.FoldData(data.x, data.y, np.stack([n.mean for n in norms]), np.stack([n.std for n in norms]))
    start = stacked.initial(network, arrays, CLASSES, [3, 4])
    order = stacked.orders(rows, epochs, 8, np.random.default_rng(5))
    trained = stacked.train(network, start, arrays, order)
    predicted = stacked.predict(network, trained, arrays, rows)
    for fold, own in enumerate(rows):
        own_order = [order[0][e].swapaxes(0, 1)[fold].reshape(-1)[: len(own)] for e in range(epochs)]
        assert all(sorted(taken) == list(own) for taken in own_order)
        model = in_keras(network, start, arrays, fold, own_order, epochs)
        for ours, theirs, before in zip(trained, model.get_weights(), start, strict=True):
            np.testing.assert_allclose(ours[fold], theirs, atol=2e-5)
            assert np.abs(ours[fold] - before[fold]).max() > 1e-3
        x = ((data.x[own] - arrays.mean[fold]) / arrays.std[fold]).astype(np.float32)
        assert list(predicted[fold]) == list(model.predict(x, verbose=0).argmax(1))


@pytest.mark.slow
def test_a_network_learns_and_its_confusion_counts_every_window():
    data = small(90)
    found = evaluate.evaluate(parse("mlp-8-lr10"), data, CrossvalSettings(folds=3, epochs=20, batch=8))
    confusion = np.array(found.confusion)
    assert confusion.sum() == 90 and list(confusion.sum(1)) == [30, 30, 30]
    assert found.mean == pytest.approx(np.trace(confusion) / 90) and found.mean > 0.8
    assert (found.parameters, found.macs) == (27 * 8 + 8 + 8 * 3 + 3, 27 * 8 + 8 * 3)
    assert found.tflite_bytes > 4 * found.parameters


def test_results_are_kept_by_content(tmp_path):
    data, settings = small(), CrossvalSettings()
    key = evaluate.key_of(PAPER, data, settings)
    others = [
        evaluate.key_of(parse("cnn-16x5"), data, settings),
        evaluate.key_of(PAPER, small(seed=2), settings),
        evaluate.key_of(PAPER, data, dataclasses.replace(settings, epochs=1)),
    ]
    assert len({key, *others}) == 4
    assert evaluate.kept(tmp_path, key) is None
    evaluate.keep(tmp_path, key, result())
    assert evaluate.kept(tmp_path, key) == result()
    next(tmp_path.iterdir()).write_text("{")
    assert evaluate.kept(tmp_path, key) is None


def test_the_cheapest_within_one_standard_error_is_named():
    big, near = result("cnn-32x3", (0.94, 0.98), 300), result("cnn-8x3", (0.93, 0.96), 80)
    far = result("cnn-4x3", (0.7, 0.9), 40)
    assert page.best_of([far, near, big]) is big
    assert page.smallest_of([far, near, big]) is near  # 0.96 - 0.0283 / sqrt(2) = 0.94
    text = page.page([far, near, big], small(), 80)
    assert "`cnn-32x3` is the most accurate, and `cnn-8x3` is the cheapest" in text
    assert "small (synthetic)" in text and "| b" in text and "66.7%" in text


def run(tmp_path, *words_):
    return command.main([*words_, "--dataset", str(tmp_path / "own.npz"), "--out", str(tmp_path / "out")])


@pytest.fixture
def own(tmp_path):
    data = small()
    np.savez(tmp_path / "own.npz", x=data.x, y=data.y, class_names=np.array(data.class_names))
    return tmp_path


def test_the_command_trains_once(own, capsys):
    wanted = ("mlp-4", "--folds", "3", "--epochs", "2", "--json", str(own / "o.json"))
    assert run(own, *wanted) == 0
    first = capsys.readouterr()
    assert run(own, *wanted) == 0
    second = capsys.readouterr()
    assert first.out == second.out == (own / "out" / "crossval.md").read_text()
    assert "1 to train" in first.err and "0 to train" in second.err
    found = json.loads((own / "o.json").read_text())
    assert [c["network"] for c in found["networks"]] == ["mlp-4"]


@pytest.mark.parametrize("words_", [("cnn-4x99",), ("cnn-4",), ("--folds", "1"), ("--folds", "50")])
def test_the_command_refuses_with_exit_2(own, words_, capsys):
    assert run(own, *words_) == 2
    assert "expected" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_trains_several_in_processes_of_their_own(own, capsys):
    asked = [
        sys.executable,
        "-m",
        "tinyrig.variants.crossval",
        "mlp-4",
        "cnn-2x3",
        "--folds",
        "2",
        "--epochs",
        "1",
        "--workers",
        "2",
    ]
    asked += ["--dataset", str(own / "own.npz"), "--out", str(own / "out")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, "2/2" in done.stderr) == (0, True), done.stderr
    assert "mlp-4" in done.stdout and "cnn-2x3" in done.stdout


def test_data_that_changed_before_a_training_process_read_them_are_refused():
    """The result would be kept under the other data's key."""
    with pytest.raises(UserError, match="changed while it was read"):
        pool._train(PAPER, "glove", "0" * 64, CrossvalSettings(2, 1, 0))
