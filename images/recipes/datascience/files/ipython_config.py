"""IPython's history is an SQLite file: where homes outlive their machine it stays on the machine's own disk."""
import os

c = get_config()  # noqa: F821 (IPython provides it)

_local = os.environ.get("POOLHOUSE_LOCAL")
if _local and os.path.isdir(_local):
    c.HistoryManager.hist_file = os.path.join(_local, "ipython", "history.sqlite")
