"""How rows are held against each other: intervals, paired differences, the accuracy gate.

On the host alone, since it needs scipy.
"""
