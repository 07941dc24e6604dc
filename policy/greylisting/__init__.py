"""Greylisting: what a delivery attempt is known by, what is decided about it, and where that is remembered."""
