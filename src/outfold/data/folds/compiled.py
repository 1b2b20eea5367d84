"""How the kernels of the fold search are compiled."""

from numba import njit

compiled = njit(nogil=True, error_model="numpy")
"""Machine code for a function on arrays that runs beside other threads and divides as IEEE 754 does."""

inlined = njit(nogil=True, error_model="numpy", inline="always")
"""The same for a part of such a function.

numba hands every array over as a dozen words and counts references around calls, which took half of the time of loops
that last some hundred nanoseconds; parts are therefore written into the function that calls them.
"""
