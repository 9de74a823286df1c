#!/usr/bin/env python3
"""Prints what the simulated CUDA device counted (CUDASIM_LOG), a line a launch:

    launch_relu_64x1024_3fa9: 4.00 sectors read and 4.00 written a warp of f32, 0 replays, 0 local

A sector is 32 bytes; 32 neighbouring f32 are 4 of them, however many a thread reads at a time.
"""
import json
import sys


def sectors(counters, kind):
    """For each 128 bytes that were asked for; fewer where lanes ask for the same."""
    read = counters[f"global_{kind}_bytes"]
    return 128 * counters[f"global_{kind}_sectors"] / read if read else 0


for line in open(sys.argv[1]):
    c = json.loads(line).get("counters")
    if c:
        print(f"{c['kernel']}: {sectors(c, 'load'):.2f} sectors read and {sectors(c, 'store'):.2f} written a warp of f32, "
              f"{c['shared_replays']} replays, {c['local_requests']} local")
