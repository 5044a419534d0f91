"""Wire dialects, sans-io: headers and bytes in, values out."""
