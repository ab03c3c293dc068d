"""Checks a kit's kernels on an NVIDIA GPU, and times them against cuBLAS, Humming, Marlin, Triton and Tilus.

    python benchmarks/gpu_matmul.py --kit KIT --dry-run --quick
    python benchmarks/gpu_matmul.py --kit KIT
    python benchmarks/gpu_matmul.py --kit KIT --no-check --m 1 16 --weights 8192x8192 --only 'vmc * u4' 'cuBLAS f16'

`gpu_kit.py` makes the kit, on any machine; this needs the kit, torch and a GPU, and neither network nor TVM. First
every kernel is compared with the reference; then every contender's product, before it is timed. What is wrong is named
and left out, and the command ends with exit code 1. Tables go to the terminal; JSON, a summary in Markdown and a
picture to the folder of results. --dry-run does all that on the CPU, to show that it works. See docs/gpu.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from benchmarks.gpu import checks, cublas, humming, marlin, tilus, triton_kernels, vmc_kernels
from benchmarks.gpu.bench import Bench, Settings
from benchmarks.gpu.device import Device, Dry, Gpu
from benchmarks.gpu.kit import Kit
from benchmarks.matmul.contender import Contender, Missing
from benchmarks.matmul.machine import describe
from benchmarks.matmul.results import Case
from benchmarks.matmul.timing import Plan
from benchmarks.matmul.writing import write_json, write_summary

PEERS: tuple[Callable[[Device], list[Contender]], ...] = (
    cublas.contenders,
    humming.contenders,
    marlin.contenders,
    triton_kernels.contenders,
    tilus.contenders,
)
DRY = "Dry run on a CPU: no figure means anything"
RESULTS = Path(__file__).resolve().parent / "results"
WEIGHTS = ["8192x8192", "28672x8192"]
ROWS = [1, 4, 16, 17, 32, 64, 128, 256, 512, 1024, 4096]
GPU_PEERS = frozenset({"humming", "marlin", "triton", "tilus"})
"""Libraries whose code needs a GPU: a dry run says whether they are there, and leaves them out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0, or 1 if a kernel or a contender was wrong or failed."""
    options = parser().parse_args(arguments)
    console = Console(width=max(Console().width, 160))
    seed = options.seed if options.seed is not None else int(datetime.now(UTC).timestamp())
    device: Device = Dry() if options.dry_run else Gpu()
    kit = Kit(options.kit, device.target)
    console.print(f"{device.describe()}, seed {seed}", highlight=False)
    if options.dry_run:
        console.print(DRY, style="red", highlight=False)
    try:
        wrong = [] if options.no_check else checked(kit, device, seed, options, console)
    except checks.DeviceLost as lost:
        console.print(f"wrong: {lost}", style="red", highlight=False, markup=False)
        console.print(
            "After that the GPU takes nothing more from this process: the rest is not checked", highlight=False
        )
        return 1
    chosen: dict[str, str] = {}
    settings = settings_of(options, kit, seed)
    contenders = list(chosen_contenders(kit, device, chosen, options.only, console))
    if options.list:
        console.print("\n".join(contender.name for contender in contenders), highlight=False)
        return 0
    bench = Bench(settings, contenders, device, console)
    cases = [case for shape in settings.shapes() for case in bench.run(shape)]
    about = describe() | device.describe() | {"kit": dict(kit.contents.made)}
    shown = {"seed": seed, "rounds": settings.plan.rounds, "chosen": chosen, "wrong": [str(one) for one in wrong]}
    write(options.output, about, cases, shown, console)
    return 1 if wrong or bench.wrong else 0


def parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="gpu_matmul.py"
    )
    add = made.add_argument
    add("--kit", type=Path, required=True, help="folder that gpu_kit.py made")
    add(
        "--dry-run", action="store_true", help="everything but the launches, on the CPU, where no figure means anything"
    )
    add("--quick", action="store_true", help="small weights, M 1 and 17, few rounds")
    add("--weights", nargs="+", metavar="KxN", help=f"weights' rows and columns ({' '.join(WEIGHTS)})")
    add("--m", nargs="+", type=int, help=f"rows of the activations ({' '.join(map(str, ROWS))})")
    add(
        "--memory",
        nargs="+",
        choices=("cold", "hot"),
        default=["cold"],
        help="weights from memory, or from the L2 (cold)",
    )
    add("--only", nargs="+", default=["*"], metavar="PATTERN", help="contenders by name, as a shell would match them")
    add("--no-check", action="store_true", help="do not check every kernel of the kit first")
    add("--check-only", action="store_true", help="check every kernel of the kit, and time nothing")
    add("--rounds", type=int, help="turns of each contender (15)")
    add("--budget", type=float, help="seconds timed of one contender in one case, after 3 rounds (0.2)")
    add("--seed", type=int, help="of the random inputs (from the clock)")
    add("--output", type=Path, default=RESULTS, help="folder for the results (benchmarks/results)")
    add("--list", action="store_true", help="name the contenders and stop")
    return made


def settings_of(options: argparse.Namespace, kit: Kit, seed: int) -> Settings:
    quick, nothing = options.quick, options.check_only
    weights = options.weights or (["256x256"] if quick else WEIGHTS)
    plan = Plan(
        rounds=options.rounds or (3 if quick else 15),
        calls=5,
        budget=options.budget or (0.02 if quick else 0.2),
        block=0.02,
        settle=0.0,
    )
    return Settings(
        weights=() if nothing else tuple(tuple(map(int, text.split("x"))) for text in weights),  # type: ignore[misc]
        group=kit.contents.group,
        rows=tuple(options.m or ([1, 17] if quick else ROWS)),
        memories=tuple(options.memory),
        plan=plan,
        seed=seed,
    )


def checked(kit: Kit, device: Device, seed: int, options: argparse.Namespace, console: Console) -> list[checks.Failure]:
    """The kernels of the kit that are wrong, each named; of those that `--only` has, by their contenders' names.

    Raises DeviceLost.
    """
    sizes = checks.QUICK_SIZES if options.quick else checks.SIZES
    failures, right = [], 0
    for outcome in checks.check(kit, device, seed, sizes, options.only):
        if isinstance(outcome, checks.Failure):
            failures.append(outcome)
            console.print(f"wrong: {outcome}", style="red", highlight=False, markup=False)
        else:
            right += 1
    listed = ", ".join(f"{m}x{k}x{n}" for m, k, n in sizes)
    console.print(f"{right} kernels are right, {len(failures)} wrong, for M x K x N of {listed}", highlight=False)
    return failures


def chosen_contenders(
    kit: Kit, device: Device, chosen: dict[str, str], only: Sequence[str], console: Console
) -> Iterable[Contender]:
    """The contenders asked for; says which libraries are missing."""
    ours = [lambda device: vmc_kernels.contenders(kit, device, chosen)]
    for contenders in (*ours, *PEERS):
        try:
            found = [c for c in contenders(device) if any(fnmatch(c.name, pattern) for pattern in only)]
        except Missing as missing:
            console.print(f"skipped: {missing}", highlight=False, markup=False)
            continue
        except Exception as error:  # of a library that is there and does not load
            module = contenders.__module__.rpartition(".")[2]
            console.print(f"skipped: {module}: {type(error).__name__}: {error}", highlight=False, markup=False)
            continue
        if device.target == "cpu" and any(c.library in GPU_PEERS for c in found):
            console.print(f"not launched in a dry run: {', '.join(c.name for c in found)}", highlight=False)
            continue
        yield from found


def write(folder: Path, about: dict[str, Any], cases: Sequence[Case], shown: dict[str, Any], console: Console) -> None:
    """Prints the summary, and writes the files of a run, named by its date."""
    dry = "dry-run-" if about.get("dry_run") else ""
    stem = folder / f"gpu_matmul-{dry}{datetime.now(UTC):%Y%m%d-%H%M%S}"
    write_json(stem, about, cases, shown, console)
    if cases:
        write_summary(stem, cases, console, f"# {DRY if dry else about['gpu']}, {about['date']}\n\n")


if __name__ == "__main__":
    sys.exit(main())
