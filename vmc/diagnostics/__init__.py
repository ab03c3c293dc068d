"""Diagnostics: what is reported about a user's mistake (`Diagnostic`), its stable codes, and how it is shown.

`error` and `warning` make diagnostics; `vmc.diagnostics.render.render` turns one into text, `Diagnostic.to_json` into
data; `vmc.diagnostics.codes.CODES` explains the codes.
"""

from vmc.diagnostics.diagnostic import Diagnostic, Fix, Note, Severity, error, warning
from vmc.diagnostics.suggest import suggest

__all__ = ["Diagnostic", "Fix", "Note", "Severity", "error", "suggest", "warning"]
