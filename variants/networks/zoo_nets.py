"""Networks of the kinds that users bring, for the zoo: every function takes the legacy Keras and returns its model."""

from __future__ import annotations

from typing import Any


def build_mobilenet_v2(keras: Any) -> Any:
    """Visual wake words as MCUNet has it: an image that comes channels first, inverted residuals, padding as ops of its own."""
    L = keras.layers
    image = keras.Input((3, 80, 80))
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(L.Permute((2, 3, 1))(image))
    x = L.ReLU(6)(L.Conv2D(8, 3, 2, "valid")(x))
    blocks = [(8, 1, 1), (16, 2, 3), (16, 1, 3), (24, 2, 3), (24, 1, 3), (40, 2, 3), (40, 1, 3), (64, 2, 3)]
    for channels, stride, widening in blocks:
        x = _inverted_residual(keras, x, channels, stride, widening)
    x = L.GlobalAveragePooling2D()(L.ReLU(6)(L.Conv2D(96, 1)(x)))
    return keras.Model(image, L.Softmax()(L.Dense(2)(x)))


def _inverted_residual(keras: Any, x: Any, channels: int, stride: int, widening: int) -> Any:
    L = keras.layers
    y = L.ReLU(6)(L.Conv2D(x.shape[-1] * widening, 1)(x)) if widening > 1 else x
    if stride == 2:
        y = L.ZeroPadding2D(((0, 1), (0, 1)))(y)
    y = L.ReLU(6)(L.DepthwiseConv2D(3, stride, "valid" if stride == 2 else "same")(y))
    y = L.Conv2D(channels, 1)(y)
    return L.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y


def build_resnet_wide(keras: Any) -> Any:
    """Residual net with sums of up to 1,152 terms: stacks of 32, 64 and 128 channels."""
    L = keras.layers
    image = keras.Input((20, 20, 3))
    x = L.ReLU()(L.Conv2D(32, 3, 1, "same")(image))
    for channels, stride in ((32, 1), (64, 2), (128, 2)):
        y = L.ReLU()(L.Conv2D(channels, 3, stride, "same")(x))
        y = L.Conv2D(channels, 3, 1, "same")(y)
        x = L.ReLU()(L.Add()([x if stride == 1 else L.Conv2D(channels, 1, stride, "same")(x), y]))
    return keras.Model(image, L.Softmax()(L.Dense(10)(L.GlobalAveragePooling2D()(x))))


def build_attention(keras: Any) -> Any:
    """One block of self-attention over 32 steps, two heads of 16, then a widened dense pair, both with a way around."""
    L = keras.layers
    series = keras.Input((32, 12))
    x = L.Dense(32)(series)
    heads = []
    for _ in range(2):
        q, k, v = (L.Dense(16)(x) for _ in range(3))
        heads.append(L.Dot((2, 1))([L.Softmax()(L.Dot((2, 2))([q, k])), v]))
    x = L.Add()([x, L.Dense(32)(L.Concatenate()(heads))])
    x = L.Add()([x, L.Dense(32)(L.ReLU()(L.Dense(64)(x)))])
    return keras.Model(series, L.Softmax()(L.Dense(6)(L.GlobalAveragePooling1D()(x))))


def build_unet(keras: Any) -> Any:
    """Segmentation of 48x48 into 2 classes: down twice, up twice by transposed convolutions, with concatenations across."""
    L = keras.layers
    image = keras.Input((48, 48, 1))
    x, across = image, []
    for channels in (8, 16):
        x = L.ReLU()(L.Conv2D(channels, 3, 1, "same")(x))
        across.append(x)
        x = L.MaxPooling2D(2)(x)
    x = L.ReLU()(L.Conv2D(32, 3, 1, "same")(x))
    for channels in (16, 8):
        x = L.Concatenate()([L.Conv2DTranspose(channels, 2, 2, "same")(x), across.pop()])
        x = L.ReLU()(L.Conv2D(channels, 3, 1, "same")(x))
    return keras.Model(image, L.Conv2D(2, 1)(x))


def build_lstm(keras: Any) -> Any:
    """Keyword spotting: 49 frames of 10 MFCC through an LSTM of 32 cells."""
    L = keras.layers
    series = keras.Input((49, 10))
    return keras.Model(series, L.Softmax()(L.Dense(12)(L.LSTM(32)(series))))


def build_tcn(keras: Any) -> Any:
    """Dilated causal convolutions over 128 steps, dilations 1 to 8, each with a way around."""
    L = keras.layers
    series = keras.Input((128, 8))
    x = L.Conv1D(16, 1)(series)
    for dilation in (1, 2, 4, 8):
        y = L.ReLU()(L.Conv1D(16, 3, 1, "causal", dilation_rate=dilation)(x))
        x = L.Add()([x, L.Conv1D(16, 1)(y)])
    return keras.Model(series, L.Softmax()(L.Dense(5)(L.GlobalAveragePooling1D()(x))))


def build_conv16(keras: Any) -> Any:
    """Sound events: 40x16 features through plain, depthwise and pointwise layers, small enough for 16-bit activations."""
    L = keras.layers
    x = image = keras.Input((40, 16, 1))
    x = L.ReLU()(L.Conv2D(16, 3, 2, "same")(x))
    for channels in (24, 32):
        x = L.ReLU()(L.DepthwiseConv2D(3, 1, "same")(x))
        x = L.ReLU()(L.Conv2D(channels, 1)(x))
    x = L.Flatten()(L.AveragePooling2D((5, 4))(x))
    return keras.Model(image, L.Softmax()(L.Dense(8)(x)))
