"""What `make sam-local` prepares: the functions in containers (`sam local`), on the local cloud of `make run`.

`settings` makes the two files that SAM is given, `commands` the lines to paste, `engine` asks the container engine what
they depend on, and `relay` lets containers on Linux reach a local cloud that listens on 127.0.0.1 alone.
"""
