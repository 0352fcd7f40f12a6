# SPDX-License-Identifier: Apache-2.0
"""Makes tests/fixtures/image: small images of every kind, and what Pillow reads from them.

python3 tests/image/make_fixtures.py     needs pillow, numpy and safetensors; run with 13.0.0, 2.4.6 and 0.8.0.

The images are mosaics of the images of Fashion-MNIST that ship in examples/data, each tinted. expected.safetensors holds of
each file FILE.rgb and FILE.gray, the whole image, and of some the results of resizing."""
import io
import struct
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps
from safetensors.numpy import save_file

root = Path(__file__).resolve().parents[2]
out = root / "tests/fixtures/image"
tiles = np.frombuffer((root / "examples/data/t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8).reshape(-1, 28, 28)
tints = [(255, 90, 40), (60, 200, 255), (250, 230, 90), (120, 255, 120), (230, 120, 255), (255, 255, 255)]
expected = {}


def mosaic(rows, columns, first):
    """rows x columns tiles over a slope of colour, so that no region is flat."""
    image = np.zeros((rows * 28, columns * 28, 3))
    for i in range(rows * columns):
        y, x = i // columns * 28, i % columns * 28
        image[y:y + 28, x:x + 28] = tiles[first + i][..., None] / 255.0 * tints[i % len(tints)]
    slope = np.linspace(0, 60, image.shape[1])[None, :, None] * np.array([1, 0.2, 0.7])
    return Image.fromarray(np.clip(image * 0.75 + slope, 0, 255).astype(np.uint8))


def array(image):
    a = np.array(image, np.uint8)
    return np.ascontiguousarray(a.reshape(a.shape[0], a.shape[1], -1))


def keep(name, data, gray=None):
    """The file, and what Pillow reads from it. Of YCbCr, gray is Y, which Pillow's draft mode gives."""
    (out / name).write_bytes(data)
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I;16"):  # Pillow cuts values above 255 off: here, as everywhere, the upper byte
        upper = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
        expected[name + ".rgb"], expected[name + ".gray"] = array(upper.convert("RGB")), array(upper)
        return
    expected[name + ".rgb"] = array(image.convert("RGB"))
    image = Image.open(io.BytesIO(data))
    if image.format == "JPEG":
        image.draft("L", image.size)
    elif image.mode in ("P", "RGBA", "LA"):
        image = image.convert("RGB")
    expected[name + ".gray"] = array(image.convert("RGB").convert("L") if image.mode == "CMYK" else image.convert("L"))


def saved(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def without_segment(jpeg, marker):
    """A JPEG file without the segments of this marker (APP14: Adobe's)."""
    kept, i = [jpeg[:2]], 2
    while jpeg[i + 1] != 0xDA:
        size = 2 + struct.unpack(">H", jpeg[i + 2:i + 4])[0]
        if jpeg[i + 1] != marker:
            kept.append(jpeg[i:i + size])
        i += size
    return b"".join(kept) + jpeg[i:]


small = mosaic(2, 2, 0).crop((1, 2, 54, 39))  # 53 x 37: no side a multiple of 8
alpha = Image.fromarray(np.tile(np.arange(53, dtype=np.uint8) * 4, (37, 1)))
cmyk = Image.merge("CMYK", (*(ImageOps.invert(c) for c in small.split()), Image.fromarray(np.array(alpha) // 3)))
wide = np.array(small.convert("L"), np.uint16)
deep = (wide << 8) | (255 - wide)  # the lower byte differs from the upper one

keep("baseline_420.jpg", saved(small, "JPEG", quality=85, subsampling="4:2:0"))
keep("baseline_444.jpg", saved(small, "JPEG", quality=85, subsampling="4:4:4"))
keep("progressive.jpg", saved(small, "JPEG", quality=85, progressive=True))
keep("gray.jpg", saved(small.convert("L"), "JPEG", quality=85))
keep("rgb.jpg", saved(small, "JPEG", quality=85, keep_rgb=True))
adobe = saved(cmyk, "JPEG", quality=90)
keep("cmyk_adobe.jpg", adobe)
keep("cmyk_plain.jpg", without_segment(adobe, 0xEE))
place = adobe.index(b"Adobe") + 11
keep("ycck.jpg", adobe[:place] + b"\2" + adobe[place + 1:])  # the same numbers, said to be YCCK
keep("rgb.png", saved(small, "PNG"))
keep("gray.png", saved(small.convert("L"), "PNG"))
keep("palette.png", saved(small.quantize(16), "PNG"))
keep("palette_transparent.png", saved(small.quantize(16), "PNG", transparency=3))
keep("bilevel.png", saved(small.convert("1"), "PNG"))
rgba = small.copy()
rgba.putalpha(alpha)
keep("alpha.png", saved(rgba, "PNG"))
keep("gray_alpha.png", saved(Image.merge("LA", (small.convert("L"), alpha)), "PNG"))
keep("gray_16.png", saved(Image.fromarray(deep), "PNG"))

# Written by hand, since Pillow writes neither: 16-bit RGB (rows of big-endian numbers) with a gamma that is not applied, and
# an interlaced image (Adam7).
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, kind, rows, interlaced=0, others=b""):
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + others + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


rgb = np.array(small)
rows = b"".join(b"\0" + ((r.astype(np.uint16) << 8) | 0x80).astype(">u2").tobytes() for r in rgb)
keep("rgb_16.png", png(53, 37, 16, 2, rows, others=chunk(b"gAMA", struct.pack(">I", 100000))))
passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
rows = b"".join(b"\0" + r.tobytes() for y, x, dy, dx in passes for r in rgb[y::dy, x::dx])
keep("interlaced.png", png(53, 37, 8, 2, rows, interlaced=1))



def by_columns_first(image, width, height, box):
    """Pillow 12 and older begin with the columns; 13 with whichever costs less, which rounds in between otherwise."""
    left, top, right, bottom = box
    narrowed = image.resize((width, image.height), Image.Resampling.BICUBIC, box=(left, 0, right, image.height))
    return array(narrowed.resize((width, height), Image.Resampling.BICUBIC, box=(0, top, width, bottom)))


# Resizing: of rgb.png, whose pixels are the same for every decoder.
for height, width in [(24, 24), (8, 40), (37, 53), (64, 64), (5, 3), (120, 17)]:
    size = f"{height}x{width}"
    expected["cover." + size] = array(ImageOps.fit(small, (width, height), Image.Resampling.BICUBIC))
    expected["stretch." + size] = array(small.resize((width, height), Image.Resampling.BICUBIC))
    expected["columns_first." + size] = by_columns_first(small, width, height, (0, 0, 53, 37))
expected["cover_gray.24x24"] = array(ImageOps.fit(small.convert("L"), (24, 24), Image.Resampling.BICUBIC))

# Reduced decoding: half, a quarter and an eighth of the size, from which the middle is resized.
large = mosaic(5, 8, 20).crop((0, 0, 221, 139))
(out / "large.jpg").write_bytes(saved(large, "JPEG", quality=80))
for side, reduction in [(60, 2), (30, 4), (17, 8), (100, 1)]:
    image = Image.open(out / "large.jpg")
    image.draft("RGB", (221 // reduction, 139 // reduction))
    assert image.size == (-(-221 // reduction), -(-139 // reduction)), image.size
    height, width = 139 / reduction, 221 / reduction
    left = (width - height) * 0.5
    expected[f"reduced.{side}"] = by_columns_first(image, side, side, (left, 0, left + height, height))

save_file(expected, out / "expected.safetensors", {"pillow": PIL.__version__, "numpy": np.__version__})
for f in sorted(out.iterdir()):
    print(f.name, f.stat().st_size)
