"""Every rule, on its own: both sides have the same bits in all dtypes that it claims, on special and random values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.ir.passes.evaluation import random_tile, results, special_codes
from vmc.ir.builder import Builder, argument
from vmc.ir.core import IRError, Kernel, Op, TileType, Value
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.passes.rules import ALGEBRAIC, STRUCTURAL
from vmc.ir.passes.rules.casts import WIDE_EMBEDDINGS, embeds
from vmc.ir.passes.rules.pattern import CONSTANT_LETTERS, Node, Pattern, Rule, code_of, is_number, read
from vmc.ir.types import ALL_DTYPES, DType, dtype

N = 64


def letters(pattern: Pattern) -> list[str]:
    if isinstance(pattern, Node):
        return [letter for part in pattern.parts for letter in letters(part)]
    return [] if is_number(pattern) else [pattern]


class Instance:
    """A rule's left side as a kernel whose letters are parameters or constants."""

    def __init__(self, rule: Rule, type: DType, rng: random.Random) -> None:
        self.rule, self.type, self.rng = rule, type, rng
        self.build = Builder()
        self.params: dict[str, Value] = {}
        self.constants: dict[str, Value] = {}
        self.result = self.emit(rule.pattern, type)
        self.root = self.build.ops[-1]
        self.kernel = Kernel("k", tuple(self.params.values()), (), self.build.region((), (self.result,)))

    def emit(self, pattern: Pattern, type: DType) -> Value:
        if isinstance(pattern, Node):
            condition = [dtype("u1")] if pattern.name == "select" else []
            types = (condition + [type] * 3)[: len(pattern.parts)]
            return self.build(pattern.name, *map(self.emit, pattern.parts, types))
        if is_number(pattern):
            return self.build("constant", type=TileType(type, (N,)), code=code_of(pattern, type))
        if pattern in CONSTANT_LETTERS:
            code = self.rng.choice(special_codes(type))
            return self.constants.setdefault(pattern, self.build("constant", type=TileType(type, (N,)), code=code))
        return self.params.setdefault(pattern, argument(TileType(type, (N,)), pattern))


def instances(rule: Rule, rng: random.Random) -> list[Instance]:
    """The rule's left side in every dtype that it claims and its operations take."""
    found = []
    for type in ALL_DTYPES:
        if rule.when(type):
            try:
                found.append(Instance(rule, type, rng))
            except IRError:
                continue
    return found


@pytest.mark.parametrize("rule", ALGEBRAIC, ids=str)
def test_both_sides_of_a_rule_have_the_same_bits(rule: Rule) -> None:
    rng = random.Random(str(rule))
    cases = instances(rule, rng) + instances(rule, rng)
    assert cases
    for case in cases:
        applied: list[Op] = []

        def once(op: Op, rewriter: Rewriter, case: Instance = case, applied: list[Op] = applied) -> Any:
            replacement = rule(op, rewriter) if op is case.root else None
            applied.extend([op] if replacement is not None else [])
            return replacement

        rewritten = Rewriter(once).kernel(case.kernel)
        assert applied, f"{rule} does not match its own left side on {case.type}"
        arguments = [random_tile(param.tile.dtype, N, rng) for param in case.kernel.params]
        before, after = results(case.kernel, arguments), results(rewritten, arguments)
        assert all(map(np.array_equal, before, after)), f"{rule} on {case.type}"


def test_a_rule_uses_no_letter_that_its_pattern_does_not_bind() -> None:
    for rule in ALGEBRAIC:
        assert set(letters(rule.replacement)) <= set(letters(rule.pattern)), rule


def test_rules_print_as_sentences_and_differ() -> None:
    texts = [str(rule) for rule in (*ALGEBRAIC, *STRUCTURAL)]
    assert len(set(texts)) == len(texts)
    assert "(sub x x) -> 0  where x is integer" in texts


def test_a_pattern_is_read_as_it_is_nested() -> None:
    assert read("(add (neg x) 0)") == Node("add", (Node("neg", ("x",)), "0"))


@pytest.mark.parametrize("source", [t for t in ALL_DTYPES if t.width <= 8], ids=str)
def test_a_type_embeds_in_another_exactly_if_every_value_survives(source: DType) -> None:
    values = source.decode(source.codes())
    for target in ALL_DTYPES:
        back = target.decode(target.encode(values))
        same = np.array_equal(values.astype(np.float64), back.astype(np.float64), equal_nan=True)
        signs = source.is_float and np.any(np.signbit(values) & (values == 0))
        kept = same and not (signs and not (target.is_float and target.has_sign))
        zeros_kept = not signs or np.array_equal(
            np.signbit(values[~np.isnan(values)]), np.signbit(back.astype(np.float64)[~np.isnan(values)])
        )
        assert embeds(source, target) == bool(kept and zeros_kept), target


@pytest.mark.parametrize("source", WIDE_EMBEDDINGS)
def test_the_table_of_wide_embeddings_is_sound(source: str) -> None:
    type, rng = dtype(source), np.random.default_rng(0)
    codes = rng.integers(0, 1 << type.width, 20000, np.uint64)
    codes = np.concatenate([codes, np.array([0, 1, (1 << type.width) - 1, 1 << (type.width - 1)], np.uint64)])
    codes = (codes >> np.uint64(type.unused_bits) << np.uint64(type.unused_bits)).astype(type.code_dtype)
    values = type.decode(codes)
    for name in WIDE_EMBEDDINGS[source]:
        target = dtype(name)
        back = target.decode(target.encode(values))
        assert np.array_equal(values.astype(np.float64), back.astype(np.float64), equal_nan=True)
