"""Windows that show the converter which values occur."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError

NAMES = ("x", "X", "x_train", "X_train", "x_test", "X_test", "inputs", "data", "arr_0")
"""Of the array with the windows, in the order in which they are tried."""
MOST = 200
"""Windows that are taken: more change the ranges little."""


def read_windows(path: Path) -> dict[str, np.ndarray]:
    """name -> float32 [N, ...], N at most MOST; of an .npy the name is "x". Raises UserError."""
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"{path} can't be read as windows",
            expected="an .npz or .npy of plain numbers",
            received=str(error)[:300],
            remedy="np.savez(FILE, x=windows)",
        ) from error
    usable = {name: a for name, a in arrays.items() if a.ndim >= 1 and len(a) and a.dtype.kind in "fiub"}
    return {name: a[:: max(1, len(a) // MOST)][:MOST].astype(np.float32) for name, a in usable.items()}


def for_inputs(windows: dict[str, np.ndarray], inputs: list[tuple[str, tuple[int, ...]]]) -> list[list[np.ndarray]]:
    """-> for each window one array [1, ...] for each input. `inputs`: (name, shape without the batch). Raises UserError."""
    if len(inputs) == 1:
        names = [next((n for n in (inputs[0][0], *NAMES, *windows) if n in windows), "")]
    else:
        names = [name if name in windows else f"x{i}" for i, (name, _) in enumerate(inputs)]
    columns = []
    for name, (wanted, shape) in zip(names, inputs, strict=True):
        array = windows.get(name)
        if array is None or array.size // len(array) != int(np.prod(shape)):
            raise UserError(
                f"there are no windows for the input {wanted!r}",
                expected=f"an array {wanted!r}{' or x' if len(inputs) == 1 else ''} of N x {' x '.join(map(str, shape))}",
                received=", ".join(f"{n} {list(a.shape)}" for n, a in windows.items()) or "no array of numbers",
                remedy="give windows as the network was trained on, after your own normalisation",
            )
        columns.append(array.reshape(len(array), 1, *shape))
    return [list(row) for row in zip(*columns, strict=False)]
