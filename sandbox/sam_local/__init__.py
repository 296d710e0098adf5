"""What `make sam-local` prepares: the functions in containers (`sam local`), on the local cloud of `make run`.

`settings` creates the two files for SAM, `commands` the lines to paste, `engine` asks the container engine what they
depend on, and `relay` lets containers on Linux reach a local cloud that listens only on 127.0.0.1.
"""
