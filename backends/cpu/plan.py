"""Which values of a kernel become buffers, and which stay recipes that run inside the loop of whoever uses them.

A value is *fused* when all of its uses are evaluated in one and the same loop: each is elementwise and ends, over fused
values only, at the same consumer. The analysis walks every region backwards, users before what they use. An anchor
names a loop: the consumer (or the value, if it becomes a buffer), and the operations on the way that move elements,
since element i is computed once in a loop only where all ask for it under the same index.
"""

from __future__ import annotations

from collections import defaultdict

from vmc.ir.core import Op, Region, Value, needed, walk
from vmc.ir.multiples import Multiples
from vmc.ir.ops.linear import DOTS

VIEWS = frozenset({"transpose", "reshape", "slice", "flip", "concat", "relayout"})
"""Operations that hand on elements of their operands, each at most once."""

LIFTED = frozenset({"broadcast", "reshape", "take"})
"""Operations besides the elementwise ones that are evaluated in atoms."""

MOST_FOLLOWED = 64
MOST_DECODED = 4
"""Loops that may each decode a value for themselves."""

Anchor = tuple[object, ...]
Use = tuple[Op, int, Region]


class Plan:
    """The analysis of one kernel's body: the `fused` values, the values of a `single` use (in the region that defines
    them), what defines each, and how many operations of its region (with their regions) still need it. `driven` values
    are evaluated in the loops of a matrix product, `riding` are the products that run in the loops of their users,
    and `rows_wanted` tells for some the store at whose edge their rows may end.
    """

    def __init__(self, body: Region) -> None:
        self.fused: set[Value] = set()
        self.single: set[Value] = set()
        self.definer: dict[Value, Op] = {}
        self.remaining: dict[Value, int] = defaultdict(int)
        self.needs: dict[Op, set[Value]] = {}
        self._uses: dict[Value, list[Use]] = defaultdict(list)
        self._anchors: dict[Value, Anchor] = {}
        self.driven: set[Value] = set()
        self.riding: set[Value] = set()
        self.rows_wanted: dict[Value, Op] = {}
        self._owners: dict[Region, Op] = {}
        self.multiples = Multiples(body)
        self._collect(body)
        self._decide(body)
        self._find_products(body)

    def _collect(self, region: Region) -> None:
        for op in region.ops:
            for result in op.results:
                self.definer[result] = op
            for position, operand in enumerate(op.operands):
                self._uses[operand].append((op, position, region))
            for inner in op.regions:
                self._owners[inner] = op
                self._collect(inner)
            self.needs[op] = needed(op)
            for value in self.needs[op]:
                self.remaining[value] += 1

    def _decide(self, region: Region) -> None:
        for value in (*region.args, *(result for op in region.ops for result in op.results)):
            uses = self._uses[value]
            if len(uses) == 1 and uses[0][2] is region:
                self.single.add(value)
        for op in reversed(region.ops):
            for inner in op.regions:
                self._decide(inner)
            for result in op.results:
                self._place(result, region)

    def _place(self, value: Value, region: Region) -> None:
        uses = self._uses[value]
        anchors = {self._anchor(op, position) for op, position, _ in uses}
        local = all(place is region for _, _, place in uses)
        together = len(uses) == 1 or all(op.definition.elementwise for op, _, _ in uses)
        if local and together and len(anchors) == 1:
            self.fused.add(value)
            self._anchors[value] = anchors.pop()
        else:
            self._anchors[value] = (value,)

    def _find_products(self, body: Region) -> None:
        """Marks what is evaluated in the loops of a `dot`: its operands, and where the chain of elementwise operations
        over it ends as a carried value of a loop, that chain and its other operands.
        """
        for op in walk(body):
            if op.name in DOTS:
                for operand in op.operands[1:]:
                    self._mark(operand)
                root = self._root(op.result)
                if root is not None:
                    self.riding.add(op.result)
                    self._mark(root)
                    self._limit(op.result, root)

    def _root(self, value: Value) -> Value | None:
        """The end of a chain that only a loop's `yield` uses; None of a product that is used otherwise."""
        while value in self.fused:
            ((op, _, region),) = self._uses[value][:1]
            if op.name == "yield":
                owner = self._owners.get(region)
                return value if owner is not None and owner.name == "for" else None
            if not op.definition.elementwise or len(self._uses[value]) > 1:
                return None
            value = op.result
        return None

    def _limit(self, product: Value, root: Value) -> None:
        """Notes the store that a loop's carried product is for, if no other row than those it writes is of use."""
        ((end, position, region),) = self._uses[root]
        loop = self._owners[region]
        carried, result = region.args[1 + position], loop.results[position]
        if all(op is end or self._only_reaches(op, end) for op, _, _ in self._uses[carried]):
            stores = {op for op in self._ends(result) if op is not None and op.name == "store"}
            if len(stores) == 1 and None not in self._ends(result):
                self.rows_wanted[product] = stores.pop()

    def _only_reaches(self, op: Op, end: Op) -> bool:
        """Whether an elementwise operation is for one other alone."""
        return op.definition.elementwise and self._ends(op.result) == {end}

    def _ends(self, value: Value) -> set[Op | None]:
        """The operations that a value reaches through elementwise ones; None among them if there are too many."""
        found: set[Op | None] = set()
        waiting, seen = [value], 0
        while waiting and seen < MOST_FOLLOWED:
            seen += 1
            for op, _, _ in self._uses[waiting.pop()]:
                if op.definition.elementwise:
                    waiting += op.results
                else:
                    found.add(op)
        return found | {None} if waiting else found

    def _mark(self, value: Value) -> None:
        """Marks a value that is evaluated in atoms, and what it is computed from."""
        op = self.definer.get(value)
        if op is None or value in self.driven:
            return
        if value not in self.fused:
            if not self._feeds_products(value):
                return
            self.fused.add(value)
        self.driven.add(value)
        if op.definition.elementwise or op.name in LIFTED or turns(op):
            for operand in op.operands:
                self._mark(operand)

    def _feeds_products(self, value: Value) -> bool:
        """Whether products of one region, as their second operands, are all that a value is for: it is decoded in their
        loops, in each that does not share them.
        """
        uses = self._uses[value]
        regions = {region for _, _, region in uses}
        return 0 < len(uses) <= MOST_DECODED and len(regions) == 1 and all(self._leads_on(*use[:2]) for use in uses)

    def _leads_on(self, op: Op, position: int) -> bool:
        if op.name in DOTS:
            return position == 1
        moves = op.definition.elementwise or turns(op) or (op.name == "take" and position == 1)
        return moves and len(op.results) == 1 and self._feeds_products(op.result)

    def _anchor(self, op: Op, position: int) -> Anchor:
        if len(op.results) != 1:
            return (op, position)
        (result,) = op.results
        if op.definition.elementwise:
            return self._anchors[result]
        if op.name in VIEWS:
            return (*self._anchors[result], op, position)
        return (op, position)


def turns(op: Op) -> bool:
    """Whether an operation is a transpose of two axes, which is made of atoms of what it turns (`transposing`)."""
    return op.name == "transpose" and op.attrs["permutation"] == (1, 0)
