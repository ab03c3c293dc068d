"""Passes over the tile IR: functions from a module to a module with the same meaning."""
