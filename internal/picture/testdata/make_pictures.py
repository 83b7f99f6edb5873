"""Makes the pictures of this folder, one for each thing a decoder must get right, and what
Pillow and torchvision make of them.

    python3 make_pictures.py

pictures/<name>.<ext>             the files
reference/<rule>/<name>.png       64×64 RGB, for the rules crop, squash and letterbox (below)

Made from photographs of scikit-image that are in the public domain or CC0 (NOTICE names them), with
Pillow 13.0.0, torchvision 0.23.0, tifffile and NumPy. The same versions give the same bytes.

A file becomes RGB so:

* the first frame; EXIF orientation applied;
* 16-bit samples are scaled to 8 bits, ⌊v/257 + ½⌋ (Pillow alone would clip grey and cut off the low
  byte of colour);
* alpha is composed over white at full size; CMYK goes through Pillow's convert("RGB"), which is
  (255 − C)·(255 − K)/255 a channel; ICC profiles are not applied.

Then, always with Pillow's bilinear filter, whose support grows with the reduction ("antialias"):

* crop: torchvision Resize(73), CenterCrop(64);
* squash: Resize((64, 64));
* letterbox: scaled by s = min(64/w, 64/h) to ⌊s·w + ½⌋ × ⌊s·h + ½⌋, at least 1, and put on a white
  64×64 square at ⌊rest / 2⌋ from the left and the top.
"""

import io
import math
import pathlib
import shutil
import struct
import zlib

import numpy as np
import skimage
import tifffile
from PIL import Image, ImageOps
from torchvision import transforms

HERE = pathlib.Path(__file__).parent
SIDE = 64
WHITE = (255, 255, 255)


def main():
    for folder in ["pictures", "reference"]:
        shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / "pictures").mkdir()
    total = 0
    for name, (data, samples16) in pictures().items():
        (HERE / "pictures" / name).write_bytes(data)
        total += len(data)
        rgb = as_rgb(data, samples16)
        for rule in [crop, squash, letterbox]:
            path = HERE / "reference" / rule.__name__ / (pathlib.Path(name).stem + ".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            rule(rgb).save(path, optimize=True)
        print(f"{name}: {len(data)} bytes, {rgb.width}×{rgb.height}")
    print(total, "bytes")


# The rules.


def as_rgb(data, samples16):
    """Opened, upright, in 8 bits, opaque. samples16: the 16-bit samples that were written, or None."""
    picture = Image.open(io.BytesIO(data))
    if samples16 is not None:
        eight = np.floor(samples16 / 257 + 0.5).astype(np.uint8)
        # What was written is what is there: Pillow's own reading, where it has one, is within a level.
        seen = np.array(picture)
        if seen.dtype == np.uint8:
            assert np.abs(seen.astype(int) - eight).max() <= 1
        else:
            assert (seen == samples16).all()
        picture = Image.fromarray(eight)
    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE + (255,)), picture)
    return picture.convert("RGB")


def crop(picture):
    return transforms.Compose([transforms.Resize(73), transforms.CenterCrop(SIDE)])(picture)


def squash(picture):
    return transforms.Resize((SIDE, SIDE))(picture)


def letterbox(picture):
    scale = min(SIDE / picture.width, SIDE / picture.height)
    width, height = (max(1, math.floor(scale * n + 0.5)) for n in picture.size)
    out = Image.new("RGB", (SIDE, SIDE), WHITE)
    out.paste(
        picture.resize((width, height), Image.Resampling.BILINEAR),
        ((SIDE - width) // 2, (SIDE - height) // 2),
    )
    return out


# The files.


def pictures():
    """name → (file, 16-bit samples or None)."""
    coffee = photograph("coffee.png", 240, 160)
    odd = photograph("coffee.png", 241, 161)
    rocket = photograph("rocket.jpg", 160, 213)
    cat = photograph("chelsea.png", 150, 100)
    face = photograph("astronaut.png", 128, 128)
    small_cat, small_face = cat.resize((96, 64)), face.resize((80, 80))
    holed = with_hole(small_face)
    wide = photograph("rocket.jpg", 300, 60)

    files = {
        "jpeg_444.jpg": save(coffee, "JPEG", quality=90, subsampling=0),
        "jpeg_422.jpg": save(odd, "JPEG", quality=85, subsampling=1),
        "jpeg_420.jpg": save(odd, "JPEG", quality=85, subsampling=2),
        "jpeg_progressive.jpg": save(rocket, "JPEG", quality=85, progressive=True),
        "jpeg_restart.jpg": save(wide, "JPEG", quality=85, restart_marker_rows=1),
        "jpeg_grey.jpg": save(cat.convert("L"), "JPEG", quality=90),
        "jpeg_rgb.jpg": save(cat, "JPEG", quality=90, keep_rgb=True),
        "jpeg_cmyk.jpg": save(inks(coffee), "JPEG", quality=90),
        "jpeg_ycck.jpg": ycck(inks(coffee)),
        "jpeg_tiny.jpg": save(cat.resize((23, 17)), "JPEG", quality=95, subsampling=0),
        "png_rgb.png": save(small_cat, "PNG", optimize=True),
        "png_grey.png": save(cat.convert("L"), "PNG", optimize=True),
        "png_1bit.png": save(coffee.convert("1"), "PNG"),
        "png_palette.png": save(face.quantize(64), "PNG", optimize=True),
        "png_palette_alpha.png": save(see_through_palette(face), "PNG", optimize=True),
        "png_rgba.png": save(holed, "PNG", optimize=True),
        "png_grey_alpha.png": save(holed.convert("LA"), "PNG", optimize=True),
        "png_colour_key.png": save(keyed(small_face), "PNG", optimize=True, transparency=(255, 0, 255)),
        "png_interlaced.png": png(np.array(small_cat), interlaced=True),
        "gif_still.gif": save(see_through_palette(face), "GIF"),
        "gif_animated.gif": animation([face, ImageOps.mirror(face), ImageOps.flip(face)]),
        "webp_lossy.webp": save(coffee, "WEBP", quality=85),
        "webp_lossless.webp": save(small_cat, "WEBP", lossless=True, method=6),
        "webp_lossy_alpha.webp": save(holed, "WEBP", quality=85),
        "webp_lossless_alpha.webp": save(holed, "WEBP", lossless=True, method=6),
        "bmp_24.bmp": save(small_cat, "BMP"),
        "bmp_palette.bmp": save(small_cat.quantize(16), "BMP"),
        "tiff_lzw.tif": save(small_cat, "TIFF", compression="tiff_lzw"),
        "tiff_deflate_alpha.tif": save(holed, "TIFF", compression="tiff_adobe_deflate"),
        "tiff_grey.tif": save(small_cat.convert("L"), "TIFF", compression="packbits"),
        "tiff_palette.tif": save(small_cat.quantize(64), "TIFF"),
    }
    for orientation in range(1, 9):
        files[f"jpeg_orientation_{orientation}.jpg"] = oriented(small_cat, orientation)
    files = {name: (data, None) for name, data in files.items()}

    colour, grey = sixteen_bits("chelsea.png", 72, 48)
    files["png_rgb16.png"] = png(colour), colour
    files["png_grey16.png"] = png(grey), grey
    files["tiff_rgb16.tif"] = tiff(colour), colour
    files["tiff_grey16.tif"] = tiff(grey), grey
    return dict(sorted(files.items()))


def photograph(name, width, height):
    """A photograph of scikit-image, cut to the proportions and reduced."""
    with Image.open(pathlib.Path(skimage.__path__[0], "data", name)) as picture:
        return ImageOps.fit(picture.convert("RGB"), (width, height), Image.Resampling.LANCZOS)


def save(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def oriented(picture, orientation):
    """The picture, stored turned and marked so that a reader turns it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture.transpose(undo[orientation]) if orientation > 1 else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(stored, "JPEG", quality=88, subsampling=0, exif=exif.tobytes())


def inks(picture):
    """CMYK with as much black as there is in a colour."""
    rgb = np.array(picture).astype(float)
    black = 255 - rgb.max(2)
    rest = np.maximum(255 - black, 1)[..., None]
    cmy = (255 - rgb - black[..., None]) / rest * 255
    cmyk = np.dstack([cmy, black])
    return Image.fromarray(np.round(np.clip(cmyk, 0, 255)).astype(np.uint8), "CMYK")


def ycck(picture):
    """A JPEG whose first three inks are stored as luma and chroma, as Photoshop does.

    Pillow writes CMYK inverted, with an Adobe segment that says "no transform". Handed what is to
    be stored, and with that byte set to 2 (YCCK), the file is one that Pillow itself cannot write.
    """
    cmyk = np.array(picture)
    luma = np.array(Image.fromarray(cmyk[..., :3], "RGB").convert("YCbCr"))
    data = bytearray(save(Image.fromarray(np.dstack([255 - luma, cmyk[..., 3]]), "CMYK"), "JPEG", quality=90))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    return bytes(data)


def with_hole(picture):
    """Alpha that falls from the centre outwards, over all levels."""
    y, x = np.mgrid[0 : picture.height, 0 : picture.width]
    distance = np.hypot((x + 0.5) / picture.width - 0.5, (y + 0.5) / picture.height - 0.5)
    alpha = np.clip(1.4 - 2.4 * distance, 0, 1)
    out = picture.copy()
    out.putalpha(Image.fromarray(np.round(alpha * 255).astype(np.uint8)))
    return out


def see_through_palette(picture):
    """A palette with one entry that is not drawn: a frame around the picture."""
    out = picture.quantize(63)
    samples = np.array(out)
    samples[:20] = samples[-9:] = samples[:, :15] = samples[:, -15:] = 63
    shown = Image.fromarray(samples, "P")
    shown.putpalette(out.getpalette()[: 63 * 3] + [255, 0, 255])
    shown.info["transparency"] = 63
    return shown


def keyed(picture):
    """Magenta, which the file declares transparent, over a corner."""
    samples = np.array(picture)
    samples[:30, :25] = 255, 0, 255
    return Image.fromarray(samples)


def animation(frames):
    frames = [frame.quantize(48) for frame in frames]
    return save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)


def sixteen_bits(name, width, height):
    """Colour and grey samples that use all 16 bits."""
    with Image.open(pathlib.Path(skimage.__path__[0], "data", name)) as picture:
        planes = [
            np.array(Image.fromarray(np.array(plane, np.float32)).resize((width, height), Image.Resampling.BICUBIC))
            for plane in picture.convert("RGB").split()
        ]
    colour = np.clip(np.dstack(planes) * 257, 0, 65535)
    grey = colour @ [0.299, 0.587, 0.114]
    return np.round(colour).astype(np.uint16), np.round(grey).astype(np.uint16)


def tiff(samples):
    out = io.BytesIO()
    kind = "rgb" if samples.ndim == 3 else "minisblack"
    tifffile.imwrite(out, samples, photometric=kind, metadata=None, software="")
    return out.getvalue()


def png(samples, interlaced=False):
    """A PNG by hand, for what Pillow does not write: 16-bit colour and Adam7."""
    samples = np.atleast_3d(samples)
    height, width, channels = samples.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:  # x0, y0, dx, dy
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    depth = 8 * samples.dtype.itemsize
    rows = b"".join(
        filtered(row.astype(samples.dtype.newbyteorder(">")).tobytes(), channels * depth // 8)
        for x, y, dx, dy in passes
        for row in samples[y::dy, x::dx]
    )
    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def filtered(row, pixel):
    """A row after PNG's filter 1: each byte less the one a pixel to the left."""
    samples = np.frombuffer(row, np.uint8)
    out = samples.copy()
    out[pixel:] -= samples[:-pixel]
    return b"\x01" + out.tobytes()


if __name__ == "__main__":
    main()
