"""Local Lipschitz constants bounded in several ways: python examples/lipschitz/reproduce.py.

The packages beside this folder are put on the path, so that the program runs from any clone.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from lipschitz.command import main

    sys.exit(main())
