"""The measuring instrument: .tflite -> firmware image -> board -> samples -> metrics -> store.

    import tinyrig
    found = tinyrig.run("gesture.tflite", windows="gesture.npz")

What is named here is the public API (docs/api.md); everything else may change. It is loaded when it is first asked for: `import
tinyrig` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyrig.api.measure import run as run
    from tinyrig.api.result import Claim as Claim
    from tinyrig.api.result import Flash as Flash
    from tinyrig.api.result import Latency as Latency
    from tinyrig.api.result import Op as Op
    from tinyrig.api.result import Output as Output
    from tinyrig.api.result import Parity as Parity
    from tinyrig.api.result import Ram as Ram
    from tinyrig.api.result import Result as Result
    from tinyrig.api.result import RunWarning as RunWarning
    from tinyrig.compiler.model.obstacle import Obstacle as Obstacle
    from tinyrig.core.errors import ClaimError as ClaimError
    from tinyrig.core.errors import DeviceError as DeviceError
    from tinyrig.core.errors import HostError as HostError
    from tinyrig.core.errors import InfraError as InfraError
    from tinyrig.core.errors import LinkError as LinkError
    from tinyrig.core.errors import ModelError as ModelError
    from tinyrig.core.errors import RigError as RigError
    from tinyrig.core.errors import UserError as UserError
    from tinyrig.preflight.public import check as check
    from tinyrig.preflight.records import Advice as Advice
    from tinyrig.preflight.records import BoardFit as BoardFit
    from tinyrig.preflight.records import CheckedOp as CheckedOp
    from tinyrig.preflight.records import FlashEstimate as FlashEstimate
    from tinyrig.preflight.records import ModelCheck as ModelCheck

_PUBLIC = {
    "run": "tinyrig.api.measure",
    "check": "tinyrig.preflight.public",
    "Obstacle": "tinyrig.compiler.model.obstacle",
    **dict.fromkeys(("Advice", "BoardFit", "CheckedOp", "FlashEstimate", "ModelCheck"), "tinyrig.preflight.records"),
    **dict.fromkeys(("Claim", "Flash", "Latency", "Op", "Output", "Parity", "Ram", "Result", "RunWarning"), "tinyrig.api.result"),
    **dict.fromkeys(
        ("ClaimError", "DeviceError", "HostError", "InfraError", "LinkError", "ModelError", "RigError", "UserError"),
        "tinyrig.core.errors",
    ),
}
"""Name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tinyrig")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tinyrig' has no attribute {name!r}")
    found = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, "__version__"})
