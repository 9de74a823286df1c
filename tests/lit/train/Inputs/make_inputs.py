"""make_inputs.py TINY OUT: tiny.json with a batch size written into a shape, an empty weight file, integer pictures."""
import json
import struct
import sys

model = json.load(open(sys.argv[1]))
model["nodes"][2] = {"name": "flat", "op": "reshape", "inputs": ["pool"], "shape": [32, 36]}
json.dump(model, open(sys.argv[2] + "/fixed.json", "w"))
open(sys.argv[2] + "/empty.safetensors", "wb").write(struct.pack("<Q", 2) + b"{}")
header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 8, 8), }"
header += b" " * (-(len(header) + 11) % 64) + b"\n"
open(sys.argv[2] + "/ints.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(256))
