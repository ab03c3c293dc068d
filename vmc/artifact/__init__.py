"""`vmc.build` and `vmc.load`: kernels as a shared library that needs neither vmc nor Python where it runs.

programs    which kernels, with which parameters, under which names
shipped     a kernel's code for each target, and how each wants its tensors to lie
tables      the C tables of arguments and code that the library's own functions in `native/` read
header      the C header
manifest    what the library tells of itself
linking     the C compiler
sealing     the hash at the end of the file
build       all of it, one after the other
library     what `vmc.load` returns
"""
