"""Other faces of the same runner: trainers with the names and the manners of other systems."""
