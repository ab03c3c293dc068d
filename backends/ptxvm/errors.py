"""What the PTX machine reports: where in the PTX, and through `.loc`, where in the source that it was made from.

    ptxvm.RaceError: k.ptx:120 (k.cu:9): shared-memory race: ...

Every class of fault has an exception of its own, so that a test can say which one it expects.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A line of the PTX text, and the source line that the compiler says it came from. 0: unknown."""

    ptx_line: int
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        source = f" ({self.file}:{self.line})" if self.line else ""
        return f"ptx:{self.ptx_line}{source}"


class PtxError(Exception):
    """Base of all errors of this package."""


class PtxSyntaxError(PtxError):
    """The text is no PTX that this machine reads."""


class UnsupportedError(PtxError):
    """An instruction or directive that this machine does not execute."""


class LaunchError(PtxError):
    """The launch does not fit the entry: its name, arguments, or dimensions."""


class ExecutionError(PtxError):
    """A fault of the executed program.

    `location` is the instruction that committed it, `text` the instruction, `other` the earlier instruction that takes
    part in it (the other access of a race, the copy that was not waited for, the load of unset bits), `threads` who did
    it, as (block, thread) in linear order.
    """

    def __init__(self, message: str, other: Location | None = None, threads: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.other = other
        self.threads = threads
        self.location = Location(0)
        self.text = ""
        self.other_instruction: int | None = None

    def since(self, instruction: int) -> ExecutionError:
        """The same error, with the number of the earlier instruction, whose place is looked up later."""
        self.other_instruction = instruction
        return self

    def at(self, location: Location, text: str) -> ExecutionError:
        """The same error, with the place of the instruction that committed it."""
        if not self.text:
            self.location, self.text = location, text
        return self

    def __str__(self) -> str:
        lines = [f"{self.location}: {self.message}"]
        if self.text:
            lines.append(f"  in: {self.text}")
        if self.other is not None:
            lines.append(f"  and: {self.other}")
        return "\n".join(lines)


class BoundsError(ExecutionError):
    """An access outside the buffers, the declared shared memory, or a thread's local memory."""


class AlignmentError(ExecutionError):
    """An address that is no multiple of the access's size."""


class UninitialisedError(ExecutionError):
    """Bits never written decide a branch, an address, or what is stored to global memory."""


class RaceError(ExecutionError):
    """Two unordered accesses to the same bytes, at least one of them a write."""


class AsyncCopyError(ExecutionError):
    """Bytes of an asynchronous copy were touched before the copy was waited for."""


class AsyncProductError(ExecutionError):
    """Registers or shared memory of a wgmma were touched before it was waited for, or registers without a fence."""


class BarrierError(ExecutionError):
    """Threads wait at a barrier for others that never come, or disagree about it."""


class TrapError(ExecutionError):
    """The program executed `trap` or a failed assertion."""


class TimeoutFault(ExecutionError):
    """The program executed more steps than the launch allows."""
