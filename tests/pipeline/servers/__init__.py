"""The servers of the pipeline, one a module."""
