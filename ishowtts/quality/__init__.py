"""Quality of speech, measured: whether it is understood, whose voice it is, how natural it sounds, what is broken in it.

Each module holds one kind of measure and can be used alone on samples; `measure` puts them together. Packages that are
needed by one measure alone are imported when it is first used.
"""
