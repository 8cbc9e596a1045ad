"""Package data: real GB days for the demonstration. README.md here says what, whence and under which words.

Law: files only, made by scripts/cut-gb-day; flexlond.signals.restamp reads them.
"""
