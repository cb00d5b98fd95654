"""One file per plugin of the scheduler; `registry.py` lists them in the order in which they run."""
