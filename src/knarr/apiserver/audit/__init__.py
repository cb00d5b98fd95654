"""Audit: who did what, when, and what came of it (audit.k8s.io/v1).

options.py    the settings, named as kube-apiserver's flags, and what is wrong with them
policy.py     the policy file: which requests are recorded at which level
event.py      the record of one request, stage by stage
auditor.py    `Auditor`: joins the three to the handler of requests and to the clients of this process
backends.py   where events go: a file, a webhook, a buffer in front of either, a limit to their size
logfile.py    a file that is rotated
legacy.py     the text format of a line

A server without an audit policy has no Auditor, and its requests pay for none of this.
"""
