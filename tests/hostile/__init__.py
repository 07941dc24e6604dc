"""Strangers who mean ill, at each of our doors: what is served meanwhile, and what it costs."""
