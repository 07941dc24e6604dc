"""Measurements: gatepost side by side with the daemons that it replaces, and some of its parts alone."""
