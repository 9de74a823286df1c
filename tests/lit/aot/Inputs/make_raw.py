"""make_raw.py DATA OUT: the training images as f32 pixels / 255 and the labels as i32, without any header."""
import array
import gzip
import os
import sys

data, out = sys.argv[1:]


def body(name, header):
    path = os.path.join(data, name)
    with gzip.open(path, "rb") as file:
        return file.read()[header:]


images, labels = body("train-images.gz", 16), body("train-labels.gz", 8)
with open(os.path.join(out, "images.raw"), "wb") as file:
    array.array("f", [pixel / 255 for pixel in images]).tofile(file)
with open(os.path.join(out, "labels.raw"), "wb") as file:
    array.array("i", list(labels)).tofile(file)
