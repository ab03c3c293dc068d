"""Lines of the kernel's source in generated CUDA C, so that PTX made of it tells, by `.loc`, which line it comes from.

The emitter puts a call `vmc_line(file, line);` before what an operation becomes. TVM's generator prints one statement a
line; each gets a `#line` directive of the last such call, and the calls disappear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "vmc_line"
CALL = re.compile(rf"^\s*{MARK}\((\d+), (\d+)\);$")


def with_lines(code: str, files: Sequence[str]) -> str:
    """The code with directives instead of marks."""
    result = []
    directive = ""
    for text in code.splitlines():
        found = CALL.match(text)
        if found:
            name = files[int(found[1])].replace("\\", "\\\\").replace('"', '\\"')
            directive = f'#line {found[2]} "{name}"'
        else:
            result += [directive, text] if directive else [text]
    return "\n".join(result) + "\n"
