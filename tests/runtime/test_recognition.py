"""Arguments of kinds that were checked before are recognized, and only those: whatever differs is found and named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import vmc
from vmc.runtime import recognition
from vmc.runtime.launchable import Launchable

ADD = """
kernel add(x: f32[N], n: i8, y: out f32[N]):
    for i in grid(cdiv(N, 16)):
        y[i*16 : +16] = x[i*16 : +16] + f32(n)
"""
TIMES = """
kernel times[T: type = u4](x: f32[4, K], w: T[K, 16], y: out f32[4, 16]):
    acc = zeros(f32[4, 16])
    for k in range(0, K, 16):
        acc += x[:, k : +16] @ f32(w[k : +16, :])
    y[:, :] = acc
"""
Make = Callable[[Any], Any]
LIBRARIES: dict[str, Make] = {"numpy": np.asarray, "torch": lambda values: torch.from_numpy(np.asarray(values).copy())}


@pytest.fixture(params=LIBRARIES)
def make(request: pytest.FixtureRequest) -> Make:
    return LIBRARIES[request.param]


def ramp(count: int) -> np.ndarray[Any, Any]:
    return np.arange(count, dtype=np.float32)


def known_kernel(make: Make, count: int = 40) -> vmc.Kernel:
    """A kernel that recognizes arrays of a library with so many elements."""
    kernel = vmc.compile(ADD)
    for _ in range(3):
        kernel(make(ramp(count)), 1, make(ramp(count)))
    assert recognizes(kernel, make(ramp(count)), 1, make(ramp(count)))
    return kernel


def recognizes(kernel: vmc.Kernel, *args: Any) -> bool:
    assert kernel._recognizer is not None
    return kernel._recognizer.find(args) is not None


def test_recognized_arguments_are_not_looked_at_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = known_kernel(make)
    monkeypatch.setattr(Launchable, "_prepare", None)
    for start in (0, 5):
        x, y = make(ramp(40) + start), make(ramp(40))
        kernel(x, 2, y)
        np.testing.assert_array_equal(np.asarray(y), ramp(40) + start + 2)


def test_a_mixture_of_libraries_is_recognized() -> None:
    kernel = vmc.compile(ADD)
    x, y = ramp(40), torch.zeros(40)
    for n in (1, 2, 3):
        kernel(x, n, y)
        np.testing.assert_array_equal(y.numpy(), x + n)
    assert recognizes(kernel, x, 1, y)
    assert not recognizes(kernel, y, 1, x)


def test_an_array_that_was_resized_is_seen_as_it_is(make: Make) -> None:
    kernel = known_kernel(make)
    x, y = make(ramp(40)), make(ramp(40))
    kernel(x, 1, y)
    if isinstance(x, torch.Tensor):
        x.resize_(20)
    else:
        x.resize(20, refcheck=False)
    with pytest.raises(vmc.ArgumentError, match="symbol `N` is 20"):
        kernel(x, 1, y)


def test_a_tensor_whose_storage_was_exchanged_is_read_where_it_lies_now() -> None:
    kernel = known_kernel(LIBRARIES["torch"])
    x, y, other = torch.zeros(40), torch.zeros(40), torch.full((100,), 7.0)
    kernel(x, 1, y)
    x.set_(other[60:])
    kernel(x, 1, y)
    assert (y == 8).all()
    x.data = torch.full((40,), 3.0)
    kernel(x, 1, y)
    assert (y == 4).all()


def test_other_shapes_are_checked(make: Make) -> None:
    kernel = known_kernel(make)
    with pytest.raises(vmc.ArgumentError, match="symbol `N`"):
        kernel(make(ramp(40)), 1, make(ramp(41)))
    with pytest.raises(vmc.ArgumentError, match="rank"):
        kernel(make(ramp(40).reshape(2, 20)), 1, make(ramp(40)))


def test_other_elements_are_refused(make: Make) -> None:
    kernel = known_kernel(make)
    with pytest.raises(vmc.ArgumentError, match="expected float32"):
        kernel(make(ramp(40).view(np.int32)), 1, make(ramp(40)))


def test_strided_arrays_are_refused(make: Make) -> None:
    kernel = known_kernel(make)
    with pytest.raises(vmc.ArgumentError, match="contiguous"):
        kernel(make(ramp(80))[::2], 1, make(ramp(40)))


def test_arrays_that_overlap_are_refused(make: Make) -> None:
    kernel = known_kernel(make)
    memory = make(ramp(70))
    with pytest.raises(vmc.ArgumentError, match="overlap"):
        kernel(memory[:40], 1, memory[30:])
    with pytest.raises(vmc.ArgumentError, match="overlap"):
        kernel(memory[30:], 1, memory[:40])


def test_an_array_at_an_odd_address_is_refused() -> None:
    kernel = known_kernel(LIBRARIES["numpy"])
    skewed = np.zeros(161, np.uint8)[1:].view(np.float32)
    with pytest.raises(vmc.ArgumentError, match="aligned"):
        kernel(skewed, 1, ramp(40))
    tensor = torch.frombuffer(bytearray(161), dtype=torch.float32, offset=1)
    kernel = known_kernel(LIBRARIES["torch"])
    with pytest.raises(vmc.ArgumentError, match="aligned"):
        kernel(tensor, 1, torch.zeros(40))


def test_a_read_only_array_is_not_written() -> None:
    kernel = known_kernel(LIBRARIES["numpy"])
    y = ramp(40)
    y.flags.writeable = False
    with pytest.raises(vmc.ArgumentError, match="read-only"):
        kernel(ramp(40), 1, y)


def test_a_tensor_that_requires_grad_is_read_but_not_written() -> None:
    kernel = known_kernel(LIBRARIES["torch"])
    y = torch.zeros(40)
    kernel(torch.ones(40, requires_grad=True), 1, y)
    assert (y == 2).all()
    with pytest.raises(vmc.ArgumentError, match="requires grad"):
        kernel(torch.ones(40), 1, torch.zeros(40, requires_grad=True))


def test_a_lazily_negated_tensor_is_refused() -> None:
    kernel = known_kernel(LIBRARIES["torch"])
    with pytest.raises(vmc.ArgumentError, match="lazily negated"):
        kernel(torch._neg_view(torch.ones(40)), 1, torch.zeros(40))


@pytest.mark.parametrize(
    "tensor", [torch.zeros(40, device="meta"), torch.zeros(40).to_sparse()], ids=["meta", "sparse"]
)
def test_a_tensor_without_memory_of_its_own_here_is_refused(tensor: torch.Tensor) -> None:
    kernel = known_kernel(LIBRARIES["torch"])
    with pytest.raises(vmc.ArgumentError):
        kernel(tensor, 1, torch.zeros(40))
    y = torch.zeros(40)
    kernel(torch.ones(40), 1, y)
    assert (y == 2).all()


def test_numbers_are_checked_at_every_call(make: Make) -> None:
    kernel = known_kernel(make)
    for wrong in (200, 1.5, "1"):
        with pytest.raises(vmc.ArgumentError):
            kernel(make(ramp(40)), wrong, make(ramp(40)))


def test_other_numbers_of_arguments_are_refused(make: Make) -> None:
    kernel = known_kernel(make)
    with pytest.raises(vmc.ArgumentError, match="misses `y") as refusal:
        kernel(make(ramp(40)), 1)
    assert refusal.value.help is not None and "in this order; 2 of 3 were given" in refusal.value.help
    with pytest.raises(vmc.ArgumentError, match="takes 3"):
        kernel(make(ramp(40)), 1, make(ramp(40)), 2)


def test_packed_arrays_are_recognized_by_what_they_remember() -> None:
    kernel, codes = vmc.compile(TIMES), np.arange(16 * 32).reshape(32, 16) % 16
    x, y = np.ones((4, 32), np.float32), np.zeros((4, 16), np.float32)
    packed = kernel.pack("w", codes)
    for _ in range(3):
        kernel(x, packed, y)
    assert recognizes(kernel, x, packed, y)
    np.testing.assert_array_equal(y, x @ codes)
    kernel(x, kernel.pack("w", codes[::-1]), y)
    np.testing.assert_array_equal(y, x @ codes)
    with pytest.raises(vmc.ArgumentError, match="packed u8"):
        kernel(x, vmc.pack(codes.reshape(16, 32)[:, :16], "u8"), y)
    dense = vmc.pack(codes, "u4")
    for _ in range(3):
        kernel(x, dense, y)
        np.testing.assert_array_equal(y, x @ codes)


def test_empty_arrays_are_taken_again(make: Make) -> None:
    kernel = vmc.compile(ADD)
    for _ in range(4):
        kernel(make(ramp(0)), 1, make(ramp(0)))


def test_more_shapes_than_are_recognized_are_still_right(make: Make) -> None:
    kernel = vmc.compile(ADD)
    for _ in range(3):
        for count in range(1, recognition.MOST_KINDS + 4):
            y = make(ramp(count))
            kernel(make(ramp(count)), 3, y)
            np.testing.assert_array_equal(np.asarray(y), ramp(count) + 3)


def test_threads_that_call_at_once_get_their_own_addresses(make: Make) -> None:
    kernel, wrong = known_kernel(make), []

    def many(start: int) -> None:
        x, y = make(ramp(40) + start), make(ramp(40))
        for n in range(100):
            kernel(x, n, y)
            if not (np.asarray(y) == ramp(40) + start + n).all():
                wrong.append((start, n))

    threads = [threading.Thread(target=many, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_without_the_header_of_arrays_nothing_is_recognized(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "header_at", None)
    recognition.native.cache_clear()
    kernel = vmc.compile(ADD)
    for n in range(3):
        y = make(ramp(40))
        kernel(make(ramp(40)), n, y)
        np.testing.assert_array_equal(np.asarray(y), ramp(40) + n)
    assert not recognizes(kernel, make(ramp(40)), 1, make(ramp(40)))
    recognition.native.cache_clear()
