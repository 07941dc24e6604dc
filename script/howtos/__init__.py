"""The pages followed as a new user follows them: in a clean Debian that is booted, command by command."""
