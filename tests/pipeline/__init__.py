"""The guides' whole mail server, on a machine of its own: run by script/test-pipeline."""
