"""The kinds of batch/v1: what runs pods to their end."""
