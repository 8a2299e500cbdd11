"""The way from a foreign file to a .tflite, as lines that work: test_conversions.py runs those that need only TensorFlow."""

from __future__ import annotations

from pathlib import Path

from tinyrig.core.text import printable

_QUANTISE = """converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([w[None].astype("float32")] for w in np.load("windows.npz")["x"][:200])
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
open("{stem}.tflite", "wb").write(converter.convert())"""


def _name(path: Path) -> str:
    return printable(str(path)).replace('"', "")


def in_python(lines: str, path: Path) -> str:
    """Full int8 with windows as representative data; without the middle lines, float32."""
    stem = printable(path.stem or "model").replace('"', "")
    code = f"import numpy as np, tensorflow as tf\n{lines}\n{_QUANTISE.format(stem=stem)}"
    return "\n".join("    " + line for line in code.splitlines())


def by_convert(path: Path) -> str:
    return f'tinyrig convert "{_name(path)}" --windows windows.npz -o "{printable(path.stem)}.tflite"'


def keras(path: Path) -> str:
    lines = f'model = tf.keras.models.load_model("{_name(path)}")\nconverter = tf.lite.TFLiteConverter.from_keras_model(model)'
    return f"{by_convert(path)}\n  or in Python\n{in_python(lines, path)}"


def weights_only(path: Path) -> str:
    return (
        f'build the network in Python, then model.load_weights("{_name(path)}"); model.save("model.keras"); and\n'
        "  tinyrig convert model.keras --windows windows.npz -o model.tflite"
    )


def saved_model(path: Path) -> str:
    lines = f'converter = tf.lite.TFLiteConverter.from_saved_model("{_name(path)}")'
    return f"{by_convert(path)}\n  or in Python\n{in_python(lines, path)}"


def frozen_graph(path: Path, inputs: list[str], outputs: list[str]) -> str:
    ends = f"{inputs or ['INPUT']}, {outputs or ['OUTPUT']}"
    lines = f'converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph("{_name(path)}", {ends})'
    return f"in Python\n{in_python(lines, path)}"


def onnx(path: Path, inputs: list[str]) -> str:
    name = printable((inputs or ["INPUT"])[0]).replace('"', "")
    return (
        f'pip install onnx2tf; onnx2tf -i "{_name(path)}" -o converted -b 1 -oiqt -cind "{name}" windows.npy "[0]" "[1]"; '
        f"then converted/{printable(path.stem)}_full_integer_quant.tflite is int8, ..._float32.tflite is not quantised"
    )


def torch_export(path: Path) -> str:
    return _litert_torch(f'module = torch.export.load("{_name(path)}").module()', path)


def torch_script(path: Path) -> str:
    return "TorchScript can't be converted: load the class and its weights instead\n" + _litert_torch(
        'model = MyNetwork(); model.load_state_dict(torch.load("weights.pth")); module = model.eval()', path
    )


def torch_weights(path: Path) -> str:
    load = f'module = MyNetwork(); module.load_state_dict(torch.load("{_name(path)}")); module.eval()'
    return "the network itself is in your Python code\n" + _litert_torch(load, path)


def _litert_torch(load: str, path: Path) -> str:
    code = (
        f"# pip install litert-torch\nimport torch, litert_torch\n{load}\n"
        f'litert_torch.convert(module, (torch.zeros(1, CHANNELS, HEIGHT, WIDTH),)).export("{printable(path.stem)}.tflite")'
    )
    return "in Python\n" + "\n".join("    " + line for line in code.splitlines())


def lfs(path: Path) -> str:
    return f'git lfs install; git lfs pull --include="{_name(path)}"'


def unknown(data: bytes) -> str:
    """A file that nothing is known of."""
    head = data[:16]
    if all(32 <= b < 127 or b in b"\t\r\n" for b in data[:512]):
        return f"text that begins with {printable(head.decode('ascii'), 40)!r}"
    return f"{len(data):,} bytes that begin with {head[:8].hex(' ')}"
