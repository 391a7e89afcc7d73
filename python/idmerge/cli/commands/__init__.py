"""One module a command, named after it; each holds a function of the same name.

`idmerge.cli.group` lists the commands and loads each only when it is called. A command uses what
`idmerge.cli` shares and the modules of the package, never another command.
"""
