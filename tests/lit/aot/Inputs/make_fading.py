"""make_fading.py DIR: pictures of which only those of the first batch of 32 have any light; with validation and test data."""
import gzip
import os
import random
import struct
import sys

SIDE, BATCH = 8, 32


def write(name, shape, data):
    header = struct.pack(">BBBB", 0, 0, 8, len(shape)) + b"".join(struct.pack(">I", n) for n in shape)
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(gzip.compress(header + bytes(data), mtime=0))


os.makedirs(sys.argv[1], exist_ok=True)
rng = random.Random(1)
for name, count in (("train", 2400), ("test", 32)):
    write(name + "-images.gz", [count, SIDE, SIDE],
          [rng.randrange(256) if i < BATCH * SIDE * SIDE else 0 for i in range(count * SIDE * SIDE)])
    write(name + "-labels.gz", [count], [rng.randrange(3) for _ in range(count)])
