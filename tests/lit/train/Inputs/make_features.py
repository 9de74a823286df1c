"""make_features.py OUT EXAMPLES FEATURES: examples of f32 between -1 and 1 as a .npy, without NumPy."""
import array
import sys

examples, features = int(sys.argv[2]), int(sys.argv[3])
values = array.array("f", ((i * 37 % 101) / 50 - 1 for i in range(examples * features)))
header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({examples}, {features}), }}"
header += " " * (-(len(header) + 11) % 64) + "\n"
open(sys.argv[1], "wb").write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + values.tobytes())
