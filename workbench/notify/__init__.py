"""Telling a person: on the page at once, in the log, in a file of alarms that wait for an answer, and on his phone.

`Notifier` is what the engine sends to. What leaves this machine goes through `channel.Channel`, which hands it to a
child process with apprise in it: neither a slow network nor a library of a hundred services is in the engine's way.

Invariant: sending never blocks and never raises; a notice is shown here even if every other channel is broken, and a
broken channel is itself an alarm.
"""

from workbench.notify.alarms import Alarm, AlarmFile
from workbench.notify.channel import Channel, Delivery
from workbench.notify.notifier import Notice, Notifier

__all__ = ["Alarm", "AlarmFile", "Channel", "Delivery", "Notice", "Notifier"]
