"""What people and their tools are told: notices, metrics, traces, reports."""
