"""Two networks on every core that QEMU has: outputs, instructions, RAM and flash.

    python bench/matrix.py [NETWORK ...] [--cores qemu-m0,qemu-rv32] [--windows N] [--page docs/cores.md]

Exit status 1 where any output is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.cores.command import main

if __name__ == "__main__":
    sys.exit(main())
