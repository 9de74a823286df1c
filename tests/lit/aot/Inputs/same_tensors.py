"""same_tensors.py A B: two safetensors files with the same tensors, byte for byte; what else they say may differ."""
import json
import struct
import sys


def tensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


a, b = map(tensors, sys.argv[1:])
different = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
if different:
    sys.exit(f"different: {', '.join(different)}")
print(len(a), "tensors are equal")
