"""From the syntax tree to typed tile IR.

One walk does names, types, shapes and emission: compile-time values are computed as it goes, functions are
elaborated in place at each call, compile-time conditions and loops choose and repeat what is elaborated at all.
"""
