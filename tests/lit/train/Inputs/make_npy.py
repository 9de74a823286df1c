"""make_npy.py IDX OUT: the first three 8x8 pictures as a .npy of u8, without NumPy."""
import sys

data = open(sys.argv[1], "rb").read()[16 : 16 + 3 * 64]
header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 8, 8), }"
header += " " * (-(len(header) + 11) % 64) + "\n"
open(sys.argv[2], "wb").write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data)
