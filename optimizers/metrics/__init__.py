"""What good means, one file a method: training-free metrics that return a score and feedback."""
