"""Decoding of narrow codes by 32-bit operations: which bits lie where, and what makes numbers of them."""

from vmc.ir.decode.arrangement import Arrangement, arrange
from vmc.ir.decode.decoder import KINDS, Decoder, NoDecoderError, decoder
from vmc.ir.decode.words import Imm, Operation, Program

__all__ = [
    "KINDS",
    "Arrangement",
    "Decoder",
    "Imm",
    "NoDecoderError",
    "Operation",
    "Program",
    "arrange",
    "decoder",
]
