"""show_slot.py FILE NAME: how many numbers of a tensor in a safetensors file are tiny, and how many are zeros."""
import array
import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    begin, end = json.loads(file.read(length))[sys.argv[2]]["data_offsets"]
    file.seek(begin, 1)
    values = array.array("f", file.read(end - begin))
tiny = sum(abs(value) < 2**-100 for value in values)
print(tiny, "of", len(values), "numbers are below 2^-100,", sum(value == 0 for value in values), "are zero")
