"""A stand-in for Azure on one machine: for trying, testing and the demo; never deployed.

The parts, each a module or a package with an async context manager that starts it:

* `storage`: Azurite behind a proxy that raises blob events, counts operations and injects faults.
* `azureml`: a workspace's control plane and batch endpoints that run real scoring scripts.
* `topic`: an Event Grid topic that delivers completion events.
* `identity`: the managed-identity endpoint that hands out tokens.
* `host`: a small function host that runs `function_app.py` as it is.

`python -m local` starts them together or alone. All but the host and the identity endpoint serve
TLS on loopback with a throw-away certificate authority and check tokens, so that the product runs
the code that it runs in Azure.
"""
