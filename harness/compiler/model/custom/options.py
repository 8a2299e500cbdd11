"""CUSTOM: the options of the custom operators that are known. Their files carry them as a FlexBuffer map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinyrig.core.errors import ModelError

MAX_BYTES, MAX_KEYS = 4096, 64
"""Far beyond what any known operator has."""


@dataclass(frozen=True)
class Key:
    """`kind` is int, float or bool; `default` None: the file must say it."""

    kind: type
    default: int | float | None = None


_INT = Key(int)

CUSTOM: dict[str, dict[str, Key]] = {
    "SignalWindow": {"shift": _INT},
    "SignalFftAutoScale": {},
    "SignalRfft": {"T": _INT, "fft_length": _INT},
    "SignalIrfft": {"T": _INT, "fft_length": _INT},
    "SignalEnergy": {"end_index": _INT, "start_index": _INT},
    "SignalFilterBank": {"num_channels": _INT},
    "SignalFilterBankSquareRoot": {},
    "SignalFilterBankSpectralSubtraction": {
        **dict.fromkeys(("alternate_one_minus_smoothing", "alternate_smoothing", "min_signal_remaining", "num_channels"), _INT),
        **dict.fromkeys(("one_minus_smoothing", "smoothing", "smoothing_bits", "spectral_subtraction_bits"), _INT),
        "clamping": Key(bool),
    },
    "SignalPCAN": {"snr_shift": _INT},
    "SignalFilterBankLog": {"input_correction_bits": _INT, "output_scale": _INT},
    "SignalFramer": {"frame_size": _INT, "frame_step": _INT, "prefill": Key(bool)},
    "SignalOverlapAdd": {"T": _INT, "frame_step": _INT},
    "SignalStacker": dict.fromkeys(("num_channels", "stacker_left_context", "stacker_right_context", "stacker_step"), _INT),
    "SignalDelay": {"delay_length": _INT},
    "TFLite_Detection_PostProcess": {
        **dict.fromkeys(("max_detections", "max_classes_per_detection", "num_classes"), _INT),
        **dict.fromkeys(("nms_score_threshold", "nms_iou_threshold"), Key(float)),
        **dict.fromkeys(("y_scale", "x_scale", "h_scale", "w_scale"), Key(float)),
        "detections_per_class": Key(int, 100),
        "use_regular_nms": Key(bool, 0),
    },
}
"""Operator -> its keys, as TensorFlow Lite Micro reads them."""


def read_custom(name: str, data: bytes) -> dict[str, int | float]:
    """Of an operator in CUSTOM, by its own keys; flags are 0 or 1. Raises ModelError."""
    keys = CUSTOM[name]
    found = _read(name, data, keys) if keys else {}
    for key, known in keys.items():
        value = found.get(key, known.default)
        if value is None or isinstance(value, float) > (known.kind is float):
            raise ModelError(
                f"the options of custom op {name!r} lack {key!r}",
                expected=f"a map with {', '.join(keys)}",
                received=", ".join(found) or f"{len(data)} bytes without a known key",
                remedy="convert the model again, or write the op's options with the library that defines it",
            )
        found[key] = value
    return found


def _read(name: str, data: bytes, keys: dict[str, Key]) -> dict[str, int | float]:
    """The numbers that the map holds under the keys: nothing else of it is looked at, so that no file can make it long work."""
    from flatbuffers import flexbuffers

    try:
        root: Any = flexbuffers.GetRoot(bytearray(data[:MAX_BYTES]))
        known = root.AsMap
        count = len(known)
        listed = [known.Keys[i].AsString for i in range(count)] if count <= MAX_KEYS else []
        values = known.Values
        pairs = {key: values[i] for i, key in enumerate(listed) if key in keys}
        return {k: float(v.AsFloat) if keys[k].kind is float else int(v.AsInt) for k, v in pairs.items() if not v.IsNull}
    except Exception as e:  # the reader raises whatever struct and its own checks lead to
        raise ModelError(
            f"the options of custom op {name!r} can't be read",
            expected="a FlexBuffer map",
            received=f"{type(e).__name__}: {e}",
            remedy="convert or copy the model again",
        ) from e
