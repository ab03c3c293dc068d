"""Diagnostics: what is reported about a user's mistake (`Diagnostic`), its stable codes, and how it is shown."""

from vmc.diagnostics.diagnostic import Diagnostic, Fix, Note, Severity, error, warning
from vmc.diagnostics.suggest import suggest

__all__ = ["Diagnostic", "Fix", "Note", "Severity", "error", "suggest", "warning"]
