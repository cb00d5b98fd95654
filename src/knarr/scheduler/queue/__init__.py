"""Pods that wait for a node: which one is next, which ones sleep, and what wakes them."""
