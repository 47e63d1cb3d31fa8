"""What is wrong with an environment, found before anything is trained in it."""
