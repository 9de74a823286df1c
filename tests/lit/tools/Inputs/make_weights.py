"""make_weights.py FILE NAME DTYPE NUMBER…: a safetensors file of one tensor of rank 1."""
import json
import struct
import sys

file, name, dtype, *numbers = sys.argv[1:]
data = struct.pack("<%d%s" % (len(numbers), {"F32": "f", "F64": "d", "I32": "i"}[dtype]),
                   *[int(n) if dtype == "I32" else float(n) for n in numbers])
header = json.dumps({name: {"dtype": dtype, "shape": [len(numbers)], "data_offsets": [0, len(data)]}}).encode()
with open(file, "wb") as out:
    out.write(struct.pack("<Q", len(header)) + header + data)
