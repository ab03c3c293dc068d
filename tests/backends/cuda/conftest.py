"""Skips what needs TVM and NVRTC where they are not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent
MISSING = [name for name in ("tvm", "cuda") if importlib.util.find_spec(name) is None]

collect_ignore = [path.name for path in HERE.glob("test_*.py")] if MISSING else []
