"""What compiled code reads of the processor, and what it concludes."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import ir

from vmc.backends.cpu import Options, cpuid
from vmc.backends.cpu.executable import jit
from vmc.backends.cpu.features import AMX, host_features
from vmc.backends.cpu.levels import LEVELS, PORTABLE, TABLE, X86
from vmc.backends.cpu.target import machine

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 host")

Words = ctypes.c_uint32 * (cpuid.XCR0 + 1)
SETS = [LEVELS[name].needs for name in PORTABLE]


@lru_cache(maxsize=1)
def library() -> Any:
    """The two functions that the module defines, loaded."""
    host = machine(Options())
    module = ir.Module("test_cpuid")
    module.triple, module.data_layout = host.triple, host.data_layout
    cpuid.emit_reading(module, "read")
    cpuid.emit_choice(module, "choice", SETS)
    code = host.llvm_machine.emit_object(llvm.parse_assembly(str(module)))
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    return builder.export_symbol("read").export_symbol("choice").link(jit(), "test_cpuid")


def function(name: str, result: Any) -> Callable[[Any], int]:
    return ctypes.CFUNCTYPE(result, ctypes.c_void_p)(library()[name])  # type: ignore[no-any-return]


def read() -> Any:
    words = Words(*[0xFFFFFFFF] * len(Words()))
    function("read", None)(ctypes.addressof(words))
    return words


def choice(words: Any) -> int:
    return function("choice", ctypes.c_int32)(ctypes.addressof(words))


def words_of(features: set[str], state: int) -> Any:
    """The words of a processor with these features, in a system that saves this state."""
    words = Words()
    for name in features:
        word, bit = cpuid.BITS[name]
        words[word] |= 1 << bit
    words[cpuid.XCR0] = state
    return words


def test_all_features_of_levels_are_known() -> None:
    needed = {name for level in TABLE if level.architecture == X86 for name in level.needs}
    assert needed <= set(cpuid.BITS)


def test_tiles_need_their_state_to_be_saved_and_are_not_chosen_where_nobody_asks_for_permission() -> None:
    assert cpuid.masks(["amx-tile"]) == {cpuid.WORDS.index((7, 0, cpuid.EDX)): 1 << 24, cpuid.XCR0: 3 << 17}
    assert not any(set(AMX) & LEVELS[name].needs for name in PORTABLE)


def test_the_words_of_the_host_show_what_llvm_finds() -> None:
    words, host = read(), host_features()
    state = words[cpuid.XCR0]
    for name, (word, bit) in cpuid.BITS.items():
        usable = bool(words[word] >> bit & 1)
        if name.startswith("avx512"):
            usable = usable and state & cpuid.ZMM == cpuid.ZMM
        assert usable == host[name], name


def test_the_host_gets_the_best_level_that_it_has() -> None:
    host = {name for name, present in host_features().items() if present}
    assert choice(read()) == max(place for place, needs in enumerate(SETS) if needs <= host)


@pytest.mark.parametrize("name", PORTABLE)
def test_a_processor_that_has_just_a_level_gets_it(name: str) -> None:
    assert PORTABLE[choice(words_of(set(LEVELS[name].needs), cpuid.ZMM))] == name


def test_registers_that_the_system_does_not_save_are_not_used() -> None:
    everything = set(SETS[-1])
    assert PORTABLE[choice(words_of(everything, cpuid.YMM))] == "x86-64-v3"
    assert PORTABLE[choice(words_of(everything, 0))] == "x86-64"


@given(st.sets(st.sampled_from(sorted(SETS[-1]))), st.sampled_from([0, cpuid.YMM, cpuid.ZMM]))
def test_without_one_feature_of_a_level_a_lower_one_is_chosen(lacking: set[str], state: int) -> None:
    present = set(SETS[-1]) - lacking
    saved = {0: set(SETS[0]), cpuid.YMM: set(SETS[1]), cpuid.ZMM: set(SETS[-1])}[state]
    expected = max(place for place, needs in enumerate(SETS) if needs <= present & saved)
    assert choice(words_of(present, state)) == expected
