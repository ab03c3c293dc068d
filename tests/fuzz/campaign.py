"""Fuzzing at length: `python -m tests.fuzz.campaign --count 1000000 --checker full --workers 2`.

Input number i is made from the seed i alone, so a failure is run again with `--start i --count 1`. A failure is an
exception out of the checker or the renderer, or an input that takes longer than the limit; each is printed with its
program and the campaign goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tests.fuzz.mutation import damaged_program
from tests.fuzz.substitution import substituted_program
from vmc.diagnostics import Diagnostic
from vmc.diagnostics.render import render_all

Checker = Callable[[str, str], list[Diagnostic]]
_BATCH = 500


def parse_only(source: str, file: str) -> list[Diagnostic]:
    """The diagnostics of the parser alone."""
    from vmc.lang.parser import parse

    tree, diagnostics = parse(source, file)
    assert diagnostics or not tree.damaged, "a declaration was dropped without a word"
    return diagnostics


def full(source: str, file: str) -> list[Diagnostic]:
    """The diagnostics of everything before code generation."""
    from vmc.lang import check_source

    return check_source(source, file)


CHECKERS: dict[str, Checker] = {"parse": parse_only, "full": full}


class TooSlow(BaseException):
    """An input took longer than the limit."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow where the body runs longer (main thread only)."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def failure(seed: int, checker: Checker, seconds: float = 10.0) -> str | None:
    """What goes wrong with the input of a seed, or None."""
    program = substituted_program(seed) if seed % 2 else damaged_program(seed)
    try:
        with time_limit(seconds):
            diagnostics = checker(program, "fuzz.vmc")
            render_all(diagnostics, program, color=seed % 2 == 0, width=40 + seed % 80).encode()
            for diagnostic in diagnostics:
                assert diagnostic.message, diagnostic
                assert 1 <= diagnostic.span.line <= diagnostic.span.end_line, diagnostic
    except (Exception, TooSlow):
        return f"seed {seed}:\n{traceback.format_exc(limit=-6)}\n--- program ---\n{program!r}\n"
    return None


def _batch(task: tuple[int, int, str]) -> list[str]:
    start, stop, name = task
    found = (failure(seed, CHECKERS[name]) for seed in range(start, stop))
    return [text for text in found if text is not None]


def main() -> int:
    """Run the campaign of the command line; 1 where an input failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--checker", choices=sorted(CHECKERS), default="full")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    end = args.start + args.count
    tasks = [(first, min(first + _BATCH, end), args.checker) for first in range(args.start, end, _BATCH)]
    began = time.monotonic()
    failures = 0
    with multiprocessing.Pool(args.workers) as pool:
        for done, texts in enumerate(pool.imap_unordered(_batch, tasks), 1):
            failures += len(texts)
            for text in texts:
                print(text)
            if done % 20 == 0 or done == len(tasks):
                rate = min(done * _BATCH, args.count) / (time.monotonic() - began)
                print(f"{min(done * _BATCH, args.count)} inputs, {failures} failures, {rate:.0f}/s", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
