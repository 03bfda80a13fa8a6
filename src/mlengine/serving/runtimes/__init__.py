"""One adapter per framework: files in, rows in, predictions out. Runs in the Python of a runtime only.

Nothing here imports mlengine beyond `mlengine.serving.messages`, and each framework is imported only by the
adapter whose model needs it. `open_model` in `opening.py` is the way in.
"""
