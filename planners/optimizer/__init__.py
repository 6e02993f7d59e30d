"""What to try next, given what has been tried."""

from planners.optimizer.orders import DrivingForceOrder, RandomOrder
from planners.optimizer.strategy import Situation, Strategy, decide, decide_batch

__all__ = [
    "DrivingForceOrder",
    "RandomOrder",
    "Situation",
    "Strategy",
    "decide",
    "decide_batch",
]
