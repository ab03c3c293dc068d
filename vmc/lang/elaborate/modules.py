"""Files as modules: constants, functions, formats and kernels by name, and what they import.

`import linalg` looks for `linalg.vmc` beside the importing file, then in the library that comes with vmc.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vmc.diagnostics import Diagnostic, Fix, error, suggest
from vmc.ir.span import Span
from vmc.ir.types import ALL_DTYPES
from vmc.lang import syntax
from vmc.lang.elaborate.builtins import BUILTINS
from vmc.lang.elaborate.builtins.constructors import table_of
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.formats import declare_format
from vmc.lang.elaborate.kernels import type_named
from vmc.lang.elaborate.library import LIBRARY
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.statements import annotated_type
from vmc.lang.elaborate.values import (
    BuiltinRef,
    Const,
    FormatRef,
    FunctionRef,
    KernelRef,
    ModuleRef,
    Poison,
    TableRef,
    Thing,
    TypeRef,
)
from vmc.lang.mistakes.borrowed import MODULES
from vmc.lang.words import PYTHON_MODULES


class LanguageScope(Scope):
    """The names that every module sees: the functions of the language, and every numeric type."""

    def find(self, name: str) -> Thing | None:
        thing = super().find(name)
        if thing is None and (type := type_named(name)) is not None:
            thing = self.names[name] = TypeRef(type)
        return thing


def language_scope() -> Scope:
    """A fresh scope with the language's own names."""
    names: dict[str, Thing] = {name: BuiltinRef(builtin) for name, builtin in BUILTINS.items()}
    names.update({type.name: TypeRef(type) for type in ALL_DTYPES})
    return LanguageScope(None, names)


@dataclass(eq=False)
class Module:
    """One elaborated file: its names, its kernels and functions in order, and what was wrong with its declarations."""

    tree: syntax.File
    scope: Scope
    kernels: dict[str, syntax.Kernel] = field(default_factory=dict)
    functions: list[FunctionRef] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def start(self) -> Span:
        """The first letter of the file, for what concerns all of it."""
        return Span(self.tree.span.file, 1, 1, 1, 2)


def load_module(source: str, file: str, importing: tuple[str, ...] = ()) -> Module:
    """Parses a file and elaborates its declarations. Mistakes are in the module's diagnostics."""
    from vmc.lang.parser import parse

    tree, diagnostics = parse(source, file)
    module = Module(tree, Scope(language_scope()), diagnostics=list(diagnostics))
    el = Elaborator()
    for node in tree.imports:
        with el.reporting(node.span):
            import_into(el, node, module, file, importing)
    for name in tree.damaged:
        module.scope.names[name] = Poison()
    declare_all(el, module)
    module.diagnostics += el.diagnostics
    return module


def declare_all(el: Elaborator, module: Module) -> None:
    """Declares everything in order; functions and kernels may use what comes later, constants and formats may not."""
    seen: dict[str, syntax.Decl] = {}
    for node in module.tree.decls:
        with el.reporting(node.name_span):
            if node.name in seen:
                raise redeclared(node, seen[node.name])
            seen[node.name] = node
            module.scope.names[node.name] = Poison()
            declare(el, node, module)


def redeclared(node: syntax.Decl, first: syntax.Decl) -> Reject:
    from vmc.diagnostics import Note

    return Reject(
        "E0103", f"`{node.name}` is declared twice", node.name_span, notes=(Note(first.name_span, "first here"),)
    )


def declare(el: Elaborator, node: syntax.Decl, module: Module) -> None:
    """Gives one declaration's name its meaning. Raises Reject."""
    scope = module.scope
    match node:
        case syntax.Const(name, value):
            thing = evaluate(el, value, scope)
            if not isinstance(thing, Const | TypeRef):
                raise el.unexpected(thing, "a compile-time number or a type", value.span, code="E0217")
            scope.names[name] = thing
        case syntax.TableConst(name, type, value):
            declared = annotated_type(el, type, scope)
            contents = table_of(el, declared.dtype, declared.shape, evaluate(el, value, scope), value.span)
            scope.names[name] = TableRef(contents)
        case syntax.Function(name):
            scope.names[name] = function = FunctionRef(node, scope)
            module.functions.append(function)
        case syntax.FormatDecl(name):
            scope.names[name] = FormatRef(declare_format(el, node, scope))
        case syntax.Kernel(name):
            scope.names[name] = KernelRef(name)
            module.kernels[name] = node


def import_into(
    el: Elaborator, node: syntax.Import | syntax.FromImport, module: Module, file: str, importing: tuple[str, ...]
) -> None:
    """Brings a module, or names of it, into scope. Raises Reject."""
    imported = find_module(node, file, importing)
    problems = [d for d in imported.diagnostics if d.is_error]
    if problems:
        el.diagnostics.extend(problems)
        raise Reject("E0104", f"the module `{node.module}` has errors", node.module_span)
    if isinstance(node, syntax.Import):
        module.scope.names[node.module] = ModuleRef(node.module, imported.scope)
        return
    for name in node.names:
        thing = imported.scope.names.get(name.id)
        if thing is None:
            close = suggest(name.id, imported.scope.names)
            raise Reject(
                "E0105",
                f"the module `{node.module}` has no `{name.id}`",
                name.span,
                help=f"did you mean `{close}`?" if close else None,
                fix=Fix(name.span, close) if close else None,
            )
        module.scope.names[name.id] = thing


def find_module(node: syntax.Import | syntax.FromImport, file: str, importing: tuple[str, ...]) -> Module:
    """The imported file, elaborated. Raises Reject when it is not there or imports itself."""
    beside = Path(file).parent
    path = module_path(node.module, file)
    if path is not None:
        key = str(path.resolve())
        if key in importing:
            raise Reject("E0106", f"`{node.module}` imports itself, directly or through others", node.module_span)
        return load_module(path.read_text("utf-8"), str(path), (*importing, key))
    known = [p.stem for folder in (beside, LIBRARY) if folder.is_dir() for p in folder.glob("*.vmc")]
    close = suggest(node.module, known)
    raise Reject(
        "E0104",
        f"there is no module `{node.module}`",
        node.module_span,
        label=f"no file `{node.module}.vmc` beside this one or in the library",
        help=MODULES if node.module in PYTHON_MODULES else f"did you mean `{close}`?" if close else None,
    )


def module_path(name: str, file: str) -> Path | None:
    """The file of a module: beside the importing file, or in the library; None where there is none."""
    paths = (folder / f"{name}.vmc" for folder in (Path(file).parent, LIBRARY))
    return next((path for path in paths if exists(path)), None)


def qualified(module: Module, name: str) -> Thing | None:
    """What `gguf.q4_k` stands for, from outside of the file: the module need not be imported. None for nothing."""
    base, dot, member = name.partition(".")
    imported = module.scope.names.get(base)
    if isinstance(imported, ModuleRef):
        return imported.scope.names.get(member)
    path = module_path(base, module.tree.span.file) if dot and base.isidentifier() else None
    return load_module(path.read_text("utf-8"), str(path)).scope.names.get(member) if path else None


def exists(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def unknown_kernel(module: Module, name: str) -> Diagnostic:
    """The diagnostic for a kernel that a file does not have."""
    close = suggest(name, module.kernels)
    known = ", ".join(f"`{kernel}`" for kernel in module.kernels) or "none"
    help = f"did you mean `{close}`?" if close else f"the file's kernels: {known}"
    return error("E0903", f"there is no kernel `{name}` in this file", module.start, help=help)
