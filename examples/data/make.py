#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts 10,000 images out of Fashion-MNIST: 800 a class from its training split, 200 a class from its test split.

    python3 make.py [SOURCE] [TARGET]

SOURCE holds the four *.gz files of the full data set (default: where Debian's package dataset-fashion-mnist
puts them), TARGET receives four plain idx files (default: the folder of this script). An image is drawn by the
SHA-256 of its split and index, so that the cut is the same with any version of Python. Prints the SHA-256 of
every file, which include/tempera/data/fashion_mnist.hpp holds.
"""
import gzip
import hashlib
import pathlib
import struct
import sys

CLASSES = 10


def read_idx(path, rank):
    data = gzip.decompress(path.read_bytes())
    magic, *dims = struct.unpack(f">{rank + 1}I", data[: 4 * (rank + 1)])
    if magic != 0x0800 + rank:
        sys.exit(f"{path}: expected an idx file of {rank} dimensions of unsigned bytes, found magic {magic:#010x}")
    body = data[4 * (rank + 1):]
    size = 1
    for d in dims:
        size *= d
    if len(body) != size:
        sys.exit(f"{path}: expected {size} bytes after the header, found {len(body)}")
    return dims, body


def write_idx(path, dims, body):
    path.write_bytes(struct.pack(f">{len(dims) + 1}I", 0x0800 + len(dims), *dims) + body)
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


def rank_of(split, index):
    return hashlib.sha256(f"tempera fashion-mnist {split} {index}".encode()).digest()


def cut(source, target, split, per_class):
    (count, height, width), pixels = read_idx(source / f"{split}-images-idx3-ubyte.gz", 3)
    _, labels = read_idx(source / f"{split}-labels-idx1-ubyte.gz", 1)
    if len(labels) != count:
        sys.exit(f"{split}: expected as many labels as images ({count}), found {len(labels)}")
    chosen = []
    for label in range(CLASSES):
        members = [i for i in range(count) if labels[i] == label]
        chosen += sorted(members, key=lambda i: rank_of(split, i))[:per_class]
    chosen.sort(key=lambda i: rank_of(split, i))  # classes interleaved, so that any stretch is a mixed one
    size = height * width
    write_idx(target / f"{split}-images-idx3-ubyte", (len(chosen), height, width),
              b"".join(pixels[i * size:(i + 1) * size] for i in chosen))
    write_idx(target / f"{split}-labels-idx1-ubyte", (len(chosen),), bytes(labels[i] for i in chosen))


def main():
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
    target = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent)
    cut(source, target, "train", 800)
    cut(source, target, "t10k", 200)


if __name__ == "__main__":
    main()
