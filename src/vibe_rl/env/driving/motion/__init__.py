"""How everybody moves: the ego's dynamics, routes, and traffic that reacts or follows its log."""
