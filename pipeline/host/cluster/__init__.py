"""Jobs on the nodes of a Ray cluster: what a node must have, what it is asked, and what comes back while a job runs.

`ray.py` is the one module that imports Ray, `on_node.py` what runs on the nodes.
"""
