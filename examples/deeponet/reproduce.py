"""DeepONet and a plain network on four operators: python examples/deeponet/reproduce.py.

The packages beside this folder are put on the path, so that the program runs from any clone.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from deeponet.command import main

    sys.exit(main())
