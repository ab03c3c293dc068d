"""Arguments of kinds that were checked before, recognized by native code in one call.

Whether arguments fit is decided by `launch.Checker`, which makes a plan for all arguments of the same kinds. What it
looks at is then written down, for each tensor:

    place, type     the place among the arguments, and the address of the Python type: NumPy's array or torch's tensor
    exchange        the function that tells where a tensor lies (DLPack 1.3, `DLPackExchangeAPI`); 0 for an array
    dtype, flags    an array's dtype object and `ndarray.flags.num`; a tensor's DLDataType
    rank, extents
    mask            the alignment less one
    device          a tensor's DLDevice

with the pairs of tensors that must not overlap, and their sizes. `vmc.recognize` compares that with arguments and gives
their addresses. Nothing is taken from an earlier call but what was compared: an argument that was resized, or whose
memory was exchanged, is looked at as it is. Arguments that differ anywhere go the long way, which says what is wrong.

The header of an array is part of NumPy's ABI (`operands.Header`), and that of a tuple of CPython's; where either is
not as expected, nothing is recognized.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from string import Template
from typing import Any

import numpy as np

from vmc.runtime.launch import Plan
from vmc.runtime.operands import Header, header_at
from vmc.runtime.packed import Packed
from vmc.runtime.packed_tensors import is_labelled
from vmc.runtime.targets import Launcher

MOST_RANK = 8
MOST_KINDS = 8
"""Combinations of arguments that are recognized, of one kernel; more would take longer than the long way."""
HEAD, ENTRY, PAIR = 4, 8 + MOST_RANK, 4
"""Words of a description: its head, then for each tensor, then for each pair of tensors."""

TEXT = Template("""
; args: a tuple. known: descriptions one after the other, the head of each one the numbers of words, of arguments, of
; tensors, and of pairs; then a word of zero. out: the addresses. Gives the number of the description that fits, from 1
; on, or 0.
define i64 @vmc.recognize(ptr %args, ptr %known, ptr %out) {
entry:
  %size.at = getelementptr i8, ptr %args, i64 $tuple_size
  %size = load i64, ptr %size.at
  %items = getelementptr i8, ptr %args, i64 $tuple_items
  br label %description

description:
  %this = phi ptr [ %known, %entry ], [ %next, %differs ]
  %number = phi i64 [ 1, %entry ], [ %number.next, %differs ]
  %words = load i64, ptr %this
  %over = icmp eq i64 %words, 0
  br i1 %over, label %none, label %compare

compare:
  %fits = call i1 @fits(ptr %items, i64 %size, ptr %this, ptr %out)
  br i1 %fits, label %found, label %differs

differs:
  %next = getelementptr i64, ptr %this, i64 %words
  %number.next = add i64 %number, 1
  br label %description

found:
  ret i64 %number

none:
  ret i64 0
}

define internal i1 @fits(ptr %items, i64 %size, ptr %this, ptr %out) {
entry:
  %tensor = alloca [6 x i64]
  %arguments.at = getelementptr i64, ptr %this, i64 1
  %arguments = load i64, ptr %arguments.at
  %tensors.at = getelementptr i64, ptr %this, i64 2
  %tensors = load i64, ptr %tensors.at
  %pairs.at = getelementptr i64, ptr %this, i64 3
  %pairs = load i64, ptr %pairs.at
  %first = getelementptr i64, ptr %this, i64 $HEAD
  %as.many = icmp eq i64 %arguments, %size
  br i1 %as.many, label %argument, label %no

argument:
  %i = phi i64 [ 0, %entry ], [ %i.next, %aligned ]
  %entry.at = phi ptr [ %first, %entry ], [ %entry.next, %aligned ]
  %done = icmp eq i64 %i, %tensors
  br i1 %done, label %pair, label %look

look:
  %place = load i64, ptr %entry.at
  %item.at = getelementptr ptr, ptr %items, i64 %place
  %object = load ptr, ptr %item.at
  %type.at = getelementptr i8, ptr %object, i64 $object_type
  %type = load i64, ptr %type.at
  %type.known.at = getelementptr i64, ptr %entry.at, i64 1
  %type.known = load i64, ptr %type.known.at
  %exchange.at = getelementptr i64, ptr %entry.at, i64 2
  %exchange = load ptr, ptr %exchange.at
  %dtype.known.at = getelementptr i64, ptr %entry.at, i64 3
  %dtype.known = load i64, ptr %dtype.known.at
  %flags.known.at = getelementptr i64, ptr %entry.at, i64 4
  %flags.known = load i64, ptr %flags.known.at
  %rank.at = getelementptr i64, ptr %entry.at, i64 5
  %rank = load i64, ptr %rank.at
  %mask.at = getelementptr i64, ptr %entry.at, i64 6
  %mask = load i64, ptr %mask.at
  %extents = getelementptr i64, ptr %entry.at, i64 8
  %same.type = icmp eq i64 %type, %type.known
  br i1 %same.type, label %whose, label %no

whose:
  %is.array = icmp eq ptr %exchange, null
  br i1 %is.array, label %array, label %exchanged

array:
  %data.at = getelementptr i8, ptr %object, i64 $data
  %array.data = load i64, ptr %data.at
  %array.rank.at = getelementptr i8, ptr %object, i64 $rank
  %array.rank.32 = load i32, ptr %array.rank.at
  %array.extents.at = getelementptr i8, ptr %object, i64 $extents
  %array.extents = load ptr, ptr %array.extents.at
  %array.dtype.at = getelementptr i8, ptr %object, i64 $dtype
  %array.dtype = load i64, ptr %array.dtype.at
  %array.flags.at = getelementptr i8, ptr %object, i64 $flags
  %array.flags.32 = load i32, ptr %array.flags.at
  %array.flags = zext i32 %array.flags.32 to i64
  %same.flags = icmp eq i64 %array.flags, %flags.known
  br i1 %same.flags, label %shape, label %no

exchanged:
  %failed = call i32 %exchange(ptr %object, ptr %tensor)
  %told = icmp eq i32 %failed, 0
  br i1 %told, label %device, label %no

device:
  %tensor.data = load i64, ptr %tensor
  %device.at = getelementptr i8, ptr %tensor, i64 8
  %device.has = load i64, ptr %device.at
  %device.known.at = getelementptr i64, ptr %entry.at, i64 7
  %device.known = load i64, ptr %device.known.at
  %tensor.rank.at = getelementptr i8, ptr %tensor, i64 16
  %tensor.rank.32 = load i32, ptr %tensor.rank.at
  %tensor.dtype.at = getelementptr i8, ptr %tensor, i64 20
  %tensor.dtype.32 = load i32, ptr %tensor.dtype.at
  %tensor.dtype = zext i32 %tensor.dtype.32 to i64
  %tensor.extents.at = getelementptr i8, ptr %tensor, i64 24
  %tensor.extents = load ptr, ptr %tensor.extents.at
  %strides.at = getelementptr i8, ptr %tensor, i64 32
  %tensor.strides = load ptr, ptr %strides.at
  %offset.at = getelementptr i8, ptr %tensor, i64 40
  %offset = load i64, ptr %offset.at
  %tensor.start = add i64 %tensor.data, %offset
  %same.device = icmp eq i64 %device.has, %device.known
  br i1 %same.device, label %shape, label %no

shape:
  %address = phi i64 [ %array.data, %array ], [ %tensor.start, %device ]
  %has.dtype = phi i64 [ %array.dtype, %array ], [ %tensor.dtype, %device ]
  %has.rank.32 = phi i32 [ %array.rank.32, %array ], [ %tensor.rank.32, %device ]
  %has.extents = phi ptr [ %array.extents, %array ], [ %tensor.extents, %device ]
  %has.strides = phi ptr [ null, %array ], [ %tensor.strides, %device ]
  %has.rank = sext i32 %has.rank.32 to i64
  %same.dtype = icmp eq i64 %has.dtype, %dtype.known
  %same.rank = icmp eq i64 %has.rank, %rank
  %same.both = and i1 %same.dtype, %same.rank
  %dense = icmp eq ptr %has.strides, null
  br i1 %same.both, label %extent, label %no

extent:                        ; from the last axis to the first, `stride` elements from one index to the next
  %axes = phi i64 [ %rank, %shape ], [ %axis, %stepped ]
  %stride = phi i64 [ 1, %shape ], [ %stride.next, %stepped ]
  %all = icmp eq i64 %axes, 0
  br i1 %all, label %place.known, label %one

one:
  %axis = sub i64 %axes, 1
  %extent.at = getelementptr i64, ptr %has.extents, i64 %axis
  %extent.has = load i64, ptr %extent.at
  %extent.known.at = getelementptr i64, ptr %extents, i64 %axis
  %extent.known = load i64, ptr %extent.known.at
  %same.extent = icmp eq i64 %extent.has, %extent.known
  %stride.next = mul i64 %stride, %extent.known
  br i1 %same.extent, label %step, label %no

step:
  %single = icmp eq i64 %extent.known, 1
  %any.stride = or i1 %single, %dense
  br i1 %any.stride, label %stepped, label %measured

measured:
  %stride.at = getelementptr i64, ptr %has.strides, i64 %axis
  %stride.has = load i64, ptr %stride.at
  %same.stride = icmp eq i64 %stride.has, %stride
  br i1 %same.stride, label %stepped, label %no

stepped:
  br label %extent

place.known:
  %out.at = getelementptr i64, ptr %out, i64 %i
  store i64 %address, ptr %out.at
  %crooked = and i64 %address, %mask
  %straight = icmp eq i64 %crooked, 0
  br i1 %straight, label %aligned, label %no

aligned:
  %i.next = add i64 %i, 1
  %entry.next = getelementptr i64, ptr %entry.at, i64 $ENTRY
  br label %argument

pair:
  %p = phi i64 [ 0, %argument ], [ %p.next, %apart ]
  %pair.at = phi ptr [ %entry.at, %argument ], [ %pair.next, %apart ]
  %paired = icmp eq i64 %p, %pairs
  br i1 %paired, label %yes, label %overlap

overlap:
  %one.place = load i64, ptr %pair.at
  %other.place.at = getelementptr i64, ptr %pair.at, i64 1
  %other.place = load i64, ptr %other.place.at
  %one.size.at = getelementptr i64, ptr %pair.at, i64 2
  %one.size = load i64, ptr %one.size.at
  %other.size.at = getelementptr i64, ptr %pair.at, i64 3
  %other.size = load i64, ptr %other.size.at
  %one.at = getelementptr i64, ptr %out, i64 %one.place
  %one.start = load i64, ptr %one.at
  %other.at = getelementptr i64, ptr %out, i64 %other.place
  %other.start = load i64, ptr %other.at
  %one.end = add i64 %one.start, %one.size
  %other.end = add i64 %other.start, %other.size
  %begins.before = icmp ult i64 %one.start, %other.end
  %ends.after = icmp ult i64 %other.start, %one.end
  %meet = and i1 %begins.before, %ends.after
  br i1 %meet, label %no, label %apart

apart:
  %p.next = add i64 %p, 1
  %pair.next = getelementptr i64, ptr %pair.at, i64 $PAIR
  br label %pair

yes:
  ret i1 true

no:
  ret i1 false
}
""")


@cache
def native() -> Callable[[tuple[Any, ...], int, int], int] | None:
    """`vmc.recognize`, called with Python's lock held; None where objects do not lie as expected."""
    if header_at is None or sys.maxsize < 1 << 32 or not is_tuple_known():
        return None
    from vmc.backends.cpu.resident import resident

    fields = {name: str(getattr(Header, name).offset) for name in ("data", "rank", "extents", "dtype", "flags")}
    text = TEXT.substitute(
        fields,
        tuple_size=object.__basicsize__,
        tuple_items=tuple.__basicsize__,
        object_type=object.__basicsize__ - 8,
        HEAD=HEAD,
        ENTRY=ENTRY,
        PAIR=PAIR,
    )
    address = resident("vmc.recognition", text, ["vmc.recognize"])["vmc.recognize"]
    return ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p)(address)


def is_tuple_known() -> bool:
    """Whether a tuple and an object lie in memory as CPython's do: type, then number and addresses of the items."""
    if sys.implementation.name != "cpython":
        return False
    sample = (object(), "text", 1.5)
    words = (ctypes.c_size_t * (len(sample) + 1)).from_address(id(sample) + object.__basicsize__)
    type_of = ctypes.c_size_t.from_address(id(sample[1]) + object.__basicsize__ - 8)
    items_follow = tuple.__basicsize__ == object.__basicsize__ + 8
    return items_follow and list(words) == [len(sample), *map(id, sample)] and type_of.value == id(str)


@cache
def exchange_function(tensor: Any) -> int:
    """The address of the function of a class of tensors that fills a DLTensor; 0 where it has none that is known."""
    capsule = getattr(tensor, "__dlpack_c_exchange_api__", None)
    name = b"dlpack_exchange_api"
    get, valid = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_IsValid
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    valid.restype, valid.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
    if capsule is None or not valid(capsule, name):
        return 0
    api = get(capsule, name)
    while api:  # a list of versions, the newest first
        major = ctypes.c_uint32.from_address(api).value
        if major == 1:
            return ctypes.c_size_t.from_address(api + 40).value
        api = ctypes.c_size_t.from_address(api + 8).value
    return 0


class Words:
    """Words of eight bytes in memory."""

    def __init__(self, words: Sequence[int]) -> None:
        self.memory = (ctypes.c_uint64 * len(words))(*words)
        self.address = ctypes.addressof(self.memory)


@dataclass(frozen=True, eq=False)
class Known:
    """Arguments of one combination of kinds: their plan, the code for it, their description in words, and what Python
    alone can tell: `kinds` of packed arrays and their places, places of tensors, and of those that are written.
    `keep`: what the description has addresses of.
    """

    plan: Plan
    launcher: Launcher
    words: tuple[int, ...]
    kinds: tuple[tuple[int, object], ...]
    tensors: tuple[int, ...]
    written: tuple[int, ...]
    keep: tuple[object, ...]

    def accepts(self, args: tuple[Any, ...]) -> bool:
        """Whether arguments that fit the description are of these kinds."""
        for place, kind in self.kinds:
            if args[place].kind is not kind:
                return False
        for place in self.tensors:
            if args[place].is_neg():
                return False
        return all(not args[place].requires_grad for place in self.written) if self.written else True


class Recognizer:
    """What is known of the arguments of one kernel; `places` are those of its tensors, `written` of those it writes."""

    def __init__(self, places: Sequence[int], written: Sequence[int], arguments: int) -> None:
        self.places, self.arguments = tuple(places), arguments
        self.written = frozenset(written)
        self._known: tuple[Known, ...] = ()
        self._words = Words((0,))
        self._unpack = struct.Struct(f"={len(self.places)}Q").unpack_from
        self._outs: list[Words] = []

    def find(self, args: tuple[Any, ...]) -> tuple[Known, tuple[int, ...]] | None:
        """What is known of arguments, and the addresses of the tensors, if they are recognized."""
        known = self._known
        if not known:
            return None
        outs, words, recognize = self._outs, self._words, native()
        out = outs.pop() if outs else Words([0] * max(1, len(self.places)))
        try:
            number = recognize(args, words.address, out.address)  # type: ignore[misc]  # or nothing would be known
        except Exception:  # of a tensor that cannot be exchanged: the long way says why
            return None
        addresses: tuple[int, ...] = self._unpack(out.memory)
        outs.append(out)
        if not number:
            return None
        found = known[number - 1]
        return (found, addresses) if found.accepts(args) else None

    def learn(self, args: Sequence[Any], plan: Plan, launcher: Launcher) -> None:
        """Has arguments recognized that fit a plan, where that is possible."""
        if len(self._known) >= MOST_KINDS or native() is None or any(each.plan is plan for each in self._known):
            return
        made = self.described(args, plan, launcher)
        if made is None:
            return
        known = (*self._known, made)
        self._words = Words([*(word for each in known for word in each.words), 0])
        self._known = known

    def described(self, args: Sequence[Any], plan: Plan, launcher: Launcher) -> Known | None:
        """The description of arguments; None for some that cannot be recognized."""
        torch = sys.modules.get("torch")
        masks = dict(plan.masks)
        words: list[int] = []
        keep: list[object] = []
        for number, place in enumerate(self.places):
            value = args[place]
            if type(value) is np.ndarray or type(value) is Packed:
                entry = [0, id(value.dtype), value.flags.num, value.ndim]
                device = 0
                keep.append(value.dtype)
            elif is_tensor(type(value), torch) and (exchange := exchange_function(value.__class__)):
                device, element = exchanged(value, exchange)
                entry = [exchange, element, 0, value.ndim]
            else:
                return None
            if value.ndim > MOST_RANK:
                return None
            extents = [*map(int, value.shape), *[0] * (MOST_RANK - value.ndim)]
            words += [place, id(type(value)), *entry, masks.get(number, 0), device, *extents]
        words += [word for pair in plan.pairs for word in pair]
        head = [HEAD + len(words), self.arguments, len(self.places), len(plan.pairs)]
        labelled = [place for place in self.places if type(args[place]) is Packed or is_labelled(type(args[place]))]
        kinds = tuple((place, args[place].kind) for place in labelled)
        tensors = tuple(place for place in self.places if not isinstance(args[place], np.ndarray))
        written = tuple(place for place in tensors if place in self.written)
        return Known(plan, launcher, (*head, *words), kinds, tensors, written, tuple(keep))


def is_tensor(kind: type, torch: Any) -> bool:
    """Whether a class is torch's of tensors, or that of labelled ones; another class may be anything."""
    return torch is not None and (kind is torch.Tensor or is_labelled(kind))


def exchanged(tensor: Any, exchange: int) -> tuple[int, int]:
    """A tensor's DLDevice as one number of 64 bits, and its DLDataType as one of 32."""
    words = Words([0] * 6)
    ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.py_object, ctypes.c_void_p)(exchange)(tensor, words.address)
    return words.memory[1], words.memory[2] >> 32
