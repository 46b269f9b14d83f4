"""Pages without a server: words, numbers, addresses, files."""
