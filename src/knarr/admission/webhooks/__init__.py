"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: other servers have a say in what is written.

    hooks.py       `Hook`: one webhook of a configuration, prepared; `Hooks`: all of them, as they stand now
    plugin.py      what both plugins share: who is called for a request
    mutating.py    one after the other; each may change the object, and what changed it may call those before again
    validating.py  all at once
    calling.py     one call: the review that is sent, what becomes of the answer
    review.py      AdmissionReview, v1 and v1beta1
    answer.py      reading an AdmissionReview's response, and everything that can be wrong with it
    versions.py    the object in the version a webhook's rules name, and the way back
    errors.py      calls that failed, requests that were denied
    counts.py      what /metrics tells of it

They know the registry and `egress`; a cluster without configurations pays a look into an empty list, once per target.
"""
