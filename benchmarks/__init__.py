"""Measurements against other libraries, run by hand. Not installed with vmc."""
