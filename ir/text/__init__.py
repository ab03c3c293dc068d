"""The text form of the tile IR: prints modules, parses them back, and compares them up to the names of values.

    kernel scale<BM = 64>(%x: tensor<f16[M, 32], in>, %y: tensor<f32[M, 32], out>) symbols(M) {
      %M = symbol {name = "M"} : i64
      grid %M (%m: i64) {
        %a = load %x, %m, %zero {fill = 0, inbounds = [false, false], sizes = [none, 32], steps = [1, 1]} : f16[32]
        ...
        yield
      }
      yield
    }

It knows no operation: names, operands, attributes, result types and regions print alike for all of them.
"""

from vmc.ir.text.parser import parse_module, parse_storage, parse_type
from vmc.ir.text.printer import print_kernel, print_module, storage_text, type_text
from vmc.ir.text.structure import structurally_equal

__all__ = [
    "parse_module",
    "parse_storage",
    "parse_type",
    "print_kernel",
    "print_module",
    "storage_text",
    "structurally_equal",
    "type_text",
]
