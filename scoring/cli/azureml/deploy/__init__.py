"""Files of the Azure ML CLI v2, and what they ask of the workspace: `deploy`, `data create`, `delete`.

`yaml_files` reads (`yaml_schema`), `preparation` adds what lies on this machine (`contents`), `state`
brings the workspace there, one resource at a time (`applying`), by `bodies` that are PUT unless
`comparison` finds them there; `uploads` sends files.
"""
