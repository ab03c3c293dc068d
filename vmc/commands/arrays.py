"""Arrays for `vmc run`: made, read from `.npy` and `.safetensors` files, and written.

A file holds a tensor in its logical shape: numbers where NumPy has the type, else bit patterns as unsigned integers.
What a kernel wants packed is packed here; an array of bytes of another rank is taken for bytes that are packed already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.commands.failure import fail
from vmc.ir.types import DType
from vmc.runtime.packed import Packed, pack_stored, unpack_stored
from vmc.runtime.parameters import Parameter

Array = npt.NDArray[Any]
MADE = ("zeros", "ones", "random")


def read_array(text: str) -> Array | None:
    """The array in `FILE.npy` or `FILE.safetensors:NAME`; None for text that names no file. Raises Failure."""
    if text.endswith(".npy"):
        return read_npy(Path(text))
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".safetensors"):
        return read_safetensors(Path(path), name)
    if text.endswith(".safetensors"):
        raise fail("E0916", f"{text} holds several tensors", f"name one: `{text}:NAME`")
    return None


def read_npy(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise fail("E0901", f"there is no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise fail("E0916", f"{path} is not a .npy file that can be read: {error}") from None
    if not isinstance(array, np.ndarray):
        raise fail("E0916", f"{path} holds several arrays")
    return np.ascontiguousarray(array)


def read_safetensors(path: Path, name: str) -> Array:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if name in names:
                return np.ascontiguousarray(file.get_tensor(name))
    except FileNotFoundError:
        raise fail("E0901", f"there is no file {path}") from None
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise fail("E0916", f"{path} cannot be read: {error}") from None
    from vmc.diagnostics import suggest

    close = suggest(name, names)
    help = (
        f"did you mean `{close}`?" if close else f"it holds {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
    )
    raise fail("E0916", f"{path} holds no tensor `{name}`", help)


def as_argument(parameter: Parameter, array: Array) -> Array:
    """A file's array as the kernel takes it: bit patterns of a packed tensor are packed. Raises Failure."""
    dims = parameter.dims or ()
    if not parameter.is_packed or array.ndim != len(dims) or is_bytes(array, dims):
        return array
    try:
        return pack_stored(array, parameter.memory, array.shape)
    except (TypeError, ValueError) as error:
        raise fail("E0909", f"{parameter}: {error}") from None


def is_bytes(array: Array, dims: tuple[Any, ...]) -> bool:
    """Whether a one-dimensional array cannot be the bit patterns of a tensor of fixed extent."""
    return len(dims) == 1 and array.dtype == np.uint8 and isinstance(dims[0], int) and dims[0] != array.size


def made(parameter: Parameter, how: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """An array of zeros, ones, a number, or random numbers, as the kernel takes it. Raises Failure."""
    if parameter.format is not None:
        return made_blocks(parameter, how, shape, rng)
    type = parameter.dtype
    if how == "random":
        codes = random_codes(type, shape, rng)
    else:
        value = {"zeros": 0, "ones": 1}.get(how)
        codes = type.encode(np.full(shape, number_of(parameter, how) if value is None else value))
    return pack_stored(codes, parameter.memory, shape) if parameter.is_packed else type.from_codes(codes)


def number_of(parameter: Parameter, text: str) -> int | float:
    """The number that a text is. Raises Failure."""
    from vmc.commands.program import literal

    value = literal(text)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        kinds = f"{', '.join(MADE)}, a number, FILE.npy or FILE.safetensors:NAME"
        raise fail("E0908", f"`{text}` is no argument for {parameter}", f"give {kinds}")
    return value


def random_codes(type: DType, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Bit patterns: of floats near a normal distribution, of small integers any, of wide ones from -100 to 100."""
    if type.is_float:
        return type.encode(rng.standard_normal(shape), saturate=True)
    least, most = (int(type.min), int(type.max)) if type.width <= 8 else (-100 * type.has_sign, 100)
    return type.encode(rng.integers(least, most, shape, endpoint=True))


def made_blocks(parameter: Parameter, how: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Bytes of a block format: zeros, or random bits with every float field near 0.1. Raises Failure."""
    block = parameter.format
    assert block is not None
    if how not in ("zeros", "random"):
        raise fail("E0908", f"{parameter} is made of blocks", "give zeros, random, FILE.npy or FILE.safetensors:NAME")
    count = shape[-1] // block.elements
    data = np.zeros((*shape[:-1], count, block.bytes), np.uint8)
    if how == "zeros":
        return data
    bits = rng.integers(0, 2, (*data.shape[:-1], 8 * block.bytes), dtype=np.uint8)
    for field in block.floats:
        values = rng.normal(0.1, 0.02, (*data.shape[:-1], field.count))
        codes = field.dtype.encode(values, saturate=True)
        spread = codes[..., None] >> np.arange(field.dtype.width, dtype=codes.dtype) & codes.dtype.type(1)
        width = field.count * field.dtype.width
        bits[..., field.offset : field.offset + width] = spread.reshape(*data.shape[:-1], width)
    return np.packbits(bits, axis=-1, bitorder="little")


def logical(parameter: Parameter, array: Array, symbols: Mapping[str, int]) -> Array:
    """What an argument holds, in the tensor's shape: as `file_array`, from the array that the kernel wrote."""
    from vmc.ir.dims import evaluate

    shape = tuple(evaluate(dim, symbols) for dim in parameter.dims or ())
    if parameter.is_packed or isinstance(array, Packed):
        return unpack_stored(np.asarray(array), parameter.memory, shape)
    return array


def write_npy(path: Path, array: Array) -> None:
    """Writes a `.npy` file, whole or not at all. Raises Failure."""
    try:
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=".npy", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, np.asarray(array), allow_pickle=False)
            Path(name).chmod(0o666 & ~current_umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise fail("E0901", f"{path} cannot be written: {error.strerror or error}") from None


def current_umask() -> int:
    """The mask for new files, which `mkstemp` does not use."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
