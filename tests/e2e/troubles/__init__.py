"""The mistakes of docs/troubleshooting.md, each made for real, with the line that it gives."""
