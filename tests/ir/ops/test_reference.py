"""The table of operations and the reference made from it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vmc.ir.opdef import OpDef
from vmc.ir.ops import FAMILIES, OPS

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_is_what_the_definitions_say():
    spec = importlib.util.spec_from_file_location("make_ir_reference", DOCS / "make_ir_reference.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert (DOCS / "ir.md").read_text(encoding="utf-8") == maker.reference(), "run docs/make_ir_reference.py"


def test_no_name_is_given_twice():
    assert len(OPS) == sum(map(len, FAMILIES.values()))


@pytest.mark.parametrize("definition", OPS.values(), ids=lambda definition: definition.name)
def test_every_operation_says_what_it_is(definition):
    assert definition.summary and definition.legal_types()
    composite = type(definition).expand is not OpDef.expand
    meaning = type(definition).evaluate is not OpDef.evaluate
    assert composite is definition.composite and composite is not meaning
