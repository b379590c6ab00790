"""Commands that are a client of Azure ML: deploy, data, invoke, job, delete, walk."""
