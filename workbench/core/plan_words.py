"""The closed choices of a plan: what is traded, which expiry, what an opposite signal, a night, an alert's time mean.

Invariant: each word is written in plan files and manifests as it stands here.
"""

from enum import StrEnum


class Contract(StrEnum):
    """What is traded."""

    OPTION = "option"
    FUTURE = "future"
    UNDERLYING = "underlying"
    INDEX_AS_FUTURE = "index_as_future"


class ExpiryRule(StrEnum):
    """Which expiry."""

    NEAREST = "nearest"
    NEXT = "next"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    NEXT_MONTHLY = "next_monthly"


class OnOpposite(StrEnum):
    """What an opposite signal does to an open position."""

    REVERSE = "reverse"
    EXIT = "exit"
    IGNORE = "ignore"


class Overnight(StrEnum):
    """What happens at the end of the day."""

    SQUARE_OFF = "square_off"
    KEEP_WINNERS = "keep_winners"
    KEEP = "keep"


class ProtectionRule(StrEnum):
    """What rests at the broker while a position is held: its stop alone, stop and target, or both with the entry."""

    STOP_ONLY = "stop_only"
    STOP_AND_TARGET = "stop_and_target"
    SUPER_ORDER = "super_order"


class AlertTime(StrEnum):
    """What an alert's timestamp means: when it fired, or the open of its bar."""

    FIRED = "fired"
    BAR_OPEN = "bar_open"
