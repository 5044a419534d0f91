"""Looks for input that the targets of `tests/fuzz` do not survive, for a person at a terminal.

main          arguments, one child process per target, progress, and the end
child         one target, for so long: findings and figures as lines of JSON
trial         one input: what is wrong with it, and how long it took
engines       where inputs come from: atheris where it is installed, else a loop of our own
mutation      how one input becomes another
coverage      which lines and branches of ours an input reaches
corpus        the inputs that are kept
"""
