"""Reads a kernel's assembly back: what its loops do, and which tensors their instructions touch.

`text` parses, `x86` knows the instructions, `vmc.ir.flow_graph` the loops; `pointers` follows addresses as sums
(`linear`) from the arguments to the accesses, and `report` counts.
"""
