"""E09xx: what is given to build and run on the command line or from Python."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0901",
        "file that cannot be read",
        "The file does not exist, is a directory, or may not be read.",
        "vmc check missing.vmc\n",
        "vmc check examples/matmul.vmc\n",
    ),
    Entry(
        "E0902",
        "file that is not UTF-8",
        "Source files are UTF-8 text. The message gives the offset of the first byte that is not.",
        "vmc check matrix.npy\n",
        "vmc check matmul.vmc\n",
    ),
    Entry(
        "E0903",
        "unknown kernel",
        "The file declares no kernel of this name, or declares several and none was named: `FILE:KERNEL`.",
        "vmc run matmul.vmc:matmull --target cpu\n",
        "vmc run matmul.vmc:matmul --target cpu\n",
    ),
    Entry(
        "E0904",
        "unknown target",
        "Targets are `interp`, `cpu`, `cpu:NAME`, `cuda:sm_XX` and `ptx-vm:sm_XX`.",
        "vmc build matmul.vmc --target gpu -o lib.so\n",
        "vmc build matmul.vmc --target cuda:sm_90a -o lib.so\n",
    ),
    Entry(
        "E0905",
        "compile-time parameter not given",
        "The kernel has a compile-time parameter without a default. Give it with `--set NAME=VALUE`, or as a keyword "
        "of `vmc.compile`.",
        "vmc build matmul.vmc --target cpu -o lib.so\n",
        "vmc build matmul.vmc --target cpu --set T=u4 -o lib.so\n",
    ),
    Entry(
        "E0906",
        "unknown name after --set",
        "The kernel has no compile-time parameter or symbol of this name.",
        "vmc run matmul.vmc --set BMM=32\n",
        "vmc run matmul.vmc --set BM=32\n",
    ),
    Entry(
        "E0907",
        "value after --set that cannot be read",
        "A value is an integer, a number, `true`, `false`, the name of a type or of a format, as the parameter's kind "
        "asks.",
        "vmc run matmul.vmc --set BM=large\n",
        "vmc run matmul.vmc --set BM=64\n",
    ),
    Entry(
        "E0908",
        "argument missing or unknown",
        "Every parameter of the kernel gets one argument, and every argument belongs to a parameter.",
        "vmc run add.vmc --arg x=random\n",
        "vmc run add.vmc --arg x=random --arg y=random --set N=64\n",
    ),
    Entry(
        "E0909",
        "argument of another type",
        "The array's element type is not the parameter's. Types that NumPy lacks are given as their packed bytes "
        "(uint8), as `kernel.pack` makes them.",
        "vmc run add.vmc --arg x=doubles.npy\n",
        "vmc run add.vmc --arg x=floats.npy\n",
    ),
    Entry(
        "E0910",
        "argument of another shape",
        "The array's rank or a fixed extent differs from the parameter's.",
        "vmc run add.vmc --arg x=matrix.npy\n",
        "vmc run add.vmc --arg x=vector.npy\n",
    ),
    Entry(
        "E0911",
        "symbol bound to two values",
        "Two arguments give one symbol different extents.",
        "vmc run add.vmc --arg x=ten.npy --arg y=twenty.npy\n",
        "vmc run add.vmc --arg x=ten.npy --arg y=ten_more.npy\n",
    ),
    Entry(
        "E0912",
        "symbol without a value",
        "An argument made by `random` or `zeros` has symbols in its shape, and no other argument binds them. Bind them "
        "with `--set`.",
        "vmc run add.vmc --arg x=random --arg y=random\n",
        "vmc run add.vmc --arg x=random --arg y=random --set N=1000\n",
    ),
    Entry(
        "E0913",
        "result that differs from the reference",
        "`--check` ran the reference machine beside the target, and a result differs by more than the stated bound.",
        "vmc run broken.vmc --target cpu --check\n",
        "vmc run correct.vmc --target cpu --check\n",
    ),
    Entry(
        "E0914",
        "target that is not installed",
        "The target needs packages, a device, or features of the processor that this machine lacks. `vmc doctor` says "
        "what, and how to get it.",
        "vmc run add.vmc --target cuda:sm_90a\n",
        "vmc run add.vmc --target cpu\n",
    ),
    Entry(
        "E0915",
        "program that the target cannot run",
        "The target lacks what the program asks for: a matrix instruction, an atomic operation, a type.",
        "vmc build f64_atomics.vmc --target cuda:sm_50 -o lib.so\n",
        "vmc build f64_atomics.vmc --target cuda:sm_80 -o lib.so\n",
    ),
    Entry(
        "E0916",
        "array file that cannot be read",
        "The file is no `.npy` or `.safetensors` file, is cut short, or holds no tensor of this name.",
        "vmc run add.vmc --arg x=model.safetensors:wieght\n",
        "vmc run add.vmc --arg x=model.safetensors:weight\n",
    ),
    Entry(
        "E0917",
        "unknown stage",
        "`vmc show --stage NAME` knows ast, ir, the names of the passes, and what the target offers of tirx, cuda, "
        "ptx, sass, llvm and asm.",
        "vmc show add.vmc --stage pxt\n",
        "vmc show add.vmc --stage ptx --target cuda:sm_80\n",
    ),
    Entry(
        "E0918",
        "failure while running",
        "An `assert` of the kernel failed, or the reference machine found a read of memory never written, or a race "
        "between blocks.",
        "vmc run race.vmc --target interp\n",
        "vmc run sound.vmc --target interp\n",
    ),
    Entry(
        "E0919",
        "nothing to tune",
        "`vmc tune` searches over integer parameters in `[...]` that are not given with `--set` and that no extent of "
        "an argument mentions. The kernel has none that is left, or `--param` names another.",
        "vmc tune matmul.vmc --set BM=32 --set BN=64 --set M=1\n",
        "vmc tune matmul.vmc --set M=1 --param BM=16,32\n",
    ),
    Entry(
        "E0920",
        "table of tuned parameters that cannot be used",
        "The file is no table that `vmc tune` wrote, has the version of another vmc, or cannot be written. It is left "
        "as it is.",
        "vmc tune matmul.vmc --set M=1 -o results.csv\n",
        "vmc tune matmul.vmc --set M=1 -o table.json\n",
    ),
    Entry(
        "E0921",
        "library that cannot be built",
        "Two kernels would have one name, a kernel prints, the C compiler fails, or what is asked for is not there.",
        "vmc build matmul.vmc matmul.vmc -o lib.so\n",
        "vmc build matmul.vmc -o lib.so\n",
    ),
    Entry(
        "E0922",
        "file that is no library",
        "The file was not made by `vmc build`, is cut short, was damaged or changed since (`strip` and `patchelf` do "
        "so), or is for another architecture.",
        "vmc show matmul.so.part\n",
        "vmc show matmul.so\n",
    ),
)
