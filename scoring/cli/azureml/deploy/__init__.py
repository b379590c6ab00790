"""`deploy`: brings a workspace to the state that YAML files of the Azure ML CLI v2 describe.

`yaml_files` reads them by `yaml_schema`. `preparation` adds the local files that they name
(`contents`) and what they refer to (`references`). `apply` goes through all resources, `resources`
changes one: it compares (`comparison`), uploads (`uploads`) and PUTs (`bodies`). Other commands use
some of this, too.
"""
