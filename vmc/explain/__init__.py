"""What a compiled kernel costs and why: `vmc explain`, and `Kernel.explain` in Python.

`explanation` is what is told, `gathering` collects it from the tile IR and the assembly, `bounds` predicts times, and
`table` prints it.
"""

from vmc.explain.explanation import Explanation
from vmc.explain.gathering import explain

__all__ = ["Explanation", "explain"]
