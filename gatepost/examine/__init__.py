"""Looking into one case for a person: a saved message, or what a domain publishes.

The same evaluations as in the daemons, with everything noted on the way.
Nothing here prints.
"""
