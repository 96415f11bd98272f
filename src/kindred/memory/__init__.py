"""What a job is going to need, worked out before it starts from sizes that are known then."""
