"""What is known of two matched features, side by side."""
