"""What happens after compilation: kernels as callables, their arguments, executables and the compile cache.

`compile` makes a `Kernel`; `operands` sees NumPy, torch and DLPack arrays as memory; `launch` checks a call and binds
its symbols; `packed` holds packed tensors; `targets` turns tile IR into something that can be launched, with `cache`.
"""
