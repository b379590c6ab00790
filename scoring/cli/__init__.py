"""Commands for people who deploy models and look after jobs. Not deployed with the function app.

`main` lists them; each folder has the commands of one concern. `session` opens what a command
needs, `console` is where it speaks, `failures` are its ends; `arm` is Azure Resource Manager.
"""
