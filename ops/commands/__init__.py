"""The commands, one module for each group of them. `ops.__main__` names every one."""
