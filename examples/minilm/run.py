"""Embeds the shipped sentences with weights of every width: python examples/minilm/run.py [--help].

The package `minilm` is this folder; the one above it is put on the path, so that the program runs from any clone.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from minilm.command import main

    sys.exit(main())
