"""The commands of `vmc`, one module each with `add_arguments(parser)` and `run(args)`, and what they share.

`failure` is how a command stops, `program` reads source files and settings, `arrays` makes and writes arrays.
"""
