"""The network zoo: usual small networks with seeded random weights, float32 and full-int8, to run the engine on.

    python -m tinyrig.variants.networks.zoo [NAME ...] [--out DIR] [--seed N] [--windows N]

Nothing is trained. Every layer's weights are scaled on seeded random windows so that activations stay alive and int8
outputs differ from window to window; what the nets "recognise" is meaningless, and the labels in the windows are the
float network's own top class. Layer shapes are those of the MLPerf Tiny reference networks (DS-CNN keyword spotting,
ResNet-8, MobileNet v1 0.25, dense autoencoder); the 1-D CNN is ours.
Others are of kinds that users bring (zoo_nets.py). `mobilenet_dead` has what training leaves behind and seeded weights
lack: filters without weights, whose int8 scales are so small that the bias is at its limit of 2^30.
Each network gives `<name>_f32.tflite`, `<name>_int8.tflite` and `<name>_windows.npz` (`x` in real units, `y` where its
output is classes); `conv16` gives `<name>_int16x8.tflite`: 16-bit activations, 8-bit weights.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.config import load_config
from tinyrig.core.errors import RigError, UserError
from tinyrig.places.project import made
from tinyrig.variants.networks import zoo_nets
from tinyrig.variants.networks.tflite_facts import weights_and_macs

CALIBRATION_WINDOWS = 64


@dataclass(frozen=True)
class ZooNet:
    """`build(keras)` makes the Keras model; `macs` is what the finished .tflite must count (a recurrent layer's are not among
    them); `smooth` is the width, in samples, of the moving average that turns white noise into windows; `dead` is the share of
    each convolution's filters that get next to no weights."""

    name: str
    title: str
    build: Callable[[Any], Any]
    macs: int
    smooth: int = 3
    kinds: tuple[str, ...] = ("f32", "int8")
    dead: float = 0.0


def build_dscnn(keras: Any) -> Any:
    """Keyword spotting: 49x10 MFCC, 12 classes."""
    L = keras.layers
    x = image = keras.Input((49, 10, 1))
    x = L.ReLU()(L.Conv2D(64, (10, 4), 2, "same")(x))
    for _ in range(4):
        x = L.ReLU()(L.DepthwiseConv2D(3, 1, "same")(x))
        x = L.ReLU()(L.Conv2D(64, 1)(x))
    x = L.Flatten()(L.AveragePooling2D((25, 5))(x))
    return keras.Model(image, L.Softmax()(L.Dense(12)(x)))


def build_resnet8(keras: Any) -> Any:
    """Residual CIFAR-10 network: three stacks of 16, 32 and 64 channels."""
    L = keras.layers
    image = keras.Input((32, 32, 3))
    x = L.ReLU()(L.Conv2D(16, 3, 1, "same")(image))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = L.ReLU()(L.Conv2D(channels, 3, stride, "same")(x))
        y = L.Conv2D(channels, 3, 1, "same")(y)
        shortcut = x if stride == 1 else L.Conv2D(channels, 1, stride, "same")(x)
        x = L.ReLU()(L.Add()([shortcut, y]))
    x = L.Flatten()(L.AveragePooling2D(8)(x))
    return keras.Model(image, L.Softmax()(L.Dense(10)(x)))


def build_mobilenet(keras: Any) -> Any:
    """Visual wake words: MobileNet v1, width 0.25, 96x96 RGB, 2 classes."""
    L = keras.layers
    image = keras.Input((96, 96, 3))
    x = L.ReLU()(L.Conv2D(8, 3, 2, "same")(image))
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for channels, stride in blocks:
        x = L.ReLU()(L.DepthwiseConv2D(3, stride, "same")(x))
        x = L.ReLU()(L.Conv2D(channels, 1)(x))
    x = L.Flatten()(L.AveragePooling2D(3)(x))
    return keras.Model(image, L.Softmax()(L.Dense(2)(x)))


def build_autoencoder(keras: Any) -> Any:
    """Anomaly detection: 640-128x4-8-128x4-640, linear output."""
    L = keras.layers
    x = features = keras.Input((640,))
    for units in (128,) * 4 + (8,) + (128,) * 4:
        x = L.ReLU()(L.Dense(units)(x))
    return keras.Model(features, L.Dense(640)(x))


def build_cnn1d(keras: Any) -> Any:
    """Gesture-like 1-D CNN: 128 steps of 6 channels, average pooling, tanh, 5 classes."""
    L = keras.layers
    series = keras.Input((128, 6))
    x = L.AveragePooling1D(2)(L.ReLU()(L.Conv1D(16, 5, 1, "same")(series)))
    x = L.AveragePooling1D(2)(L.Activation("tanh")(L.Conv1D(24, 3)(x)))
    x = L.ReLU()(L.Conv1D(32, 3, 2, "same")(x))
    x = L.GlobalAveragePooling1D()(x)
    x = L.Activation("tanh")(L.Dense(16)(x))
    return keras.Model(series, L.Softmax()(L.Dense(5)(x)))


ZOO: dict[str, ZooNet] = {
    net.name: net
    for net in (
        ZooNet("dscnn", "keyword-spotting DS-CNN", build_dscnn, 2_656_768),
        ZooNet("resnet8", "residual CIFAR-10 net", build_resnet8, 12_501_632, smooth=5),
        ZooNet("mobilenet", "MobileNet v1 0.25, 96x96 visual wake words", build_mobilenet, 7_489_664, smooth=9),
        ZooNet("autoencoder", "dense autoencoder", build_autoencoder, 264_192, smooth=9),
        ZooNet("cnn1d", "1-D CNN with average pooling and tanh", build_cnn1d, 170_320, smooth=5),
        ZooNet("mobilenet_dead", "MobileNet v1 0.25 with dead filters", build_mobilenet, 7_489_664, smooth=9, dead=0.3),
        ZooNet("mobilenet_v2", "MobileNetV2-like, channels first, PAD", zoo_nets.build_mobilenet_v2, 3_481_408, smooth=9),
        ZooNet("resnet_wide", "residual net with long sums", zoo_nets.build_resnet_wide, 19_188_480, smooth=5),
        ZooNet("attention", "a block of self-attention", zoo_nets.build_attention, 274_624),
        ZooNet("unet", "U-Net with transposed convolutions", zoo_nets.build_unet, 6_838_272, smooth=9),
        ZooNet("lstm", "keyword-spotting LSTM", zoo_nets.build_lstm, 384),
        ZooNet("tcn", "dilated causal TCN", zoo_nets.build_tcn, 540_752),
        ZooNet("conv16", "convolutions on 16-bit activations", zoo_nets.build_conv16, 267_008, kinds=("int16x8",)),
    )
}


def random_windows(shape: tuple[int, ...], count: int, smooth: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [count, *shape], roughly unit variance: noise averaged over `smooth` neighbours, and each window has an offset."""
    x = rng.standard_normal((count, *shape)).astype(np.float32)
    for axis in range(1, min(len(shape), 2) + 1):
        x = np.asarray(sum(np.roll(x, shift, axis) for shift in range(smooth)), np.float32) / np.float32(np.sqrt(smooth))
    offset = rng.standard_normal((count, *[1] * (len(shape) - 1), shape[-1])).astype(np.float32)
    return (0.8 * x + 0.6 * offset).astype(np.float32)


def scale_weights(keras: Any, model: Any, x: np.ndarray, rng: np.random.Generator, dead: float = 0.0) -> None:
    """Draw every layer's weights, then scale them channel by channel so that on `x` [N, ...] its outputs have a spread of 0.5
    to 1.5 around a mean of -0.3 to 0.5: half-alive ReLUs and weight scales that differ per channel. The weights of a share
    `dead` of a convolution's filters, drawn too, are then all but nought; a recurrent layer's are only drawn."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.LSTM):
            layer.set_weights([rng.normal(0, w.shape[0] ** -0.5, w.shape).astype(np.float32) for w in layer.get_weights()])
        elif layer.weights:
            _scale_layer(keras, model, layer, x, rng, dead)


DEAD = 1e-12
"""Factor of a dead filter's weights: what training with weight decay leaves of them once the normalisation is folded in."""


def _scale_layer(keras: Any, model: Any, layer: Any, x: np.ndarray, rng: np.random.Generator, dead: float) -> None:
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    axis = 2 if depthwise or isinstance(layer, keras.layers.Conv2DTranspose) else -1
    kernel = rng.standard_normal(layer.weights[0].shape).astype(np.float32)
    channels = kernel.shape[axis]
    layer.set_weights([kernel, np.zeros(channels, np.float32)])
    y = keras.Model(model.input, layer.output)(x).numpy().reshape(-1, channels)
    gain = rng.uniform(0.5, 1.5, channels) / np.maximum(y.std(axis=0), 1e-6)
    bias = rng.uniform(-0.3, 0.5, channels) - gain * y.mean(axis=0)
    kernel_gain = np.where(rng.random(channels) < dead, DEAD, gain) if dead and kernel.ndim == 4 else gain
    shaped = kernel_gain[:, None] if axis == 2 else kernel_gain
    layer.set_weights([(kernel * shaped).astype(np.float32), bias.astype(np.float32)])


def convert(model: Any, windows: np.ndarray, kind: str) -> bytes:
    """Keras model -> .tflite with a batch of 1; int8 and int16x8 are full-integer, at the border too, calibrated on `windows`."""
    import tensorflow as tf

    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    function = tf.function(model).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if kind != "f32":
        sets, border = tf.lite.OpsSet, {"int8": tf.int8, "int16x8": tf.int16}[kind]
        int16 = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([window[None]] for window in windows)
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8 if kind == "int8" else int16]
        converter.inference_input_type = converter.inference_output_type = border
    return bytes(converter.convert())


def build_net(net: ZooNet, out: Path, seed: int, windows: int = 16) -> int:
    """Write its files below `out`; returns its MACs. Raises RigError unless every file has `net.macs`."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    keras = tf.keras
    rng = np.random.default_rng([seed, *net.name.encode()])
    model = net.build(keras)
    x = random_windows(model.input_shape[1:], CALIBRATION_WINDOWS + windows, net.smooth, rng)
    scale_weights(keras, model, x[:CALIBRATION_WINDOWS], rng, net.dead)
    test = x[CALIBRATION_WINDOWS:]
    for kind in net.kinds:
        data = convert(model, x[:CALIBRATION_WINDOWS], kind)
        macs = weights_and_macs(data)[1]
        if macs != net.macs:
            raise RigError(
                f"network {net.name!r} came out different",
                expected=f"{net.macs} MACs",
                received=f"{macs}",
                remedy="the converter changed the graph: compare its layers with variants/networks/zoo.py",
            )
        (out / f"{net.name}_{kind}.tflite").write_bytes(data)
    outputs = model(test).numpy()
    classes = outputs.ndim == 2 and net.name != "autoencoder"
    np.savez_compressed(out / f"{net.name}_windows.npz", x=test, **({"y": outputs.argmax(axis=1)} if classes else {}))
    return net.macs


def build_zoo(names: Iterable[str], out: Path, seed: int = 1, windows: int = 16) -> None:
    """Build the named networks below `out`, a line each. Raises UserError for an unknown name."""
    names = list(names)
    if seed < 0 or windows < 1:
        raise UserError("--seed or --windows out of range", expected="seed >= 0, windows >= 1", received=f"{seed}, {windows}")
    for name in names:
        if name not in ZOO:
            raise UserError(f"no zoo network {name!r}", expected=", ".join(ZOO), received=name, remedy="choose one of those")
    made(out)
    for name in names:
        macs = build_net(ZOO[name], out, seed, windows)
        sizes = [f"{kind} {(out / f'{name}_{kind}.tflite').stat().st_size:>9,} B" for kind in ZOO[name].kinds]
        print(f"{name:14} {macs:>11,} MACs   {'   '.join(sizes)}   {ZOO[name].title}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns design.md's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyrig.variants.networks.zoo", description="Build the test networks: random weights."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ZOO)} (default: all)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: .tinyrig/variants/zoo")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--windows", type=int, default=16, metavar="N", help="test windows per network (default 16)")
    args = parser.parse_args(argv)
    try:
        build_zoo(args.names or ZOO, args.out or Path(load_config().folders.variants) / "zoo", args.seed, args.windows)
    except RigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
