"""The processor to compile for, what the host can execute, and LLVM's passes over a module."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

from vmc.backends.cpu.features import PROBES, amx_features, architecture, enabled_features, host_features
from vmc.backends.cpu.levels import TABLE, Level, level_of
from vmc.backends.cpu.options import Options


@dataclass(frozen=True, eq=False)
class Machine:
    """A processor: LLVM's names for it, and what lowerings ask: bytes of a vector register, conversions of half,
    features. `flags` is LLVM's list `+x,-y`; `features` are the names, out of `features.PROBES` and AMX's.
    """

    cpu: str
    flags: str
    features: frozenset[str]
    opt_level: int
    vector_bytes: int
    has_half: bool
    triple: str
    data_layout: str
    llvm_machine: Any = field(repr=False)

    @property
    def vector_registers(self) -> int:
        """How many vector registers there are."""
        return 32 if self.vector_bytes == 64 or self.triple.startswith("aarch64") else 16


def host_flags() -> str:
    """The host's features, which override LLVM's guess of the processor. Wide vectors are wanted where they exist."""
    features = host_features()
    signed = [f"{'+' if present else '-'}{name}" for name, present in sorted(features.items())]
    return ",".join([*signed, "-prefer-256-bit"]) if features else ""


@lru_cache(maxsize=16)
def machine(options: Options) -> Machine:
    """The machine that the options name. Raises RuntimeError for a target that this LLVM lacks."""
    initialize()
    triple = options.triple or llvm.get_process_triple()
    cpu = options.cpu or llvm.get_host_cpu_name()
    own = host_flags() if options.cpu is None else ""
    features = ",".join(part for part in (own, options.features) if part)
    built = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=options.opt_level, reloc="pic", codemodel="small"
    )
    enabled = enabled_features(built, triple, known_features(options, triple)) | amx_features(cpu, features)
    vector = 64 if "avx512f" in enabled else 32 if "avx" in enabled else 16
    has_half = not triple.startswith(("x86_64", "i686")) or "f16c" in enabled
    layout = str(built.target_data)
    return Machine(cpu, features, enabled, options.opt_level, vector, has_half, triple, layout, built)


def known_features(options: Options, triple: str) -> dict[str, bool]:
    """What need not be probed: everything of the host and of levels, nothing of other processors."""
    if options.cpu is None:
        return {} if options.features else host_features()
    level = level_of(options, triple)
    return {name: name in level.needs for name in PROBES[level.architecture]} if level else {}


def missing(level: Level) -> tuple[str, ...]:
    """What the host lacks to execute code for a level: nothing, its architecture, or some features."""
    host = machine(Options())
    if architecture(host.triple) != level.architecture:
        return (f"the architecture {level.architecture}",)
    listed = host_features()
    return tuple(sorted(name for name in level.needs if not listed.get(name, name in host.features)))


def best() -> Level | None:
    """The last level of the table that the host can execute."""
    return next((level for level in reversed(TABLE) if not missing(level)), None)


@lru_cache(maxsize=1)
def initialize() -> None:
    """Makes LLVM ready for all processors that it has, and for the inline assembly of the host's; newer LLVMs do part
    of it by themselves and refuse to be asked.
    """
    prepares = (
        llvm.initialize,
        llvm.initialize_all_targets,
        llvm.initialize_all_asmprinters,
        llvm.initialize_native_asmparser,
    )
    for prepare in prepares:
        try:
            prepare()
        except RuntimeError as error:
            if "deprecated" not in str(error):
                raise


def optimize(machine: Machine, text: str) -> Any:
    """LLVM text as a module, through LLVM's own pipeline. Raises RuntimeError for text that is ill-formed."""
    module = llvm.parse_assembly(text)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=machine.opt_level)
    tuning.loop_vectorization = machine.opt_level >= 2
    # The vectors of two and four that SLP makes of scalars gain nothing here, and LLVM 22 fails an assertion on some.
    tuning.slp_vectorization = False
    tuning.loop_interleaving = tuning.loop_unrolling = machine.opt_level >= 2
    builder = llvm.create_pass_builder(machine.llvm_machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module
