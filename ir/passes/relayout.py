"""Automatic relayout: how narrow weights lie in memory, so that vectors of them decode in a few instructions.

The operand b of a `dot` is consumed in *atoms* of 4 rows (of the inner extent) by 16 columns, the order in which dot
product instructions and tile registers take bytes. An element of b bits is cut into planes of 1, 2, 4 or 8 bits; a
vector of 64 bytes holds, in each byte, the plane's bits of one row and column of 8 / p atoms:

    bit of (row 4a + r, column c), plane p  =  64 bytes * (a // (8 / p)) + byte (4c + r), from bit p * (a % (8 / p)) on

So an atom is one shift and one mask for each plane. Which planes an odd width is cut into is decided by cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd

from vmc.ir.core import Access, Kernel, Module, Note, Op, Region, Space, Storage, TensorType, Value, walk
from vmc.ir.layout import BIT, Digit, Layout, Plane
from vmc.ir.multiples import Multiples
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel

ROWS, COLUMNS = 4, 16
ATOM = ROWS * COLUMNS
VECTOR_BITS = 512
PLANES = (8, 4, 2, 1)
BYTES_PER_CYCLE = 4.0
"""What a core reads from memory: about 17 GB/s at 4 GHz."""
OPERATIONS_PER_CYCLE = 2.0
"""Vector instructions a cycle."""


@dataclass(frozen=True)
class Cut:
    """The planes of an element, those of its low bits first, and what 64 elements cost in cycles."""

    planes: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of a block: as many as the vectors of the narrowest plane hold."""
        return ROWS * 8 // min(self.planes)

    @property
    def reading(self) -> float:
        return sum(self.planes) * ATOM / 8 / BYTES_PER_CYCLE

    @property
    def decoding(self) -> float:
        """A mask and mostly a shift for each plane narrower than a byte, and the product."""
        return (1 + sum(2 - plane / 8 for plane in self.planes if plane < 8)) / OPERATIONS_PER_CYCLE

    @property
    def cost(self) -> tuple[float, float]:
        return max(self.reading, self.decoding), self.decoding

    def __str__(self) -> str:
        return " + ".join(map(str, self.planes))


def cuts(width: int, rows: int) -> list[Cut]:
    """The ways to cut elements of `width` bits so that `rows` rows are whole blocks, the cheapest first."""

    def partitions(left: int, most: int) -> Iterator[tuple[int, ...]]:
        if left <= 0:
            yield ()
            return
        for plane in PLANES:
            if plane <= most and (plane <= left or plane // 2 < left):
                yield from ((plane, *rest) for rest in partitions(left - plane, min(plane, left)))

    found = {Cut(planes) for planes in partitions(width, 8)}
    return sorted((cut for cut in found if rows % cut.rows == 0), key=lambda cut: (cut.cost, cut.planes))


def storage_of(cut: Cut, width: int) -> Storage:
    """The storage of a tensor [K, N] whose elements of `width` bits are cut; column blocks follow one another."""
    planes, start, left = [], 0, width
    for plane in cut.planes:
        bits, steps = min(plane, left), 8 // plane
        vectors = cut.rows // (ROWS * steps)
        digits = (
            Digit(vectors, VECTOR_BITS, BIT),
            Digit(steps, plane, BIT),
            Digit(ROWS, 8, BIT),
            Digit(COLUMNS, 8 * ROWS, BIT),
            Digit(bits, 1, BIT),
        )
        planes.append(Plane(bits, digits, ((BIT, start),)))
        start, left = start + vectors * VECTOR_BITS, left - bits
    layout = Layout((cut.rows, COLUMNS), tuple(planes))
    return Storage((cut.rows, COLUMNS), layout, start, (1, 0))


def relayout(keep: frozenset[str] = frozenset()) -> Pass:
    """The pass `relayout` that leaves the tensors named in `keep` as they are."""

    def store_in_planes(module: Module) -> Module:
        """Needs: loads of weights whose starts are visible as multiples. Guarantees: a tensor of two dimensions and at
        most 8 bits an element that is only read, and only to become the second operand of a `dot`, has a storage of
        planes, where the slices taken of it are whole blocks. Idempotent. Keeps: the operations; tensors that have a
        storage.
        """
        return each_kernel(module, lambda kernel: _store(kernel, keep))

    return Pass("relayout", store_in_planes)


def _store(kernel: Kernel, keep: frozenset[str]) -> Kernel:
    weights = {param: cut for param in kernel.params if param.name not in keep and (cut := cut_of(kernel, param))}
    if not weights:
        return kernel
    chosen = {param: storage_of(cut, param.tensor.dtype.width) for param, cut in weights.items()}
    notes = [Note("relayout", explanation(param, cut), kernel.span) for param, cut in weights.items()]
    return with_storages(kernel, chosen).noted(*notes)


def with_storages(kernel: Kernel, chosen: Mapping[Value, Storage]) -> Kernel:
    """The kernel with parameters that lie in memory as chosen."""
    swapped = {param: Value(replace(param.tensor, storage=storage), param.name) for param, storage in chosen.items()}
    params = tuple(swapped.get(param, param) for param in kernel.params)
    return replace(kernel, params=params, body=with_values(kernel.body, swapped))


def explanation(param: Value, cut: Cut) -> str:
    name, others = param.tensor.dtype.name, cuts(param.tensor.dtype.width, cut.rows)
    told = "; ".join(f"{each} would take {each.cost[0]:.1f}" for each in others if each != cut)
    return (
        f"`{param.name}`: the bits of {name} lie in planes of {cut}, in vectors of 64 bytes that each hold rows of "
        f"{ROWS} x {COLUMNS} codes; 64 weights take {cut.cost[0]:.1f} cycles (read {cut.reading:.1f}, decode "
        f"{cut.decoding:.1f})" + (f"; {told}" if told else "")
    )


def with_values(region: Region, swapped: dict[Value, Value]) -> Region:
    """The region with operands replaced."""
    ops = []
    for op in region.ops:
        operands = tuple(swapped.get(value, value) for value in op.operands)
        regions = tuple(with_values(inner, swapped) for inner in op.regions)
        same = operands == op.operands and all(a is b for a, b in zip(regions, op.regions, strict=True))
        ops.append(op if same else replace(op, operands=operands, regions=regions))
    return Region(region.args, tuple(ops))


# Which tensors


def may_be_laid_out(param: Value) -> bool:
    """Whether a parameter is a narrow input of two dimensions whose order in memory is open."""
    type = param.type
    if not isinstance(type, TensorType) or type.access is not Access.IN or type.space is not Space.GLOBAL:
        return False
    return type.storage is None and type.rank == 2 and type.dtype.width <= 8


def cut_of(kernel: Kernel, param: Value) -> Cut | None:
    """How a parameter is to be cut; None where it is not such a weight, or its slices are no whole blocks."""
    if not may_be_laid_out(param):
        return None
    users = users_of(kernel)
    loads = users.get(param, [])
    if not loads or not all(op.name == "load" and only_feeds_dots(op.result, users) for op in loads):
        return None
    multiples = Multiples(kernel.body)
    rows, columns = (gcd(*parts) for parts in zip(*map(multiples.granularity, loads), strict=True))
    found = cuts(param.tensor.dtype.width, rows) if columns % COLUMNS == 0 else []
    return found[0] if found else None


def users_of(kernel: Kernel) -> dict[Value, list[Op]]:
    """The operations that use each value."""
    users: dict[Value, list[Op]] = {}
    for op in walk(kernel.body):
        for operand in dict.fromkeys(op.operands):
            users.setdefault(operand, []).append(op)
    return users


def only_feeds_dots(value: Value, users: dict[Value, list[Op]]) -> bool:
    """Whether a tile becomes, element by element, the second operand of dots and nothing else."""
    found = users.get(value, [])
    return bool(found) and all(leads_to_dot(op, value, users) for op in found)


def leads_to_dot(op: Op, value: Value, users: dict[Value, list[Op]]) -> bool:
    if op.name in DOTS:
        return op.operands[1] is value and value not in (op.operands[0], op.operands[2])
    moves = op.definition.elementwise or (op.name == "take" and op.operands[1] is value)
    return moves and len(op.results) == 1 and only_feeds_dots(op.result, users)
