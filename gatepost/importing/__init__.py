"""Taking over the configuration of the daemons that gatepost replaces.

``take_over`` makes of files in another daemon's format the sections of a
``gatepost.yaml``, and accounts for every line: what it became, or why it has
no place here. ``catalogue`` knows all options of each daemon's manual.
Nothing is written, and files are read only through what the caller passes in.
"""
