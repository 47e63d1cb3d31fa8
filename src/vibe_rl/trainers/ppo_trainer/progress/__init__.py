"""What a training has seen so far, when it has done enough, and what it shows of it."""
