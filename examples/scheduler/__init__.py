"""A scheduler: which guest runs on which host. See README.md."""
