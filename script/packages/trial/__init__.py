"""The packages tried as their users do: in a clean Debian that is booted, with a Postfix and its mail."""
