"""What a setting can be."""

Value = str | bool | tuple[str, ...]
"""The last is what a list has to hold among others; forms of files that have no lists are never given one."""
