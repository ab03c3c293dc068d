"""Tables of the fastest parameters of kernels, by processor, kernel and shape: searched, kept, merged and looked up.

`keys` tells what a kernel and a processor are called in a table, `table` is its content, `files` where tables lie and
how they are written, `lookup` what `vmc.compile(..., tuned=...)` takes from them; `space` lists the parameters that a
search tries, `race` times them, `timing` is what a timed call is. docs/tuning.md tells how to use it.
"""
