"""A Ray cluster of two nodes with a core each, as processes of this machine, until the standard input ends.

Says "ready ADDRESS". A line of input kills the second node as a failing machine would; the answer is how many jobs of a
sweep were at work on it.
"""

import sys

import psutil
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False})
second = cluster.add_node()
print("ready", cluster.address, flush=True)
if sys.stdin.readline():
    workers = psutil.Process(second.all_processes["raylet"][0].process.pid).children()
    jobs = [worker for worker in workers if worker.cmdline()[0] == "ray::_run_job"]
    cluster.remove_node(second, allow_graceful=False)
    print(len(jobs), flush=True)
    sys.stdin.read()
cluster.shutdown()
