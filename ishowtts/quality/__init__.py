"""Measures of speech: intelligibility, similarity of voices, naturalness, artifacts and others.

Each module has one kind of measure and can be used alone; `measure` combines them. A package that only one measure
needs is imported at its first use.
"""
