"""Native code that runs a launch on several threads. Where kernels are compiled in a process, it is compiled once there
and never unloaded; a library that was built has its own.

    i64 vmc.launch(record, limit)   runs a launch on at most `limit` threads; 0, or the number of the site that failed,
                                    negative. Runs nothing if the arena is too small, and gives the bytes that it takes
    ptr vmc.helper(ptr)             what a helper thread does until it is dismissed
    void vmc.dismiss()              has all helpers return, for good; launches go on with their callers' threads
    void vmc.forget()               for a forked child, which has this memory but not the threads

Blocks are divided into a region of consecutive blocks for each thread. A thread takes chunks from its own region, the
same one from launch to launch, so that it finds in its caches what it left there; then from the others'. A launch is
over when no chunk is left and no helper is inside: nobody waits for a helper that sleeps or wakes late.

The pool is a few variables in this code's memory. `epoch` counts launches; helpers watch it for a moment, then between
offers of the processor to others (sched_yield(2)), and then sleep on it (futex(2)). The middle part is for launches
that follow each other: a sleeping helper's processor may be asleep, too, and of a virtual machine takes up to
milliseconds. `gate` says who may touch the launch that `job` names: its upper half is the number of helpers that may
still enter, the lower one, without the top bit, that of helpers inside; both change in one atomic step. Closing the
gate takes the upper half away; then the caller watches the lower half for a moment and sleeps on it, having set the top
bit for the last helper to wake it. `owner` is held by the thread whose launch it is; a launch that finds it held runs
on its own thread alone.

The floating-point control register of x86 has its default value while blocks run, whatever the caller has set.
"""

from __future__ import annotations

import platform
import sys
from string import Template

from vmc.backends.cpu.record import COUNTERS, LINE, WORDS

SERIAL_WORK = 3 << 17  # element operations, 30 to 50 microseconds, below which waking threads saves nothing
PIECES = 8  # that a thread's region is taken in, so that a thread that is held up leaves its share to the others,
LAST_PIECES = 32  # and finer ones for the last quarter, so that all end together
SPINS = 500  # pauses, together 7 to 25 microseconds, that a thread watches for what it waits for
YIELDS = 3000  # offers of the processor to others, about a millisecond, before a helper sleeps: what waking it costs

FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
YIELD = {"x86_64": 24, "aarch64": 124, "riscv64": 124}
"""The numbers of the system calls futex and sched_yield of Linux on 64-bit machines."""

PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"),
}

LAUNCH = Template("""
define i64 @vmc.launch(ptr %record, i64 %limit) {
  $save_float_control
  %needed = call i64 @launch(ptr %record, i64 %limit)
  $restore_float_control
  ret i64 %needed
}

define internal i64 @launch(ptr %record, i64 %limit) {
entry:
  %arguments.at = getelementptr i64, ptr %record, i64 $arguments
  %arguments = load ptr, ptr %arguments.at
  %blocks.at = getelementptr i64, ptr %record, i64 $blocks
  %blocks = load ptr, ptr %blocks.at
  %arena.at = getelementptr i64, ptr %record, i64 $arena
  %arena = load ptr, ptr %arena.at
  %stride.at = getelementptr i64, ptr %record, i64 $stride
  %counted = call i64 %blocks(ptr %arguments, ptr %arena, ptr %stride.at)
  %none = icmp eq i64 %counted, 0
  br i1 %none, label %over, label %some

some:                          ; -1, an error on the way to the number: the first block will meet it, too
  %total = call i64 @llvm.smax.i64(i64 %counted, i64 1)
  %work.at = getelementptr i64, ptr %record, i64 $work
  %work.known = load i64, ptr %work.at
  %work = call i64 @llvm.smax.i64(i64 %work.known, i64 1)
  %few = udiv i64 $SERIAL_WORK, %work
  %large = icmp sgt i64 %total, %few
  %most = call i64 @llvm.smin.i64(i64 %limit, i64 %total)
  %threads = select i1 %large, i64 %most, i64 1
  %stride = load i64, ptr %stride.at
  %needed = mul i64 %stride, %threads
  %capacity.at = getelementptr i64, ptr %record, i64 $capacity
  %capacity = load i64, ptr %capacity.at
  %small = icmp slt i64 %capacity, %needed
  br i1 %small, label %refuse, label %divide

refuse:
  ret i64 %needed

divide:
  %rounded = add i64 %total, %threads
  %last.added = sub i64 %rounded, 1
  %share = udiv i64 %last.added, %threads
  %alone = icmp eq i64 %threads, 1
  %piece = udiv i64 %share, $PIECES
  %coarse.shared = call i64 @llvm.smax.i64(i64 %piece, i64 1)
  %last.piece = udiv i64 %share, $LAST_PIECES
  %fine.shared = call i64 @llvm.smax.i64(i64 %last.piece, i64 1)
  %coarse = select i1 %alone, i64 %total, i64 %coarse.shared
  %fine = select i1 %alone, i64 %total, i64 %fine.shared
  %total.at = getelementptr i64, ptr %record, i64 $total
  store i64 %total, ptr %total.at
  %threads.at = getelementptr i64, ptr %record, i64 $threads
  store i64 %threads, ptr %threads.at
  %share.at = getelementptr i64, ptr %record, i64 $share
  store i64 %share, ptr %share.at
  %coarse.at = getelementptr i64, ptr %record, i64 $coarse
  store i64 %coarse, ptr %coarse.at
  %fine.at = getelementptr i64, ptr %record, i64 $fine
  store i64 %fine, ptr %fine.at
  %thread.at = getelementptr i64, ptr %record, i64 $thread
  store i64 0, ptr %thread.at
  %status.at = getelementptr i64, ptr %record, i64 $status
  store i64 0, ptr %status.at
  %counters = getelementptr i8, ptr %record, i64 $COUNTERS
  br label %region

region:
  %number = phi i64 [ 0, %divide ], [ %number.next, %region ]
  %counter.offset = mul i64 %number, $LINE
  %counter = getelementptr i8, ptr %counters, i64 %counter.offset
  %first = mul i64 %number, %share
  store i64 %first, ptr %counter
  %number.next = add i64 %number, 1
  %more = icmp slt i64 %number.next, %threads
  br i1 %more, label %region, label %go

go:
  %worker.at = getelementptr i64, ptr %record, i64 $worker
  %worker = load ptr, ptr %worker.at
  %helpers = sub i64 %threads, 1
  call void @run(ptr %worker, ptr %record, i64 %helpers)
  %status = load i64, ptr %status.at
  %failed = sub i64 0, %status
  ret i64 %failed

over:
  ret i64 0
}

declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
""")

ALONE = """
define internal void @run(ptr %worker, ptr %record, i64 %helpers) {
  call void %worker(ptr %record, i64 0)
  ret void
}
"""

TEAM = Template("""
@owner = internal global i32 0, align 128
@epoch = internal global i32 0, align 128
@sleepers = internal global i32 0, align 128
@gate = internal global i32 0, align 128
@job = internal global [2 x ptr] zeroinitializer, align 128
@helpers = internal global i64 0, align 128
@dismissed = internal global i32 0, align 128

define internal void @run(ptr %worker, ptr %record, i64 %helpers) {
entry:
  %alone = icmp eq i64 %helpers, 0
  br i1 %alone, label %by.itself, label %ask

ask:
  %asked = cmpxchg ptr @owner, i32 0, i32 1 acquire monotonic
  %free = extractvalue { i32, i1 } %asked, 1
  br i1 %free, label %open, label %by.itself

by.itself:
  call void %worker(ptr %record, i64 0)
  ret void

open:
  store ptr %worker, ptr @job
  %job.record = getelementptr ptr, ptr @job, i64 1
  store ptr %record, ptr %job.record
  %wanted = trunc i64 %helpers to i32
  %room = shl i32 %wanted, 16
  store atomic i32 %room, ptr @gate release, align 4
  atomicrmw add ptr @epoch, i32 1 seq_cst
  %sleeping = load atomic i32, ptr @sleepers seq_cst, align 4
  %asleep = icmp ne i32 %sleeping, 0
  br i1 %asleep, label %wake, label %begin

wake:
  call i64 (i64, ...) @syscall(i64 $FUTEX, ptr @epoch, i64 $WAKE, i64 %helpers, ptr null, ptr null, i64 0)
  br label %begin

begin:
  call void %worker(ptr %record, i64 0)
  %closed = atomicrmw and ptr @gate, i32 65535 acq_rel
  br label %watch

watch:
  %turn = phi i32 [ 0, %begin ], [ %turn.next, %pause ]
  %seen = load atomic i32, ptr @gate acquire, align 4
  %busy = and i32 %seen, 32767
  %empty = icmp eq i32 %busy, 0
  br i1 %empty, label %done, label %patient

patient:
  %turn.next = add i32 %turn, 1
  %tired = icmp ugt i32 %turn.next, $SPINS
  br i1 %tired, label %lie.down, label %pause

pause:
  $pause
  br label %watch

lie.down:
  %before = atomicrmw or ptr @gate, i32 32768 acq_rel
  %left = and i32 %before, 32767
  %gone = icmp eq i32 %left, 0
  br i1 %gone, label %done, label %sleep

sleep:
  %expected = or i32 %before, 32768
  call i64 (i64, ...) @syscall(i64 $FUTEX, ptr @gate, i64 $WAIT, i32 %expected, ptr null, ptr null, i64 0)
  br label %lie.down

done:
  store atomic i32 0, ptr @owner release, align 4
  ret void
}

define ptr @vmc.helper(ptr %nothing) {
entry:
  $set_float_control
  %before.me = atomicrmw add ptr @helpers, i64 1 monotonic
  %start = add i64 %before.me, 1
  br label %wait

wait:
  %known = phi i32 [ 0, %entry ], [ %known, %sleep ], [ %epoch, %look ], [ %epoch, %leave ], [ %epoch, %rouse ]
  br label %watch

watch:
  %turn = phi i32 [ 0, %wait ], [ %turn.next, %pause ], [ %turn.next, %yield ]
  %epoch = load atomic i32, ptr @epoch acquire, align 4
  %same = icmp eq i32 %epoch, %known
  br i1 %same, label %patient, label %enter

patient:
  %turn.next = add i32 %turn, 1
  %polite = icmp ugt i32 %turn.next, $SPINS
  br i1 %polite, label %yield, label %pause

pause:
  $pause
  br label %watch

yield:
  call i64 (i64, ...) @syscall(i64 $YIELD)
  %tired = icmp ugt i32 %turn.next, $WATCHES
  br i1 %tired, label %sleep, label %watch

sleep:
  atomicrmw add ptr @sleepers, i32 1 seq_cst
  call i64 (i64, ...) @syscall(i64 $FUTEX, ptr @epoch, i64 $WAIT, i32 %known, ptr null, ptr null, i64 0)
  atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %wait

enter:
  %over = load atomic i32, ptr @dismissed acquire, align 4
  %gone = icmp ne i32 %over, 0
  br i1 %gone, label %go, label %look

look:
  %gate = load atomic i32, ptr @gate acquire, align 4
  %room = lshr i32 %gate, 16
  %closed = icmp eq i32 %room, 0
  br i1 %closed, label %wait, label %pass

pass:
  %one.out = sub i32 %gate, 65536
  %one.in = add i32 %one.out, 1
  %tried = cmpxchg ptr @gate, i32 %gate, i32 %one.in acq_rel monotonic
  %inside = extractvalue { i32, i1 } %tried, 1
  br i1 %inside, label %work, label %again

again:
  br label %enter

work:
  %worker = load ptr, ptr @job
  %job.record = getelementptr ptr, ptr @job, i64 1
  %record = load ptr, ptr %job.record
  call void %worker(ptr %record, i64 %start)
  br label %leave

leave:
  %was = atomicrmw sub ptr @gate, i32 1 acq_rel
  %last = icmp eq i32 %was, 32769
  br i1 %last, label %rouse, label %wait

rouse:
  call i64 (i64, ...) @syscall(i64 $FUTEX, ptr @gate, i64 $WAKE, i64 1, ptr null, ptr null, i64 0)
  br label %wait

go:
  ret ptr null
}

define void @vmc.dismiss() {
  store atomic i32 1, ptr @dismissed release, align 4
  atomicrmw add ptr @epoch, i32 1 seq_cst
  call i64 (i64, ...) @syscall(i64 $FUTEX, ptr @epoch, i64 $WAKE, i64 2147483647, ptr null, ptr null, i64 0)
  ret void
}

define void @vmc.forget() {
  store i32 0, ptr @owner
  store i32 0, ptr @epoch
  store i32 0, ptr @sleepers
  store i32 0, ptr @gate
  store i64 0, ptr @helpers
  ret void
}

declare i64 @syscall(i64, ...)
$declare_pause
""")

FLOAT_CONTROL = {
    "set_float_control": "call void @set_float_control()",
    "save_float_control": """%control = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %control)
  call void @set_float_control()""",
    "restore_float_control": "call void @llvm.x86.sse.ldmxcsr(ptr %control)",
}
"""What x86 has in these places of the text."""

SET_FLOAT_CONTROL = """
; All exceptions masked, rounding to nearest, denormals kept (Intel SDM, volume 1, 10.2.3).
define internal void @set_float_control() {
  %default = alloca i32
  store i32 8064, ptr %default
  call void @llvm.x86.sse.ldmxcsr(ptr %default)
  ret void
}

declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
"""


def has_team() -> bool:
    """Whether helper threads can be made and woken here: Linux, on a processor whose call numbers are known."""
    return sys.platform == "linux" and sys.maxsize > 1 << 32 and platform.machine() in FUTEX


def text() -> str:
    """The module as LLVM text, for this machine."""
    return text_for(platform.machine(), has_team())


def text_for(processor: str, team: bool = True) -> str:
    """The module as LLVM text for a processor's Linux, or without helpers for any system. Raises KeyError where helpers
    cannot be woken on such a processor.
    """
    x86 = processor == "x86_64"
    pause, declare_pause = PAUSE.get(processor, ("", ""))
    fields = {
        **{name: str(place) for place, name in enumerate(WORDS)},
        **(FLOAT_CONTROL if x86 else dict.fromkeys(FLOAT_CONTROL, "")),
        "SERIAL_WORK": str(SERIAL_WORK),
        "PIECES": str(PIECES),
        "LAST_PIECES": str(LAST_PIECES),
        "COUNTERS": str(COUNTERS),
        "LINE": str(LINE),
        "SPINS": str(SPINS),
        "WATCHES": str(SPINS + YIELDS),
        "FUTEX": str(FUTEX[processor]) if team else "",
        "YIELD": str(YIELD[processor]) if team else "",
        "WAIT": "128",
        "WAKE": "129",
        "pause": pause,
        "declare_pause": declare_pause,
    }
    run = TEAM.substitute(fields) if team else ALONE
    return LAUNCH.substitute(fields) + run + (SET_FLOAT_CONTROL if x86 else "")
