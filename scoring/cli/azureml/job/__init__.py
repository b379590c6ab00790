"""`job …`: the batch jobs of an endpoint.

`endpoint_jobs` asks the endpoint for them, `waiting` waits for the end of one. `results` finds and
downloads an output (`datastore_files`); `rows` reads its first rows. `invoke` and `walk` use some
of this, too.
"""
