"""What is given to others: the wheel and the sdist, and Debian's package, which is made from wheels."""
