"""Executors of the tile IR: the reference VM and the native code generators."""
