"""`invoke`: submits one batch job.

`command` reads the options: `inputs` what to score, `outputs` and `output_options` where the output
goes. `by_hand` sends the request.
"""
