"""API priority and fairness: which request runs now, which waits, which is told to come back later.

classify.py    FlowSchemas, compiled: which schema, which flow
fairqueue.py   one priority level: seats, queues, shuffle sharding, virtual time; pure, time is an argument
controller.py  `FlowController`: levels from PriorityLevelConfigurations, `await flow.start(request) -> Ticket`
bootstrap.py   the configuration objects of a new cluster

ticket = await flow.start(request, width=1)     # StatusError 429 when the queues are full or patience ends
try: ... answer; ticket.headers are X-Kubernetes-PF-* headers
finally: ticket.finish()                        # a watch finishes its ticket once it is set up
"""
