"""What to try next, given what has been tried."""

from planners.optimizer.strategy import InOrder, Situation, Strategy, decide

__all__ = ["InOrder", "Situation", "Strategy", "decide"]
