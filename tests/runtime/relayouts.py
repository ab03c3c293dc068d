"""A pass that gives parameters a storage, in the place of `relayout`, so that tests know which."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from vmc.ir.core import Module, Storage
from vmc.ir.passes import Pass
from vmc.ir.text import parse_module, print_module, storage_text


def giving(storages: Mapping[str, Storage]) -> Any:
    """As `relayout`: a function that makes the pass; it gives the parameters named in `storages` theirs."""

    def relayout(keep: frozenset[str] = frozenset()) -> Pass:
        def give(module: Module) -> Module:
            text = print_module(module, locations=True)
            for name in storages.keys() - keep:
                head, rest = text.split(f"%{name}: tensor<", 1)
                type, rest = rest.split(">", 1)
                text = f"{head}%{name}: tensor<{type}, {storage_text(storages[name])}>{rest}"
            return parse_module(text)

        return Pass("relayout", give)

    return relayout


def install(monkeypatch: Any, storages: Mapping[str, Storage]) -> None:
    """Makes it the pass of the pipeline. What is compiled must not get into the cache that other tests use."""
    monkeypatch.setattr(import_module("vmc.ir.passes"), "relayout", giving(storages))
