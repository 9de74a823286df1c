"""schema.py GRADC MODEL…: the schema of `gradc schema` accepts the models and refuses broken variants of them."""
import copy
import json
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("SKIPPED: python3-jsonschema is not installed")
    sys.exit(0)

schema = json.loads(subprocess.check_output([sys.argv[1], "schema"]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
models = [json.load(open(path)) for path in sys.argv[2:]]
for path, model in zip(sys.argv[2:], models):
    errors = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(model)]
    assert not errors, f"{path}: {errors}"

MISSING = object()
BROKEN = [
    (["format"], "gradc/2"),
    (["nane"], "x"),
    (["inputs", "image", "shape"], ["M", 3]),
    (["inputs", "image", "shape"], [0]),
    (["inputs", "image", "dtype"], "f33"),
    (["inputs", "9x"], {"shape": [1]}),
    (["nodes"], {}),
    (["nodes", 0, "op"], "flaten"),
    (["nodes", 0, "op"], MISSING),
    (["nodes", 0, "name"], MISSING),
    (["nodes", 0, "kernel"], 3),
    (["nodes", -1, "units"], 0),
    (["nodes", -1, "units"], "ten"),
    (["nodes", -1, "units"], MISSING),
    (["nodes", -1, "weight"], {"init": "he_norml"}),
    (["nodes", -1, "weight"], {"init": {"type": "constant"}}),
    (["nodes", -1, "weight"], {"max_nrom": 1}),
    (["nodes", -1, "activation"], "rely"),
    (["nodes", -1, "activation"], {"op": "elu", "slope": 1}),
    (["loss", "op"], "accuracy"),
    (["loss", "inputs"], MISSING),
    (["metrics", 0, "op"], "acuracy"),
    (["train", "batch_size"], 0),
    (["train", "epoch"], 3),
    (["train", "optimizer", "type"], "sdg"),
    (["train", "optimizer", "learning_rate"], -1),
    (["train", "optimizer"], MISSING),
    (["train", "schedule"], {"type": "step"}),
    (["train", "schedule"], {"type": "cosine", "length": 0}),
    (["data", "train", "type"], "idxx"),
    (["data", "train", "labels"], MISSING),
    (["data", "train", "labels"], "/etc/passwd"),
    (["data", "normalize", "std"], [0]),
]
for path, value in BROKEN:
    broken = copy.deepcopy(models[1])
    at = broken
    for step in path[:-1]:
        at = at[step]
    if value is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    assert not validator.is_valid(broken), f"accepted {path} = {value}"
print(f"{len(models)} models accepted, {len(BROKEN)} broken ones refused")
