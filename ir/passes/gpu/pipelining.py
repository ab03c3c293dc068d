"""Software pipelines: what a loop loads for its matrix products is copied to shared memory some turns ahead.

    for %k in lo .. hi, step, stages = 3            copy turns 0 and 1 to stages 0 and 1 of a ring
      %a = load %x, %m, %k                    -->   for %k, %slot
      ... dot %a, ...                                 wait until at most 1 copy is under way; barrier
                                                      copy turn (%k + 2 step) to stage (%slot - 1); commit
                                                      %a = load ring, %slot
                                                      ... dot %a, ...

The barrier shows every thread what all have copied, and keeps the copy of this turn, which goes to the stage that the
turn before has read, behind those reads. Whether all turns are complete, rows are made of whole copies, and slices of
weights lie inside across the loop as well, is tested before the loop, of which there are two: one for that case, whose
copies have no edges but those of the first factor's rows, and one for all others. The rows of a stage are swizzled so
that no two of the 16 bytes that ldmatrix reads at once are in one bank; weights keep the order in which threads decode
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import Access, Attr, Kernel, Module, Note, Op, Region, Space, Storage, TensorType, Value, walk
from vmc.ir.dims import Dim, Sym
from vmc.ir.layout import Layout, row_major
from vmc.ir.multiples import Multiples
from vmc.ir.passes.extents import value_of
from vmc.ir.passes.gpu.matrix import product_of
from vmc.ir.passes.gpu.warpgroups import panels
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.prefetch import Ahead
from vmc.ir.passes.relayout import users_of
from vmc.ir.passes.rewrite import Rewriter, each_kernel

CHUNK = 128
"""Bits of an asynchronous copy."""
BANKS = 1024
"""Bits that shared memory gives at once."""
MOST_STAGES, MOST_BYTES = 5, 160 << 10
SLOT = "i32"
"""The type of a stage's number: places in shared memory have 32 bits."""


@dataclass(frozen=True, eq=False)
class Ring:
    """Stages in shared memory for what a load reads."""

    load: Op
    tensor: Value


def pipeline_loops(module: Module) -> Module:
    """Needs: a well-formed module at the tile level, weights laid out. Guarantees: in a counted loop of a constant step
    that asks for stages, slices of inputs that products of matrix instructions take, and whose places the loop's index
    decides, and parts of rows that depend on it, come from rings of shared memory, filled by asynchronous copies; the
    loop then asks for one stage. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, pipelined)


def pipelined(kernel: Kernel) -> Kernel:
    loops = [op for op in walk(kernel.body) if op.name == "for" and op.attrs["stages"] > 1]
    if not loops or not any(product_of(op) for op in walk(kernel.body)):
        return kernel
    made = {op.result: op for op in walk(kernel.body) if len(op.results) == 1}
    users, multiples = users_of(kernel), Multiples(kernel.body)
    notes: list[Note] = []

    def region(old: Region) -> Region:
        ops: list[Op] = []
        for op in old.ops:
            regions = tuple(map(region, op.regions))
            same = all(a is b for a, b in zip(regions, op.regions, strict=True))
            op = op if same else replace(op, regions=regions)
            ops += staged(op, made, users, multiples, notes) if op.name == "for" and op.attrs["stages"] > 1 else [op]
        same = len(ops) == len(old.ops) and all(a is b for a, b in zip(ops, old.ops, strict=True))
        return old if same else Region(old.args, tuple(ops))

    body = region(kernel.body)
    return kernel if body is kernel.body else kernel.with_body(body).noted(*notes)


Place = tuple[Value, int | None, Dim]
"""Where a slice lies along a dimension: its start and size, and the tensor's extent."""


@dataclass(frozen=True, eq=False)
class Pipe:
    """A loop of a constant step, and the rings that it reads. `across`: where slices of weights lie along dimensions in
    which the loop does not move them, and which lie inside where the copies have no edges.
    """

    loop: Op
    ahead: Ahead
    rings: Sequence[Ring]
    stages: int
    step: int
    across: frozenset[Place]


def staged(
    loop: Op, made: dict[Value, Op], users: dict[Value, list[Op]], multiples: Multiples, notes: list[Note]
) -> list[Op]:
    """The operations that take the place of a loop."""
    ahead = Ahead(loop, loop.regions[0].args[0], made)
    step = ahead.constant(loop.operands[2])
    stages = min(loop.attrs["stages"], MOST_STAGES)
    products = [found for op in loop.regions[0].ops if (found := product_of(op)) is not None]
    loads = [op for op in loop.regions[0].ops if step and is_staged(op, ahead, users)]
    bytes = sum(tile_bits(op) for op in loads) // 8
    while stages > 1 and stages * bytes > MOST_BYTES:
        stages -= 1
    if not loads or stages < 2 or step is None:
        return [loop]
    build = Builder(loop.span)
    bits = min((product.instruction.bits for product in products), default=16)
    rings = [Ring(load, build("alloc", type=ring_type(load, stages, users, bits))) for load in loads]
    across = places_across(ahead, loads)
    pipe = Pipe(loop, ahead, rings, stages, step, frozenset(across))
    tests = tests_for_whole(build, ahead, loads, step, multiples)
    if not tests:
        build.ops += turning(pipe, tests is not None)
    else:
        condition, *others = tests + [ends_inside(build, *place) for place in across]
        for test in others:
            condition = build("and", condition, test)
        branches = (branch(pipe, True), renewed(branch(pipe, False)))
        types = tuple(value.type for value in loop.results)
        chosen = make_op("if", (condition,), {"results": types}, branches, loop.span)
        build.append(replace(chosen, results=loop.results))
    names = ", ".join(f"`{load.operands[0].name}`" for load in loads)
    notes.append(Note("pipelining", f"{names}: {stages} stages of {bytes:,} bytes in shared memory", loop.span))
    return build.ops


def branch(pipe: Pipe, is_whole: bool) -> Region:
    """A region that yields what the loop results in."""
    own = [Value(value.type, value.name) for value in pipe.loop.results]
    build = Builder(pipe.loop.span)
    build.ops += turning(replace(pipe, loop=replace(pipe.loop, results=tuple(own))), is_whole)
    return build.region(yields=own)


def renewed(region: Region) -> Region:
    """A copy of a region, with values of its own."""
    copier = Rewriter(lambda op, rewriter: None)
    copier.copying = True
    return copier.region(region)


def turning(pipe: Pipe, is_whole: bool) -> list[Op]:
    """The copies of the first turns, and the loop that reads stages; `is_whole`: what is copied is known to exist."""
    build, loop = Builder(pipe.loop.span), pipe.loop
    for turn in range(pipe.stages - 1):
        fill(build, pipe, loop.operands[0], turn, build.index(turn), is_whole)
    body, slot = turned(pipe, is_whole)
    start = build.constant(SLOT, 0)
    attrs: dict[str, Attr] = {**loop.attrs, "stages": 1}
    made = make_op("for", (*loop.operands, start), attrs, (body,), loop.span)
    build.append(replace(made, results=(*loop.results, Value(slot.type, "slot"))))
    build.many("wait_group", pending=0)
    return build.ops


def turned(pipe: Pipe, is_whole: bool) -> tuple[Region, Value]:
    """The body of a loop that reads stages, and the number of the stage that it carries."""
    (old,) = pipe.loop.regions
    build, stages = Builder(pipe.loop.span), pipe.stages
    slot = argument(build.constant(SLOT, 0).type, "slot")
    build.ops.clear()
    build.many("wait_group", pending=stages - 2)
    build.many("barrier")
    first, one = build("eq", slot, build.constant(SLOT, 0)), build.constant(SLOT, 1)
    free = build("select", first, build.constant(SLOT, stages - 1), build("sub", slot, one))
    fill(build, pipe, old.args[0], stages - 1, build.cast(free, "i64"), is_whole)
    after = build("add", slot, one)
    last_one = build("eq", after, build.constant(SLOT, stages))
    following = build("select", last_one, build.constant(SLOT, 0), after)
    number, read = build.cast(slot, "i64"), {ring.load: ring for ring in pipe.rings}
    for op in old.ops[:-1]:
        if op not in read:
            build.append(op)
            continue
        tile = op.result.tile
        attrs: dict[str, Attr] = {
            "sizes": (None, *tile.shape),
            "steps": (1,) * (1 + tile.rank),
            "inbounds": (True,) * (1 + tile.rank),
            "fill": 0,
        }
        zero = build.index(0)
        made = make_op("load", (read[op].tensor, number, *[zero] * tile.rank), attrs, (), op.span)
        build.append(replace(made, results=op.results))
    last = old.ops[-1]
    build.append(replace(last, operands=(*last.operands, following)))
    return Region((*old.args, slot), tuple(build.ops)), slot


def fill(build: Builder, pipe: Pipe, index: Value, turns: int, slot: Value, is_whole: bool) -> None:
    """Copies of what a turn, so many after the one of an index, reads to a stage, as one group. Of turns that there are
    not, zeros are copied, or nothing where what there is lies inside as a whole.
    """
    distance = build.index(turns * pipe.step)
    later = build("add", index, distance)
    if not is_whole:
        copy_turn(build, pipe, later, slot, False)
    else:
        inner = Builder(build.span)
        copy_turn(inner, pipe, later, slot, True)
        regions = (inner.region(), Builder(build.span).region())
        end = build("sub", pipe.loop.operands[1], distance)
        build.many("if", build("lt", index, end), regions=regions, results=())
    build.many("commit_group")


def copy_turn(build: Builder, pipe: Pipe, index: Value, slot: Value, is_whole: bool) -> None:
    """Copies of what a turn reads to a stage."""
    ahead = pipe.ahead
    for ring in pipe.rings:
        load, renamed = ring.load, {ahead.index: index}
        starts = [ahead.clone(build, start, renamed) for start in load.operands[1:]]
        moving = [ahead.depends(start, ahead.index) for start in load.operands[1:]]
        parts = zip(places_of(load), load.attrs["inbounds"], moving, strict=True)
        inside = tuple(
            is_whole if moves else claim or (is_whole and place in pipe.across) for place, claim, moves in parts
        )
        zero = build.index(0)
        build.many(
            "copy_async",
            ring.tensor,
            load.operands[0],
            *starts,
            slot,
            *[zero] * load.result.tile.rank,
            sizes=load.attrs["sizes"],
            steps=load.attrs["steps"],
            fill=load.attrs["fill"],
            inbounds=inside,
            target_sizes=(None, *load.result.tile.shape),
        )


# ---- what lies inside as a whole -------------------------------------------------------------------------------------


def tests_for_whole(
    build: Builder, ahead: Ahead, loads: Sequence[Op], step: int, multiples: Multiples
) -> list[Value] | None:
    """Conditions, computed before the loop, under which all slices lie inside along the dimensions that the loop's
    index moves them in, and rows start and end with whole copies; None where no conditions are known to tell.
    """
    low, high = ahead.loop.operands[:2]
    bounds = [ahead.constant(value) for value in (low, high)]
    tests: list[Value] = []
    if None in bounds:
        turns = high if bounds[0] == 0 else build("sub", high, low)
        tests.append(divides(build, turns, step))
    elif (bounds[1] - bounds[0]) % step:  # type: ignore[operator]
        return None
    for load in loads:
        found = tests_of_slice(build, ahead, load, step, multiples)
        if found is None:
            return None
        tests += found
    return tests


def tests_of_slice(build: Builder, ahead: Ahead, load: Op, step: int, multiples: Multiples) -> list[Value] | None:
    """The conditions for one slice, whose last one lies furthest on."""
    type, tests = load.operands[0].tensor, []
    renamed = {ahead.index: build("sub", ahead.loop.operands[1], build.index(step))}
    parts = zip(load.operands[1:], load.attrs["sizes"], load.attrs["inbounds"], type.shape, strict=True)
    for start, size, claim, extent in parts:
        if claim or not ahead.depends(start, ahead.index) or ends_with_loop(ahead, start, size, step, extent):
            continue
        if not ahead.rises(start):
            return None
        tests.append(ends_inside(build, ahead.clone(build, start, renamed), size, extent))
    if type.storage is None:
        each, last = CHUNK // type.dtype.width, type.shape[-1]
        if (isinstance(last, int) and last % each) or multiples.of(load.operands[-1]) % each:
            return None
        if not isinstance(last, int):
            tests.append(divides(build, value_of(build, last), each))
    return tests


def ends_inside(build: Builder, start: Value, size: int | None, extent: Dim) -> Value:
    """Whether a slice ends inside a tensor."""
    return build("le", build("add", start, build.index(size or 1)), value_of(build, extent))


def places_of(load: Op) -> list[Place]:
    return list(zip(load.operands[1:], load.attrs["sizes"], load.operands[0].tensor.shape, strict=True))


def places_across(ahead: Ahead, loads: Sequence[Op]) -> list[Place]:
    """Where slices of weights lie along the dimensions in which the loop does not move them, if that may be outside.
    Few blocks have such edges; of rows of the first factor, a product of few has nothing else.
    """
    found: dict[Place, None] = {}
    for load in loads:
        if load.operands[0].tensor.storage is not None:
            parts = zip(places_of(load), load.attrs["inbounds"], strict=True)
            found |= {place: None for place, claim in parts if not claim and not ahead.depends(place[0], ahead.index)}
    return list(found)


def ends_with_loop(ahead: Ahead, start: Value, size: int | None, step: int, extent: Dim) -> bool:
    """Whether slices are the loop's steps, and the extent its end."""
    made = ahead.made.get(ahead.loop.operands[1])
    same = made is not None and made.name == "symbol" and Sym(str(made.attrs["name"])) == extent
    return start is ahead.index and size == step and same


def divides(build: Builder, value: Value, number: int) -> Value:
    return build("eq", build("mod", value, build.index(number)), build.index(0))


# ---- what is staged, and how it lies ---------------------------------------------------------------------------------


def is_staged(op: Op, ahead: Ahead, users: dict[Value, list[Op]]) -> bool:
    """Whether a load is of a factor of a product, or of what one is made of, at a place that only the loop's index
    changes.
    """
    if op.name != "load" or not isinstance(op.operands[0].type, TensorType) or op.attrs["fill"]:
        return False
    type, sizes = op.operands[0].type, op.attrs["sizes"]
    if type.access is not Access.IN or not type.in_device_memory or type.rank != 2 or sizes[1] is None:
        return False
    starts = op.operands[1:]
    if any(step != 1 for step in op.attrs["steps"]) or not all(map(ahead.is_clonable, starts)):
        return False
    if not any(ahead.depends(start, ahead.index) for start in starts):
        return False
    if sizes[0] is None:
        return is_row(op)
    if type.storage is not None:
        return is_weight(op, users)
    if op.result.tile.dtype.width == 8 and not is_factor(op, users):
        return False
    return is_rows(op) and becomes_first(op.result, users)


def is_row(op: Op) -> bool:
    """Whether a load is of a part of one row, in whole copies: the scales of a group."""
    type, tile = op.operands[0].tensor, op.result.tile
    return type.storage is None and tile.dtype.width in (8, 16, 32) and tile.size * tile.dtype.width % CHUNK == 0


def is_weight(op: Op, users: dict[Value, list[Op]]) -> bool:
    """Whether a load is of a weight in the order of its decoder, in whole copies."""
    storage = op.operands[0].tensor.storage
    assert storage is not None
    whole = storage.shuffle is not None and storage.pitch % CHUNK == 0
    return whole and all(user.name == "decode" for user in users.get(op.result, []))


def is_rows(op: Op) -> bool:
    """Whether a load is of rows of whole copies, whose chunks can be exchanged."""
    columns, width = op.result.tile.shape[1], op.result.tile.dtype.width
    return width in (8, 16) and columns * width % CHUNK == 0 and is_power(columns)


def is_factor(op: Op, users: dict[Value, list[Op]]) -> bool:
    """Whether a load is the first factor of products, and nothing else."""
    found = users.get(op.result, [])
    return bool(found) and all(product_of(user) and user.operands[0] is op.result for user in found)


def becomes_first(value: Value, users: dict[Value, list[Op]]) -> bool:
    """Whether a tile, or what elementwise operations make of it, is the first factor of products, and the second of
    none.
    """
    waiting, seen, found = [value], {value}, False
    while waiting:
        top = waiting.pop()
        for user in users.get(top, []):
            if product_of(user):
                if user.operands[0] is not top or user.operands[1] is top:
                    return False
                found = True
            elif user.definition.elementwise:
                waiting += [made for made in user.results if made not in seen]
                seen.update(user.results)
    return found


def is_power(number: int) -> bool:
    return number & (number - 1) == 0


def tile_bits(op: Op) -> int:
    return op.result.tile.size * op.result.tile.dtype.width


def ring_type(load: Op, stages: int, users: dict[Value, list[Op]], bits: int) -> TensorType:
    """So many stages of a load's slice, each a block of a storage, or as many as the weight's blocks are. `bits` are
    those of the factors: what is converted before it is multiplied lies in threads as its product takes it.
    """
    tile, source = load.result.tile, load.operands[0].tensor
    if source.storage is not None:
        storage = stacked(source.storage)
    elif any(op.name == "dot_warpgroup" for op in users.get(load.result, [])):
        storage = panels(tile.shape, tile.dtype.width, stages=True)
    else:
        wider = 1 if is_factor(load, users) else tile.dtype.width // bits
        storage = stage_storage(tile.shape, tile.dtype.width, max(1, wider))
    return TensorType(tile.dtype, (stages, *tile.shape), Access.INOUT, Space.SHARED, storage)


def stacked(storage: Storage) -> Storage:
    """A storage with a dimension of stages in front."""
    layout = storage.layout.reshape(1, *storage.layout.shape)
    order = (0, *(dim + 1 for dim in storage.dimensions))
    return Storage((1, *storage.block), layout, storage.pitch, order, storage.shuffle)


def stage_storage(shape: tuple[int, ...], width: int, together: int = 1) -> Storage:
    """Rows of a tile, their pieces of 16 bytes, or of so many times that, exchanged so that those in one place of the
    rows that are read at once, 128 bytes in all, are in all banks.
    """
    row, piece = shape[-1] * width, CHUNK * together
    layout: Layout = row_major(1, *shape, bits=width)
    most = (BANKS // piece).bit_length() - 1
    bits = min(most, (row // piece).bit_length() - 1)
    if bits > 0 and len(shape) > 1:
        shift = max(most, (row // piece).bit_length() - 1)
        layout = layout.swizzled(piece.bit_length() - 1, bits, shift)
    return Storage((1, *shape), layout, prod(shape) * width)


def is_ring(type: TensorType) -> bool:
    """Whether a tensor is a ring: in shared memory, in blocks of one stage. No others there have a storage."""
    return type.space is Space.SHARED and type.storage is not None and type.storage.block[0] == 1


pipelining = Pass("pipelining", pipeline_loops)
