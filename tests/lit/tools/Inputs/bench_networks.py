"""Holds bench/models, which gradc measures, to bench/networks.py, which the peers measure: bench_networks.py GRADC BENCH"""
import json
import os
import subprocess
import sys

gradc, bench = sys.argv[1:]
sys.path.insert(0, bench)
from networks import NETWORKS, parameters

models = sorted(name[:-len(".json")] for name in os.listdir(os.path.join(bench, "models")))
for name in models:
    check = subprocess.run([gradc, "check", os.path.join(bench, "models", name + ".json"), "--json"], check=True,
                           capture_output=True, text=True)
    ours, batch = json.loads(check.stdout)["trainable_parameters"], json.loads(check.stdout)["batch"]
    theirs = parameters(name), NETWORKS[name].batch
    print(f"{name}: {ours} trained, batch {batch}" + ("" if (ours, batch) == theirs else f", but peers have {theirs}"))
