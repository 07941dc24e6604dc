"""What is given to others: man pages, wheel, Debian package. Made for real by script/test-package."""
