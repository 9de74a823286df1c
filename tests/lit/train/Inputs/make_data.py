"""make_data.py DIR: a small data set of three classes of 8x8 pictures as IDX files, and broken variants of it."""
import gzip
import os
import random
import struct
import sys

CLASSES, SIDE = 3, 8


def idx(shape, data, kind=8):
    return struct.pack(">BBBB", 0, 0, kind, len(shape)) + b"".join(struct.pack(">I", n) for n in shape) + bytes(data)


def write(name, data):
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(data)


def examples(count, rng):
    """Class c has a bright row block c, in noise."""
    images, labels = [], []
    for _ in range(count):
        label = rng.randrange(CLASSES)
        labels.append(label)
        for row in range(SIDE):
            for _ in range(SIDE):
                images.append(rng.randrange(70, 256) if row // 3 == label else rng.randrange(0, 200))
    return idx([count, SIDE, SIDE], images), idx([count], labels), labels


os.makedirs(sys.argv[1], exist_ok=True)
rng = random.Random(7)
for name, count in (("train", 203), ("test", 50)):
    images, labels, values = examples(count, rng)
    write(name + "-images.gz", gzip.compress(images, mtime=0))
    write(name + "-labels.gz", gzip.compress(labels, mtime=0))
    write(name + "-images", images)
    if name == "train":
        packed = gzip.compress(images, mtime=0)
        write("cut-images.gz", packed[: len(packed) // 2])
        values[92] = 77
        write("wild-labels.gz", gzip.compress(idx([count], values), mtime=0))
        write("few-labels.gz", gzip.compress(idx([count - 1], values[1:]), mtime=0))
        write("text.gz", b"these are no pictures")
