"""Edge: the Broker port on the official Dhan library.

Reading order: `transport` (what takes the place of the library's HTTP class) · `outcomes` (what an answer proves) ·
`client` (the library on that transport) · `rows` (Dhan's rows in our words) · `adapter` (the Broker port) ·
`order_updates` (the socket) · `login`.
"""
