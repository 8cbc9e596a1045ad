"""A simulated meter of the cluster in containers: what its nodes really run, in watts; no part of the product.

Law: it asks neither FlexLon nor Slurm's controller: each node looks at its own processes (node.py), the site's
meter (site.py) turns that into power with coefficients of its own. Standard library only.
"""
