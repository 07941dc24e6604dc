"""Names looked up: an asynchronous caching stub resolver, and what its answers mean."""
