"""Fields of an arrangement brought to where arithmetic wants them: the shifts, masks and byte permutations."""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.decode.arrangement import Arrangement, Field, movement
from vmc.ir.decode.words import Builder, Imm, truth_table

AND_XOR = truth_table(lambda a, b, c: a & b ^ c)


@dataclass
class Raw:
    """Emits the operations that bring fields in place."""

    build: Builder
    arrangement: Arrangement

    def version(self, word: int, rotation: int) -> int:
        """The word, rotated."""
        name, amount = movement(rotation, self.arrangement.versions[word, rotation], self.arrangement.slot)
        return word if name == "none" else self.build(name, word, Imm(amount))

    def field(self, field: Field, constant: int = 0, without: int = 0) -> int:
        """The field in all slots, xor a constant of one slot; 0 elsewhere. Places `without` are left out."""
        parts = [(piece, targets) for piece in field.pieces if (targets := piece.targets & ~without)]
        if len(parts) == 1:
            ((piece, targets),) = parts
            if not piece.rotation and not constant and targets == (1 << self.arrangement.slot) - 1:
                return piece.word
            moved = self.bytewise(piece.word, piece.rotation, targets, constant)
            if moved is not None:
                return moved
        value: int | Imm = Imm(self.everywhere(constant))
        for piece, targets in parts:
            source = self.version(piece.word, piece.rotation)
            value = self.build("lop3", source, Imm(self.everywhere(targets)), value, AND_XOR)
        assert isinstance(value, int)
        return value

    def bytewise(self, word: int, rotation: int, targets: int, constant: int) -> int | None:
        """Whole bytes that move by whole bytes, the others from the constant: one permutation of bytes."""
        slot = self.arrangement.slot
        aligned = all(targets >> start & 0xFF in (0, 0xFF) for start in range(0, slot, 8))
        if not rotation or rotation % 8 or not aligned or constant & targets:
            return None
        _, amount = movement(rotation, targets, slot)
        kept = [
            (8 * place - (slot - amount) if movement(rotation, targets, slot)[0] == "shl" else 8 * place + rotation)
            for place in range(4)
        ]
        wanted = self.everywhere(targets)
        selector = sum(
            ((kept[place] // 8 % 4) if wanted >> 8 * place & 0xFF else 4 + place) << 4 * place for place in range(4)
        )
        return self.build("prmt", word, Imm(self.everywhere(constant)), Imm(selector))

    def everywhere(self, part: int) -> int:
        """The bits of one slot, in every slot."""
        slot = self.arrangement.slot
        return sum(part << start for start in range(0, 32, slot))
