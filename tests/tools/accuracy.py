#!/usr/bin/env python3
"""Trains the examples briefly and demands a test accuracy within a band, through the command line as a user would.

  accuracy.py GRADC EXAMPLES DATA SCRATCH [--full]

--full trains each example for its 10 epochs against the accuracy of docs/performance.md.
"""
import argparse
import json
import os
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("examples")
parser.add_argument("data")
parser.add_argument("scratch")
parser.add_argument("--full", action="store_true")
args = parser.parse_args()

# model: (epochs, least, most). A band catches both a broken gradient and a test set that leaks into training.
BRIEF = {"logreg": (1, 0.79, 0.86), "mlp": (1, 0.80, 0.89), "lenet": (1, 0.82, 0.91)}
FULL = {"logreg": (10, 0.84, 0.87), "mlp": (10, 0.89, 0.92), "lenet": (10, 0.91, 0.94)}


def gradc(*words):
    done = subprocess.run([args.gradc, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"gradc {' '.join(words)}\nexit {done.returncode}\n{done.stderr}")
    return done.stdout


wrong = 0
for model, (epochs, least, most) in (FULL if args.full else BRIEF).items():
    path = os.path.join(args.examples, model + ".json")
    out = os.path.join(args.scratch, model)
    gradc("train", path, "--data", args.data, "--out", out, "--epochs", str(epochs), "--progress", "none")
    result = json.loads(gradc("eval", path, "--data", args.data, "--weights", os.path.join(out, "last.safetensors"), "--json"))
    good = least <= result["accuracy"] <= most and result["examples"] == 10000
    wrong += not good
    print(f"{model}: {epochs} epochs: accuracy {result['accuracy']:.4f}, wanted {least} .. {most}: {'ok' if good else 'WRONG'}", flush=True)
sys.exit(1 if wrong else 0)
