"""What a setting can be."""

Value = str | bool
