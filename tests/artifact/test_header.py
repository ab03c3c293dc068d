"""The header is C and C++ whatever parameters are called, and two of them can be included by one program."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmc
from tests.artifact.test_native_programs import STRICT, run
from vmc.artifact.linking import compiler

AWKWARD = """
kernel awkward(int: i32, linux: i32[N], new: i32[N], y: out i32[N]):
    for i in grid(N):
        y[i] = int + linux[i] + new[i]
"""


@pytest.mark.parametrize("command", [[*compiler(), "-x", "c", "-std=gnu99"], ["g++", "-x", "c++", "-std=c++11"]])
def test_names_that_are_words_of_c_get_an_underscore(tmp_path: Path, target: str, command: list[str]) -> None:
    vmc.build([AWKWARD], tmp_path / "one.so", targets=[target], header=tmp_path / "one.h")
    vmc.build([AWKWARD], tmp_path / "two.so", targets=[target], header=tmp_path / "two.h", prefix="other")
    (tmp_path / "main.c").write_text("""
#include "one.h"
#include "one.h"
#include "two.h"
int main(void) {
    int32_t a[] = {1, 2}, b[] = {10, 20}, y[2] = {0, 0};
    vmc_awkward_arguments one;
    other_awkward_arguments two;
    one.int_ = two.int_ = 5;
    one.linux_.data = two.linux_.data = a;
    one.new_.data = two.new_.data = b;
    one.y.data = two.y.data = y;
    one.linux_.extents[0] = one.new_.extents[0] = one.y.extents[0] = 2;
    two.linux_.extents[0] = two.new_.extents[0] = two.y.extents[0] = 2;
    if (vmc_awkward(&one, 0, 0) || y[0] != 16 || y[1] != 27) return 1;
    y[0] = y[1] = 0;
    return other_awkward(&two, 0, 0) || y[0] != 16 || y[1] != 27;
}
""")
    links = [f"-L{tmp_path}", "-l:one.so", "-l:two.so", f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "main")]
    run([*command, *STRICT, f"-I{tmp_path}", str(tmp_path / "main.c"), "-x", "none", *links])
    run([str(tmp_path / "main")])
