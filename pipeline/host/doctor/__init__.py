"""What stands in the way of a command on this machine, found before anything is fetched, built or started.

Each module gathers some facts and holds them against what is needed, in functions that never touch the machine, so that
the facts of machines that aren't here can be checked too. examine.py puts the answers together.
"""
