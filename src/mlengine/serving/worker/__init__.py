"""The model worker: one process that owns one model, in the Python of its runtime.

Started by file path (`PYTHON .../serving/worker/__main__.py serve --model-dir DIR --socket PATH`), since that
Python does not contain mlengine. What runs here may import the standard library, NumPy, pandas and the
framework of the model, orjson where there is one, and of mlengine only this package, `serving.runtimes` and
`serving.messages`.
"""
