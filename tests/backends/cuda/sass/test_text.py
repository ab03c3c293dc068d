"""Disassemblies become blocks with their successors."""

from tests.backends.cuda.sass.snippets import LOOP, NESTED
from vmc.backends.cuda.sass.text import parse


def test_blocks_end_at_labels_and_behind_branches():
    (function,) = parse(LOOP)
    assert (function.name, function.registers) == ("kernel", 25)
    labels = [block.label for block in function.blocks]
    entry, loop, end = function.blocks[0], labels.index(".L_x_1"), labels.index(".L_x_0")
    assert sorted(entry.successors) == sorted((loop, end))
    assert sorted(function.blocks[loop].successors) == sorted((loop, end))


def test_an_exit_under_a_condition_goes_on():
    (function,) = parse(LOOP)
    loop = next(block for block in function.blocks if block.label == ".L_x_1")
    assert [i.mnemonic for i in loop.instructions].count("EXIT") == 1
    assert loop.instructions[-1].mnemonic == "BRA"


def test_opcodes_keep_their_modifiers_and_predicates():
    (function,) = parse(LOOP)
    by_address = {instruction.address: instruction for instruction in function.instructions}
    load = by_address[0x40]
    assert (load.mnemonic, load.modifiers, load.conditional) == ("LDG", ("E", "128", "CONSTANT"), False)
    assert by_address[0x30].predicate == "!P0"
    assert by_address[0xC0].predicate == "!UPT"


def test_every_function_is_found_and_conditions_among_operands_are_seen():
    outer, second = parse(NESTED)
    assert (outer.name, second.name, second.registers) == ("outer", "second", 8)
    jump = next(block for block in outer.blocks if block.instructions[-1].operands.startswith("P1"))
    assert len(jump.successors) == 2


def test_text_without_code_has_no_functions():
    assert parse("") == ()
