"""The targets. Each module is one; its name is the target's."""
