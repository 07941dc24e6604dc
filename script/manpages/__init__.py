"""The man pages, made from what the program and its units say of themselves, so that they cannot differ."""
