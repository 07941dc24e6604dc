"""Private keys, and the rules that say which key signs for which sender."""
