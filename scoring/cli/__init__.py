"""The commands: `python -m scoring …`. They are not deployed with the function app.

`main` lists them. `landfall/` has those about Landfall's own jobs, `azureml/` those that are a
client of Azure ML. The command X is in `X.py`, or in `X/command.py` with its parts beside it; a
group of commands, `X …`, in `X/commands.py`.

What both families use is here: `session` opens what a command needs, `console` prints, `failures`
has the exit codes. `arm`, `datastores` and `retrying_http` talk to Azure; `backoff` says how long
to wait in between.
"""
