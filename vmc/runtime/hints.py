"""What a caller may write instead of an array that does not fit: the help of the errors of a call."""

from __future__ import annotations

from vmc.ir.core import Access
from vmc.ir.storage import storage_bytes
from vmc.runtime.elements import COMMON, THEIRS
from vmc.runtime.operands import Operand
from vmc.runtime.parameters import Parameter

FOREIGN = " of foreign byte order"


def contiguous(parameter: Parameter, found: Operand) -> str:
    """How to get a contiguous array. A copy of an output would be written, and not the output."""
    if parameter.access.writable:
        return "pass a contiguous array, and copy the result back"
    match found.library:
        case "numpy":
            return f"pass np.ascontiguousarray({parameter.name})"
        case "torch":
            return f"pass {parameter.name}.contiguous()"
    return "copy it"


def on_device(found: str, wanted: str, elsewhere: str) -> str | None:
    """How to call a kernel for `wanted`, "cpu" or "cuda", where a tensor is on `found`, "cuda:0"; None for others."""
    kind = found.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        return None
    moved = "pass a copy on the GPU" if wanted == "cuda" else "pass a copy in the CPU's memory"
    return f"{moved}, or {elsewhere.format(device=kind)}"


def converted(parameter: Parameter, found: Operand) -> str | None:
    """How to get an array of the parameter's element type; None for what has no numbers to convert."""
    name, type = parameter.name, parameter.dtype
    if found.element.removesuffix(FOREIGN) not in {*COMMON, *COMMON.values()}:
        return None
    if type.name not in THEIRS:
        return f'pass vmc.dtype("{type.name}").encode({name})' if parameter.access is Access.IN else None
    spelled = qualified(THEIRS[type.name], found.library)
    if parameter.access is Access.OUT:
        return f"make `{name}` an array of {spelled}"
    if parameter.access is Access.INOUT:
        return f"make `{name}` an array of {spelled}; a converted copy would be written, and not `{name}`"
    return f"pass {name}.to({spelled})" if found.library == "torch" else f"pass {name}.astype({spelled})"


def qualified(element: str, library: str) -> str:
    """An element type as Python spells it: `np.float16`, `ml_dtypes.bfloat16`, `torch.bfloat16`."""
    if library == "torch":
        return f"torch.{element}"
    return f"np.{element}" if element.rstrip("0123456789") in ("int", "uint", "float") else f"ml_dtypes.{element}"


def labelled(parameter: Parameter) -> str:
    """How to say in which order bytes are."""
    label = f'kernel.label("{parameter.name}", data, shape'
    return f"pass {label}) for what kernel.pack made, {label}, dense=True) for what vmc.pack made"


def packed(parameter: Parameter, shape: tuple[int, ...] | None = None) -> str:
    """How to make a packed tensor; an output of a known shape with its size in bytes."""
    name = parameter.name
    if parameter.access is not Access.OUT:
        return f'use kernel.pack("{name}", bit_patterns)'
    codes = f"np.{parameter.dtype.code_dtype.name}"
    if shape is None:
        return f'allocate it with kernel.pack("{name}", np.zeros(shape, {codes}))'
    size = storage_bytes(parameter.memory, shape)
    return f'allocate np.zeros({size}, np.uint8), or kernel.pack("{name}", np.zeros({shape}, {codes}))'
