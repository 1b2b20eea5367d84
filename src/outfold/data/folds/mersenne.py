"""numpy's legacy random stream, compiled: the same shuffles as `numpy.random.RandomState(seed).shuffle`.

MT19937 as published (M. Matsumoto, T. Nishimura, ACM TOMACS 8, 1998), seeded by `init_genrand`; integers below a bound
are drawn by masking and rejection, and the shuffle goes from the end, as numpy's legacy generator does for ever.

Seeding is one long chain of dependent multiplications, which leaves a processor idle; LANES seeds are therefore begun
together. Words of the stream are made one by one, for a shuffle of few groups needs few of them.
"""

import numpy as np

from outfold.data.folds.compiled import compiled

LANES = 8
"""Seeds that are begun together: more bring nothing, and all their states fit a core's fastest cache."""

WORDS = 624
_SHIFT = 397
_MASK = 0xFFFFFFFF


@compiled
def begin_streams(first: int, states: np.ndarray) -> None:
    """Fill `states`, uint32 (WORDS, LANES), for the seeds first .. first + LANES - 1."""
    for lane in range(LANES):
        states[0, lane] = first + lane
    for word in range(1, WORDS):
        for lane in range(LANES):
            before = states[word - 1, lane]
            # numba computes with 64 bits; storing into uint32 keeps the lower 32, as the definition wants.
            states[word, lane] = 1812433253 * (before ^ (before >> 30)) + word


@compiled
def next_word(states: np.ndarray, lane: int, drawn: int) -> int:
    """The next 32 bits of one stream, of which `drawn` words were taken before."""
    here = drawn % WORDS
    following = states[here + 1 if here < WORDS - 1 else 0, lane]
    mixed = (states[here, lane] & 0x80000000) | (following & 0x7FFFFFFF)
    far = here + _SHIFT if here < WORDS - _SHIFT else here + _SHIFT - WORDS
    word = states[far, lane] ^ (mixed >> 1) ^ (0x9908B0DF * (mixed & 1))
    states[here, lane] = word
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return word ^ (word >> 18)


@compiled
def shuffle(states: np.ndarray, lane: int, order: np.ndarray) -> int:
    """Fill `order`, int64 (m,), with 0..m-1 shuffled by a stream that was just begun; returns the words drawn."""
    for position in range(len(order)):
        order[position] = position
    drawn, mask = 0, 1
    while mask < len(order) - 1:
        mask = 2 * mask + 1
    for last in range(len(order) - 1, 0, -1):
        while mask >> 1 >= last:
            mask >>= 1
        chosen = next_word(states, lane, drawn) & mask
        drawn += 1
        while chosen > last:
            chosen = next_word(states, lane, drawn) & mask
            drawn += 1
        order[last], order[chosen] = order[chosen], order[last]
    return drawn
