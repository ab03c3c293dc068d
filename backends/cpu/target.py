"""The processor to compile for, and LLVM's passes over a module."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

from vmc.backends.cpu.options import Options


@dataclass(frozen=True, eq=False)
class Machine:
    """A processor: LLVM's names for it, and what lowerings ask: bytes of a vector register, conversions of half."""

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


def host_features() -> str:
    """The host's features, which override LLVM's guess of the processor. Wide vectors are wanted where they exist."""
    features = llvm.get_host_cpu_features()
    return ",".join([features.flatten(), "-prefer-256-bit"]) if features else ""


@lru_cache(maxsize=16)
def machine(options: Options) -> Machine:
    """The machine that the options name. Raises RuntimeError for a target that this LLVM lacks."""
    initialize()
    triple = llvm.get_process_triple()
    cpu = options.cpu or llvm.get_host_cpu_name()
    own = host_features() if options.cpu is None else ""
    features = ",".join(part for part in (own, options.features) if part)
    built = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=options.opt_level, reloc="pic", codemodel="small"
    )
    enabled = enabled_features(built, features)
    vector = 64 if "avx512f" in enabled else 32 if "avx" in enabled else 16
    has_half = not triple.startswith(("x86_64", "i686")) or "f16c" in enabled
    return Machine(cpu, features, enabled, options.opt_level, vector, has_half, triple, str(built.target_data), built)


@lru_cache(maxsize=1)
def initialize() -> None:
    """Makes LLVM ready for the host; newer LLVMs do part of it by themselves and refuse to be asked."""
    for prepare in (llvm.initialize, llvm.initialize_native_target, llvm.initialize_native_asmprinter):
        try:
            prepare()
        except RuntimeError as error:
            if "deprecated" not in str(error):
                raise


def enabled_features(built: Any, features: str) -> frozenset[str]:
    """Which of the features that lowerings ask for the machine has."""
    listed = {part[1:]: part[0] == "+" for part in features.split(",") if part}
    probed = {name for name in ("avx", "f16c", "avx512f") if listed.get(name, probe(built, name))}
    return frozenset(probed | {name for name, sign in listed.items() if sign})


PROBES = {
    "avx": ("define <8 x float> @f(<8 x float> %a) { %b = fadd <8 x float> %a, %a ret <8 x float> %b }", "%ymm"),
    "avx512f": (
        "define <16 x float> @f(<16 x float> %a) { %b = fadd <16 x float> %a, %a ret <16 x float> %b }",
        "%zmm",
    ),
    "f16c": ("define float @f(half %a) { %b = fpext half %a to float ret float %b }", "vcvtph2ps"),
}
"""What a feature changes in the code of a tiny function: LLVM's C interface lists no features of a named processor."""


def probe(built: Any, name: str) -> bool:
    """Whether a machine that was not described by features has one."""
    text, sign = PROBES[name]
    return sign in built.emit_assembly(llvm.parse_assembly(text))


def optimize(machine: Machine, text: str) -> Any:
    """LLVM text as a module, through LLVM's own pipeline. Raises RuntimeError for text that is ill-formed."""
    module = llvm.parse_assembly(text)
    tuning = llvm.create_pipeline_tuning_options(speed_level=machine.opt_level)
    tuning.loop_vectorization = machine.opt_level >= 2
    # The vectors of two and four that SLP makes of scalars gain nothing here, and LLVM 22 fails an assertion on some.
    tuning.slp_vectorization = False
    tuning.loop_interleaving = tuning.loop_unrolling = machine.opt_level >= 2
    builder = llvm.create_pass_builder(machine.llvm_machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module
