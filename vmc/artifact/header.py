"""The C header of a library, and the functions that it declares: for each kernel, and for each packed tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmc.artifact.manifest import Entry, Launches
from vmc.artifact.tables import braces
from vmc.ir.dims import Sym
from vmc.runtime.parameters import Parameter

NATIVE = Path(__file__).parent / "native"

WORDS = frozenset(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const "
    "consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do "
    "double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable "
    "namespace new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast struct switch "
    "template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile "
    "wchar_t while xor xor_eq linux unix".split()
)
"""The keywords of C and C++, and macros of GNU C, which get an underscore where they name a parameter."""


def member(name: str) -> str:
    return f"{name}_" if name in WORDS else name


def own_symbols(entry: Entry) -> list[str]:
    """The symbols that are no extent of any tensor, which a C caller gives by name."""
    shown = {dim.name for one in entry.tensors for dim in one.dims or () if isinstance(dim, Sym)}
    return [name for name in entry.symbols if name not in shown]


def packed_tensors(entry: Entry) -> list[Parameter]:
    """The tensors whose bytes are not simply their elements."""
    storages = list(entry.storages.values())
    return [
        one
        for one in entry.tensors
        if one.format is not None or one.dtype.width < 8 or any(chosen[one.name] is not None for chosen in storages)
    ]


def number_type(parameter: Parameter) -> str:
    if parameter.dtype.is_float:
        return "double"
    return "int64_t" if parameter.dtype.min < 0 else "uint64_t"


def header_text(entries: Sequence[Entry], prefix: str) -> str:
    """The header: the types of `native/api.h`, and the functions of the kernels, whose names begin with `prefix`."""
    guard = f"{prefix.upper()}_LIBRARY_{'_'.join(entry.name for entry in entries)[:100].upper()}_H"
    lines = [
        "/* Written by `vmc build`. Every function returns VMC_OK or the number of an error, which `error` explains",
        "   unless it is NULL. Functions may be called from several threads at once. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        *(NATIVE / "api.h").read_text("utf-8").rstrip().splitlines(),
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
    ]
    for entry in entries:
        lines += declaration_lines(entry, prefix)
    return "\n".join([*lines, "", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""])


def declaration_lines(entry: Entry, prefix: str) -> list[str]:
    """The types and functions of one kernel, with a comment."""
    packed = {one.name for one in packed_tensors(entry)}
    name = f"{prefix}_{entry.name}"
    bound = ", ".join(f"{key} = {value}" for key, value in {**entry.bindings, **entry.fixed}.items())
    about = f"{entry.kernel} with {bound}" if bound else entry.kernel
    file = entry.file.replace("*/", "* /")
    lines = ["", f"/* {about} ({file}) */", f"typedef struct {name}_arguments {{"]
    for one in entry.parameters:
        if one.is_scalar:
            lines.append(f"    {number_type(one)} {member(one.name)}; /* {one} */")
            continue
        kind = "vmc_output" if one.access.writable else "vmc_input"
        note = ", packed" if one.name in packed else ""
        lines.append(f"    {kind} {member(one.name)}; /* {one}{note} */")
    lines += [f"    int64_t {member(symbol)};" for symbol in own_symbols(entry)]
    lines += [f"}} {name}_arguments;", *map(launch_note, entry.launches.items()), f"{function_head(entry, prefix)};"]
    return [*lines, *(f"{bytes_head(entry, one, target, prefix)};" for one, target in sized(entry))]


def launch_note(of: tuple[str, Launches]) -> str:
    """What a launch on a GPU is, and takes from the device's memory while it runs."""
    target, made = of
    taken = f", in a workspace of {' + '.join(made.workspace)} bytes" if made.workspace else ""
    return f"/* {target}: launches {', '.join(made.functions)}{taken} */"


def function_head(entry: Entry, prefix: str) -> str:
    name = f"{prefix}_{entry.name}"
    return f"int {name}(const {name}_arguments *arguments, const vmc_where *where, vmc_error *error)"


def bytes_name(entry: Entry, parameter: Parameter, target: str, prefix: str) -> str:
    """The function for the bytes of a packed tensor: `vmc_matmul_w_bytes`, for a GPU `vmc_matmul_w_bytes_sm_90a`."""
    arch = target.partition(":")[2]
    return f"{prefix}_{entry.name}_{parameter.name}_bytes{f'_{arch}' if arch else ''}"


def bytes_head(entry: Entry, parameter: Parameter, target: str, prefix: str) -> str:
    extents = ", ".join(f"int64_t extent{axis}" for axis in range(len(parameter.dims or ()))) or "void"
    return f"int64_t {bytes_name(entry, parameter, target, prefix)}({extents})"


def sized(entry: Entry) -> list[tuple[Parameter, str]]:
    """The packed tensors, each with each target."""
    return [(one, target) for one in packed_tensors(entry) for target in entry.storages]


def names(entry: Entry, prefix: str) -> list[str]:
    """The functions of a kernel that the header declares."""
    own = f"{prefix}_{entry.name}"
    return [own, *(bytes_name(entry, one, target, prefix) for one, target in sized(entry))]


def functions_text(entries: Sequence[Entry], archs: Sequence[str], prefix: str, header: str) -> str:
    """The definitions of what the header declares; `header` is its file, `archs` the images' architectures in order."""
    lines = [f'#include "{header}"', '#include "runtime.h"', '#define EXPORTED __attribute__((visibility("default")))']
    for place, entry in enumerate(entries):
        lines += ["", *function_lines(place, entry, archs, prefix)]
    return "\n".join(lines) + "\n"


def function_lines(place: int, entry: Entry, archs: Sequence[str], prefix: str) -> list[str]:
    kernel = f"&vmc_kernels[{place}]"
    tensors = [
        f"{{arguments->{member(one.name)}.data, "
        + braces(f"arguments->{member(one.name)}.extents[{axis}]" for axis in range(len(one.dims or ())) or [])
        + "}"
        for one in entry.tensors
    ]
    numbers = [
        braces([".kind = VMC_FLOAT", f".real = arguments->{member(one.name)}"])
        if one.dtype.is_float
        else braces(
            [
                f".kind = {'VMC_SIGNED' if one.dtype.min < 0 else 'VMC_UNSIGNED'}",
                f".integer = (int64_t)arguments->{member(one.name)}",
            ]
        )
        for one in entry.scalars
    ]
    lines = [
        f"EXPORTED {function_head(entry, prefix)} {{",
        f'    if (!arguments) return vmc_fail(error, VMC_ARGUMENT, "{entry.name}: the arguments are NULL");',
        f"    const vmc_input tensors[] = {braces(tensors or ['{0}'])};",
        f"    const struct vmc_number scalars[] = {braces(numbers or ['{0}'])};",
        f"    const int64_t extras[] = {braces([extra_value(entry, name) for name in entry.extras] or ['0'])};",
        f"    return vmc_call({kernel}, tensors, scalars, extras, where, error);",
        "}",
    ]
    for one, target in sized(entry):
        extents = [f"extent{axis}" for axis in range(len(one.dims or ()))]
        at = [parameter.name for parameter in entry.tensors].index(one.name)
        arch = target.partition(":")[2]
        code = f"images[{archs.index(arch)}].storages" if arch else "storages"
        lines += [
            f"EXPORTED {bytes_head(entry, one, target, prefix)} {{",
            f"    const int64_t extents[] = {braces(extents or ['1'])};",
            f"    return vmc_bytes(&vmc_kernels[{place}].tensor[{at}], &vmc_kernels[{place}].{code}[{at}], extents);",
            "}",
        ]
    return lines


def extra_value(entry: Entry, symbol: str) -> str:
    """Where the function of a kernel finds a symbol: in the extents of a tensor, or in a member of its own."""
    for one in entry.tensors:
        for axis, dim in enumerate(one.dims or ()):
            if isinstance(dim, Sym) and dim.name == symbol:
                return f"arguments->{member(one.name)}.extents[{axis}]"
    return f"arguments->{member(symbol)}"
