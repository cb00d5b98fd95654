"""What the scheduler knows of the cluster: columns over the nodes, classes of equal pods, counters per domain."""
