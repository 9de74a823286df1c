"""check.json metrics.jsonl: fails unless the run allocated what check announced."""
import json
import re
import sys

announced = json.load(open(sys.argv[1]))["training_memory"]
event = next(line for line in map(json.loads, open(sys.argv[2])) if line.get("event") == "memory")
variables, arena, process = map(int, re.findall(r"\d+", event["text"]))
assert variables == announced["variable_bytes"], f"announced {announced}, allocated {variables} for variables"
assert arena == announced["arena_bytes"], f"announced {announced}, allocated {arena} for the arena"
most = variables + arena + announced["batch_bytes"] + 60e6
assert 0 < process <= most, f"resident {process} bytes, at most {most} were announced"
