"""The Pod Security Standards: policy.py reads a namespace's labels, checks.py judges a pod, plugin.py admits."""
