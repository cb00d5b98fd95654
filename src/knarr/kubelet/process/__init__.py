"""The process runtime: a pod's containers are processes of this machine."""
