"""One daemon process: its sockets, its workers, signals, and telling when it is ready."""
