"""What can be asked of a file without elaborating its kernels."""

from __future__ import annotations

from vmc.lang import syntax


def declaration(source: str, file: str, kernel: str) -> syntax.Kernel:
    """The declaration of a kernel that the file has."""
    from vmc.lang.parser import parse

    tree, _ = parse(source, file)
    return next(node for node in tree.decls if isinstance(node, syntax.Kernel) and node.name == kernel)


def kernel_names(source: str, file: str) -> tuple[str, ...]:
    """The names of the kernels that a file declares, in order."""
    from vmc.lang.parser import parse

    tree, _ = parse(source, file)
    return tuple(node.name for node in tree.decls if isinstance(node, syntax.Kernel))


def extent_names(kernel: syntax.Kernel) -> tuple[str, ...]:
    """The names that the extents of a kernel's parameters mention, in order of first appearance."""
    found: dict[str, None] = {}
    for param in kernel.params:
        for extent in param.type.extents or ():
            found.update(dict.fromkeys(names(extent)))
    return tuple(found)


def names(expr: syntax.Expr) -> tuple[str, ...]:
    """The names in an extent's expression."""
    match expr:
        case syntax.Name(name):
            return (name,)
        case syntax.Binary(left=left, right=right):
            return names(left) + names(right)
        case syntax.Call(positional=positional):
            return tuple(name for argument in positional for name in names(argument))
    return ()
