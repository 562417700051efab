"""
Work on what shares hold. What people put there is hostile: nothing here follows a path through a link, only handles from one to the next.

It reads in this order: `connections` wait at control's socket, each for one of the `requests` (`arguments`, `bodies`); it asks for one of
the `methods`: `entries`, `folders`, `files`, `restoring`, `packing`, `unpacking`. They stand on `places` (where something is), `attributes`
(whose it is), `content` (what is in it), `kernel` and `refusals`.
"""
