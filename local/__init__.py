"""A local stand-in for Azure, for development, tests and the demo. It is never deployed.

Each part is a module or a package whose `start` is an async context manager that runs it:

* `storage`: Azurite behind a proxy that raises blob events, counts operations and injects faults.
* `azureml`: a workspace's control plane and batch endpoints that run real scoring scripts.
* `topic`: an Event Grid topic that delivers completion events.
* `identity`: the managed-identity endpoint that hands out tokens.
* `host`: a small function host that runs `function_app.py` as it is.

`python -m local` starts them together or one by one. All but the host and the identity endpoint
serve TLS on loopback, with their own certificate authority, and check tokens: the product runs the
same code as in Azure.
"""
