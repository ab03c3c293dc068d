"""The tile IR: numeric types, layouts, operations, verifier and text form."""
