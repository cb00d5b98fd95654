"""The client's side of the API, in client-go's words, in process and over HTTP.

    transport     bytes to the server and back: inprocess (the registry itself), http (aiohttp, kubeconfig)
    codec         targets: a Struct class, a Resource row (plain dicts), Partial(row) (metadata alone)
    client        the verbs: get, list, create, update, patch, apply, delete, watch, bind, evict ...
    reflector     list and watch -> deltafifo -> informer; in process the informer joins the fan-out itself
    indexer       what an informer knows, by key, namespace and index
    workqueue     what a controller has to look at;  ratelimit
    controller    the frame of a controller;  expectations, batches (slow start), claim (adopt and release)
    leaderelection, events, kubeconfig (yamledit, credentials)

It does not know the registry: cluster/ hands an `inprocess.API` in. It never decodes an object twice in one process.

Queues and their bounds:
    a watch's buffer in process      10,000 events; beyond it the watch ends with 410 and its reader lists again
    DeltaFIFO                        one place per object; emptied in each turn of the loop
    WorkQueue                        one place per key in the queue and in the delay heap
    handlers of an informer          none: called from the fan-out itself
    events to be written             1,000; beyond it they are dropped and counted
    correlation of events            4,096 entries each, the least recently used goes
    a line of a watch over HTTP      16 MiB; beyond it the watch fails
"""
