"""`invoke`: one batch job by hand. `command` is the command; `by_hand` submits the job."""
