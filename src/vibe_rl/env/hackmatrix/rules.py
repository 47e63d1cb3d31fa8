"""The numbers of the game, as tables; both engines read them. Their order is part of the rules."""

from typing import NamedTuple

SIDE = 6
"""Cells of a row and of a column; row 0 is drawn at the bottom."""
N_CELLS = SIDE * SIDE
"""Cells of the board, numbered row by row."""
CORNERS = ((0, 0), (0, 5), (5, 0), (5, 5))
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1))
"""Rows and columns of a step up, down, left and right; earlier ones win ties."""

STAGES = 8
WON = STAGES + 1
"""The stage of a player who has won."""
MAX_HP = 3
LONGEST_INTERVAL = 13
"""Turns between scheduled spawns, less the stage."""
SHORTEST_INTERVAL = 4
SIPHON_DELAY = 5
"""Turns by which a siphon postpones the next scheduled spawn."""
NEW_TIMER = 1
"""Turns until a new transmission hatches."""
HATCHED_DISABLED = 1
"""Turns for which a new enemy does nothing."""
MOST_ENEMIES = 40
MOST_TRANSMISSIONS = N_CELLS
MOST_ATTACK_USES = 2
"""How often a stage allows ATK+."""
DELAY_TURNS = 3
EXCHANGED = 4
"""Credits that EXCH takes, and energy that it gives."""

FEWEST_BLOCKS, MOST_BLOCKS = 5, 11
LAYOUT_ATTEMPTS = 100
MOST_POINTS = 9

DRAWS = 2**24
"""Every random number of the game is a whole number from 0 up to this."""
COIN = DRAWS // 2
"""Draws below are heads: data, credits."""
HIDDEN = 1677722
"""Draws below hide a block's contents: 10 %."""
AMOUNTS = (7549747, 15099494)
"""Draws below the first are one unit of a resource (45 %), below the second two, others three."""

STARTING_BONUS = (("credits", 10), ("energy", 11), ("data_siphons", 1))


class EnemyKind(NamedTuple):
    """A kind of enemy."""

    name: str
    max_hp: int
    speed: int  # sub-steps of a turn in which it acts


ENEMIES = (
    EnemyKind("virus", 2, 2),
    EnemyKind("daemon", 3, 1),
    EnemyKind("glitch", 2, 1),
    EnemyKind("cryptog", 2, 1),
)
VIRUS, DAEMON, GLITCH, CRYPTOG = range(len(ENEMIES))
"""A glitch may enter blocks; a cryptog is seen in the player's row and column alone."""
MOST_SPEED = max(enemy.speed for enemy in ENEMIES)


class Program(NamedTuple):
    """A program: what it costs, and how many transmissions siphoning its block releases."""

    name: str
    credits: int
    energy: int
    spawn: int


PROGRAMS = (
    Program("PUSH", 0, 2, 4),
    Program("PULL", 0, 2, 4),
    Program("CRASH", 3, 2, 6),
    Program("WARP", 2, 2, 5),
    Program("POLY", 1, 1, 3),
    Program("WAIT", 0, 1, 1),  # the only one that ends the turn
    Program("DEBUG", 3, 0, 4),
    Program("ROW", 3, 1, 2),
    Program("COL", 3, 1, 2),
    Program("UNDO", 1, 0, 3),
    Program("STEP", 0, 3, 4),
    Program("SIPH+", 5, 0, 7),
    Program("EXCH", 4, 0, 3),
    Program("SHOW", 2, 0, 2),
    Program("RESET", 0, 4, 2),
    Program("CALM", 2, 4, 6),
    Program("D_BOM", 3, 0, 4),
    Program("DELAY", 1, 2, 4),
    Program("ANTI-V", 3, 0, 4),
    Program("SCORE", 0, 5, 5),
    Program("REDUC", 2, 1, 3),
    Program("ATK+", 4, 4, 8),
    Program("HACK", 2, 2, 4),
)
N_PROGRAMS = len(PROGRAMS)
PUSH, PULL, CRASH, WARP, POLY, WAIT, DEBUG, ROW, COL, UNDO, STEP, SIPH_PLUS = range(12)
EXCH, SHOW, RESET, CALM, D_BOM, DELAY, ANTI_V, SCORE, REDUC, ATK_PLUS, HACK = range(12, N_PROGRAMS)

UP, DOWN, LEFT, RIGHT = MOVES = range(4)
SIPHON = 4
FIRST_PROGRAM = 5
"""The action of the first program; the others follow in their order."""
N_ACTIONS = FIRST_PROGRAM + N_PROGRAMS

PARTS = (
    "step_penalty",
    "stage_completion",
    "score_gain",
    "kills",
    "data_siphon",
    "distance_shaping",
    "damage_penalty",
    "hp_recovery",
    "victory",
    "death_penalty",
    "siphon_death_penalty",
    "resource_gain",
    "resource_holding",
    "program_waste",
    "siphon_quality",
)
"""The reward is the sum of these."""
STAGE_REWARDS = (1, 2, 4, 8, 16, 32, 64, 100)
"""Of completing each stage; dying in a stage takes half of what those before it paid."""
VICTORY_REWARD, VICTORY_PER_POINT = 500, 100

N_PLAYER, N_CHANNELS = 10, 42
"""Numbers that an observation has of the player, and of each cell."""
OBSERVATION_SIZE = N_PLAYER + N_PROGRAMS + N_CELLS * N_CHANNELS
TIME_LIMIT = 1000
"""Steps after which an episode is truncated, unless env_params say otherwise."""
