from .leases import Lease, LeasedError, Leases
from .order import STRATEGIES, Dealt, Queue, Standing, Strategy, in_random_order, random_number

__all__ = [
    "STRATEGIES",
    "Dealt",
    "Lease",
    "LeasedError",
    "Leases",
    "Queue",
    "Standing",
    "Strategy",
    "in_random_order",
    "random_number",
]
