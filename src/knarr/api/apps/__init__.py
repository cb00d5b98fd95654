"""The kinds of apps/v1: what keeps a number of pods running."""
