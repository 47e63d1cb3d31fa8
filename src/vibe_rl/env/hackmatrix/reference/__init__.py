"""HackMatrix in plain Python: the rules one at a time, for reading and for holding others to.

`game.reset`, `game.legal` and `game.step` play it; `fixture.load_state` sets a state up.
"""
