"""The parser's tables are kept between runs, and made again where what is kept is of no use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lark
import pytest

from vmc.lang import tables, words
from vmc.lang.builder import Builder
from vmc.lang.parser import parse

GRAMMAR = Path(tables.__file__).with_name("grammar.lark")
PROGRAM = (
    "import sys; from vmc.lang.parser import parse; t, d = parse('def f(x):\\n    return x\\n', 'a'); print(t.decls, d)"
)


@pytest.fixture
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    return tmp_path / "vmc"


def fresh() -> lark.Lark:
    return tables.tables.__wrapped__()


def accepts(parser: lark.Lark) -> bool:
    return "KERNEL" in parser.parse_interactive("").choices()  # type: ignore[no-untyped-call]


def test_the_tables_are_kept_and_read_again(cache_directory: Path) -> None:
    assert accepts(fresh())
    (kept,) = cache_directory.iterdir()
    written = kept.stat().st_mtime_ns
    assert accepts(fresh())
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\0" * 5000])
def test_tables_that_cannot_be_read_are_made_again(cache_directory: Path, damage: bytes) -> None:
    fresh()
    (kept,) = cache_directory.iterdir()
    good = kept.read_bytes()
    for bad in (damage, good[:-1], good[: len(good) // 2]):
        kept.write_bytes(bad)
        assert accepts(fresh())
        assert len(kept.read_bytes()) > 1000


def test_a_cache_directory_that_cannot_be_made_does_no_harm(cache_directory: Path) -> None:
    cache_directory.write_text("a file where the directory should be")
    assert accepts(fresh())


def test_processes_that_start_together_all_parse(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}

    def start(_: int) -> str:
        command = [sys.executable, "-W", "error", "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        outputs = set(pool.map(start, range(4)))
    assert len(outputs) == 1
    assert "Function(name='f'" in outputs.pop()


def test_the_grammar_has_a_method_for_every_rule() -> None:
    parser = tables.build(GRAMMAR.read_text(encoding="utf-8"))
    made = {rule.alias or rule.origin.name for rule in parser.rules if not rule.options.expand1 or rule.alias}
    made = {str(name) for name in made if not str(name).startswith("_")}
    missing = {name for name in made if not hasattr(Builder, name)}
    assert not missing


def test_the_words_and_the_grammar_have_the_same_terminals() -> None:
    parser = tables.build(GRAMMAR.read_text(encoding="utf-8"))
    used = {symbol.name for rule in parser.rules for symbol in rule.expansion if symbol.is_term}
    known = {*words.RESERVED.values(), *words.SOFT.values(), *words.OPERATORS.values()}
    known |= {"NAME", "INT", "FLOAT", "STRING", "NEWLINE", "INDENT", "DEDENT"}
    assert used <= known
    assert known - used == {"FOREIGN", "SEMICOLON", "BRACE"}


def test_threads_parse_at_the_same_time() -> None:
    sources = [f"def f{i}(x):\n    return x * {i} + \n" for i in range(40)]
    alone = [parse(source, "a") for source in sources]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda source: parse(source, "a"), sources)) == alone


def test_three_hundred_small_programs_are_parsed_in_a_second() -> None:
    source = "def silu(x):\n    return x / (1.0 + exp(-x))\n\nkernel k[BM = 64](x: f32[N], y: out f32[N]):\n"
    source += "    for i in grid(cdiv(N, BM)):\n        y[i * BM : +BM] = silu(x[i * BM : +BM])\n"
    parse(source, "a")
    start = time.process_time()
    for _ in range(100):
        parse(source, "a")
    assert time.process_time() - start < 100 / 300
